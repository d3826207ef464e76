"""DueDeliveries: publishes the deliveries of webhooks that are due."""

from __future__ import annotations

from worker.webhooks.interfaces import DeliveryQueue, DeliveryStore


class DueDeliveries:
    """Any number may go round at once: each delivery is published by one of them."""

    def __init__(self, *, deliveries: DeliveryStore, queue: DeliveryQueue, quiet_s: float, batch: int = 500) -> None:
        self._deliveries = deliveries
        self._queue = queue
        self._quiet_s = quiet_s
        self._batch = batch

    def go(self) -> int:
        """Publish each once, and return how many. Where that fails, it is published again after `quiet_s`.

        Raises StoreUnavailableError, BrokerUnavailableError.
        """
        due = self._deliveries.take_due(quiet_s=self._quiet_s, limit=self._batch)
        for job_id in due:
            self._queue.publish(job_id)
        return len(due)
