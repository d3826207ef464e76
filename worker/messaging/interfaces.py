"""The interfaces of the queues and of notifications."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from worker.jobs.job import Job
from worker.jobs.status import Line
from worker.jobs.turn import AccountTurn, StoredJobs


class JobQueue(Protocol):
    """The queues to the workers; messages hold ids only."""

    def publish(self, job: Job, /) -> None:
        """Publish a turn for the account of a job, or the start of a sync. Raises BrokerUnavailableError."""


class GroupQueue(Protocol):
    """The queues to the workers for those who store several jobs at once."""

    def publish(self, stored: StoredJobs, /) -> None:
        """Publish one turn for each account and line. Raises BrokerUnavailableError: some may have been published."""


class WatchedJobQueue(JobQueue, Protocol):
    """A way to the workers that can be looked into."""

    def length(self) -> int:
        """How many messages no worker has taken yet. Raises BrokerUnavailableError."""


class TurnQueue(Protocol):
    """The queues to the workers as a sweep uses them. Every method raises BrokerUnavailableError."""

    def publish_turn(self, turn: AccountTurn) -> None:
        """Publish a turn as it is."""

    def publish_start(self, sync_id: str) -> None:
        """Publish the start of a sync."""

    def is_empty(self, line: Line) -> bool:
        """Return whether all that was published for the line has been delivered, or is lost."""

    def publish_mark(self, line: Line, sent_at: datetime) -> None:
        """Publish a mark: when a worker takes it, all that was published for the line before has been delivered."""


class DelayedQueue(Protocol):
    """Publishes for a job later; a convenience, since the sweeper does so as well."""

    def publish_in(self, delay_s: float, job: Job) -> None:
        """Publish the job after so many seconds, if this process still lives."""


class JobNotifier(Protocol):
    """Tells whoever waits that a job's state has changed; best effort, it never raises."""

    def notify(self, job: Job) -> None:
        """Say that the job has a new state."""

    def notify_page(self, job: Job) -> None:
        """Say that the only page there will be of the job is stored; its state says so a moment later."""
