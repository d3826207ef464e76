"""Beat: when a periodic task is enqueued, and whether it would find anything to do."""
