"""Which kinds of one type's records an export could see: not all lists hold all kinds, or may be read; pure."""

from __future__ import annotations

from worker.current_copy.record import KnownRecord
from worker.jobs.job import Job
from worker.records.registry import OBJECT_TYPES

_LEGACY, _DATED = ("legacy",), ("dated",)


def is_listed(job: Job, held: KnownRecord) -> bool:
    """Whether the lists that were read hold records of this kind; of both APIs it takes both to hold one.

    The dated API has a list for each of several kinds. One that was left out, for whatever part, proves nothing.
    """
    kinds, left_out = OBJECT_TYPES[job.records_type].dated.kinds, job.totals.left_out
    if not kinds or job.totals.apis == _LEGACY:
        return True
    return any(held.kind in each.names for each in kinds if each.path not in left_out)


def is_told_of_alike(job: Job) -> bool:
    """Whether what the export could not see is nothing that a later feed of changes would have to make up for.

    What the dated API tells of changes is of the same lists as its list of all records.
    """
    return job.totals.apis == _DATED
