"""Commands about exports, syncs and their results."""
