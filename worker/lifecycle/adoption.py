"""JobAdoption: completes what processes of an older version write while this one runs beside them."""

from __future__ import annotations

from dataclasses import dataclass

from worker.jobs.interfaces import JobStore
from worker.lifecycle.due_work import ADOPTION
from worker.lifecycle.interfaces import UpkeepStore

_EVERY_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAdoption:
    """Looks through all open jobs every ten minutes, for those that no sweep would find.

    An older version that retries a job, and has it wait for HubSpot, notes none of the instants that sweeps go by. Once
    the last process of that version is gone, nobody would come for the job.
    """

    jobs: JobStore
    upkeep: UpkeepStore

    def adopt(self) -> None:
        """Do it, if it is time for it: the lease is kept until it lapses. Raises StoreUnavailableError."""
        if self.upkeep.acquire(ADOPTION, lease_s=_EVERY_S) is not None:
            self.jobs.adopt_all()
