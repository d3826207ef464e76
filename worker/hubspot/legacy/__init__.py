"""The legacy API: its lists, and its feeds of what has changed lately."""
