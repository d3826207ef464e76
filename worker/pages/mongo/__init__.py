"""The store of pages on MongoDB."""
