"""What comes in: bodies, headers and queries."""
