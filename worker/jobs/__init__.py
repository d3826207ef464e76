"""Jobs as values, and where they are stored."""
