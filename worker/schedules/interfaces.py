"""The interfaces of schedules: their store, what keeps an account from being synced, the queue of their syncs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from worker.jobs.job import Job
from worker.schedules.schedule import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class DueSchedules:
    """Schedules that a dispatcher has claimed for some seconds; `at` is when, by MongoDB's clock."""

    claim: str
    at: datetime
    schedules: tuple[Schedule, ...]


class ScheduleStore(Protocol):
    """Schedules, one for each (account, owner). Every method raises StoreUnavailableError when MongoDB is away."""

    def get(self, account_id: str, owner: str) -> Schedule | None:
        """Return the schedule. Raises SpoiledScheduleError."""

    def put(self, schedule: Schedule) -> tuple[Schedule, bool]:
        """Store what its owner has set; return the schedule as it is then, and whether it is new.

        What is known of earlier runs stays, and so does the next run unless timetable, jitter or switch have changed:
        one that is due at this moment is not lost. A stored schedule that cannot be read is replaced as a whole.
        """

    def remove(self, account_id: str, owner: str) -> bool:
        """Delete the schedule; False where there is none."""

    def note_portal(self, schedule_id: str, hub_id: int) -> None:
        """Record the HubSpot portal of the schedule's last run; nothing where the schedule is gone."""

    def take_due(self, *, limit: int, lease_s: float) -> DueSchedules:
        """Claim schedules that are due for so many seconds, longest due first.

        After that time they may be claimed again, which repeats what was done, to no effect. One that cannot be read is
        reported and left out, and due again in an hour, since somebody may have repaired it.
        """

    def release(self, taken: DueSchedules, schedules: Sequence[Schedule], *, look_again_s: float) -> None:
        """Store claimed schedules; one with a queued run is due again in so many seconds.

        Of a schedule that its owner or another dispatcher has written meanwhile only the last run is updated.
        """


class ConnectionObstacles(Protocol):
    """Why some accounts cannot be synced. It raises StoreUnavailableError when MongoDB is away."""

    def obstacles(self, keys: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
        """Return why HubSpot cannot be called now for some of these (account, owner), in words for clients.

        HubSpot is not asked. A token that was stored after a refusal counts as valid.
        """


class SyncQueue(Protocol):
    """The queue for many syncs at once; a message holds only their ids."""

    def publish(self, syncs: Sequence[Job]) -> None:
        """Publish one message for all of these. Raises BrokerUnavailableError."""
