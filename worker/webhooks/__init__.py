"""Webhooks that tell clients how their jobs ended."""
