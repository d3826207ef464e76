"""Metrics and spans around the ports and the tasks, so that no domain code knows of them."""
