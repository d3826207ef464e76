"""The interfaces of the queues and of notifications."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from worker.jobs.job import Job
from worker.jobs.status import Line
from worker.jobs.turn import AccountTurn, StoredJobs


class JobQueue(Protocol):
    """Publishes for a job; messages contain ids only."""

    def publish(self, job: Job, /) -> None:
        """Publish a turn for the account of a job, or the start of a sync. Raises BrokerUnavailableError."""


class GroupQueue(Protocol):
    """Publishes for jobs that were stored as a group."""

    def publish(self, stored: StoredJobs, /) -> None:
        """Publish one turn for each account and line. Raises BrokerUnavailableError; some may be published then."""


class WatchedJobQueue(JobQueue, Protocol):
    """A JobQueue whose length is known."""

    def length(self) -> int:
        """Return how many messages no worker has taken yet. Raises BrokerUnavailableError."""


class TurnQueue(Protocol):
    """What a sweep publishes. Every method raises BrokerUnavailableError."""

    def publish_turn(self, turn: AccountTurn) -> None:
        """Publish a turn."""

    def publish_start(self, sync_id: str) -> None:
        """Publish the start of a sync."""

    def is_empty(self, line: Line) -> bool:
        """Return whether everything published for the line was delivered, or is lost."""

    def publish_mark(self, line: Line, sent_at: datetime) -> None:
        """Publish a mark: when a worker takes it, everything published for the line before it was delivered."""


class DelayedQueue(Protocol):
    """Publishes for a job later; an optimisation, since the sweeper does so as well."""

    def publish_in(self, delay_s: float, job: Job) -> None:
        """Publish the job after so many seconds, unless this process ends before."""


class JobNotifier(Protocol):
    """Notifies those who wait for a job; best effort, it never raises."""

    def notify(self, job: Job) -> None:
        """Notify of a new state."""

    def notify_page(self, job: Job) -> None:
        """Notify that the job's only page is stored; its state changes a moment later."""
