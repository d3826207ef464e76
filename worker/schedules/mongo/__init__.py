"""The store of schedules on MongoDB."""
