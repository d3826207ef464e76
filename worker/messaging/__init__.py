"""The queues between the shim and the workers, and the notifications of changed jobs."""
