"""Schedules of full-account syncs."""
