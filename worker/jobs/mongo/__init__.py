"""The store of jobs on MongoDB."""
