"""The promise, shown: what can fail fails for minutes, and afterwards every record is there exactly once."""
