"""The soak test: everything that can fail fails for minutes, and afterwards every record must exist exactly once."""
