"""Which kinds of one type's records an export could see: some lists hold not all of them, or were refused; pure."""

from __future__ import annotations

from worker.current_copy.record import KnownRecord
from worker.jobs.job import Job
from worker.records.findings import NOT_ASKED
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


def is_of_no_list(job: Job, held: KnownRecord) -> bool:
    """Whether no sync like this one would see a record of this kind, so that none misses its changes.

    The dated API has no list of it, or the operator wants none of it.
    """
    if job.totals.apis != _DATED:
        return False
    listed = [each for each in OBJECT_TYPES[job.records_type].dated.kinds if held.kind in each.names]
    return all(job.totals.left_out.get(each.path) == NOT_ASKED for each in listed)
