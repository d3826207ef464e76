"""The seams of schedules: where they are kept and who takes those that are due."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from worker.jobs.job import Job
from worker.schedules.schedule import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class DueSchedules:
    """Schedules that one dispatcher has taken, for some seconds, at an instant of the database server's clock."""

    claim: str
    at: datetime
    schedules: tuple[Schedule, ...]


class ScheduleStore(Protocol):
    """Schedules, one an (account, owner). Every method raises StoreUnavailableError when MongoDB is away."""

    def get(self, account_id: str, owner: str) -> Schedule | None:
        """Return the schedule. Raises SpoiledScheduleError."""

    def put(self, schedule: Schedule) -> tuple[Schedule, bool]:
        """Store what its owner wants, and give the schedule as it is now, and whether there was none before.

        What is known of earlier runs stays, and the next run as well unless the timetable, the jitter or the switch has
        changed: one that is due at this moment is not lost. One that cannot be read is replaced as a whole.
        """

    def remove(self, account_id: str, owner: str) -> bool:
        """Forget the schedule; False when there is none."""

    def note_portal(self, schedule_id: str, hub_id: int) -> None:
        """Note which HubSpot portal a run of the schedule is of; where there is no such schedule any more, nothing."""

    def take_due(self, *, limit: int, lease_s: float) -> DueSchedules:
        """Take schedules that are due, those that have waited longest first, for so many seconds.

        Nobody else is given them within that time. Whoever is given them after it repeats what was done, to no effect.
        What cannot be read is reported and left out, and due again in an hour: somebody may have mended it.
        """

    def give_back(self, taken: DueSchedules, schedules: Sequence[Schedule], *, look_again_s: float) -> None:
        """Store what has become of them; one with a run that waits is due again in so many seconds.

        A schedule that its owner or another dispatcher has written meanwhile is left as it is, but for its last run.
        """


class ConnectionObstacles(Protocol):
    """Why some accounts cannot be synced. It raises StoreUnavailableError when MongoDB is away."""

    def obstacles(self, keys: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
        """Say for which of these (account, owner) nothing can be had of HubSpot now, and why, in words for a client.

        HubSpot is asked nothing. A token that was stored since it has refused one is as good as any.
        """


class SyncQueue(Protocol):
    """The way to the workers for many syncs at once; only their ids travel."""

    def publish(self, syncs: Sequence[Job]) -> None:
        """Publish one message for all of these. Raises BrokerUnavailableError."""
