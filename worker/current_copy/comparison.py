"""Comparison: finds what is in the current copy and not in a sync's pages, and decides what that proves."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import islice
from types import MappingProxyType
from typing import TypeAlias

import structlog

from worker.accounts.interfaces import ScopeSource
from worker.accounts.scopes import missing_scopes
from worker.current_copy.deletion_guard import DeletionGuard
from worker.current_copy.interfaces import RecordStore, Transactions
from worker.current_copy.record import CompleteSync, KnownRecord, Missed
from worker.errors import ExportError
from worker.jobs.copy_progress import CopyProgress, Found, SyncMode
from worker.jobs.job import Job
from worker.pages.audit import receipt_of
from worker.pages.interfaces import PageStore
from worker.records.page import record_ids
from worker.records.registry import OBJECT_TYPES

_log = structlog.get_logger()

_PAGES_AT_ONCE = 20  # in some moments, between which the job is checkpointed and may be stopped
_AT_ONCE = 500
_IDS_AT_ONCE = 5_000
_BATCHES_A_READING = 20  # of a portion, so that one in no order is not read again for every few records
_LEGACY = ("legacy",)
SeenIds: TypeAlias = Mapping[int, Collection[int]]
"""The ids of stored pages by the pages' numbers."""
NONE_SEEN: SeenIds = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Portion:
    """Some pages that lie together: how many, the ids they hold, and up to which id they, and no others, speak.

    The last ones speak of all the rest, which is None; pages without ids speak of none, where the ones before left off.
    """

    pages: int
    seen: frozenset[int]
    through: int | None
    is_last: bool


class Comparison:
    """Compares the copy with the pages of an export that has seen all records, in two looks.

    The first one counts, and changes nothing: a list that is empty or ends early for one answer is known by how much
    it lacks. The second one acts. Either goes on where it was interrupted, by the account that lies with the copy.
    """

    def __init__(
        self,
        *,
        records: RecordStore,
        pages: PageStore,
        transactions: Transactions,
        scopes: ScopeSource,
        guard: DeletionGuard,
    ) -> None:
        self._records = records
        self._pages = pages
        self._transactions = transactions
        self._scopes = scopes
        self._guard = guard

    def go_on(self, job: Job, *, seen: SeenIds = NONE_SEEN) -> Job:
        """Look on for what the pages have not seen, no further than a portion; in the second look mark it as deleted.

        Nothing is marked where the export does not show that it has seen all records, as one that reads a feed never
        does, or a later one has by now, and nothing that has changed since it began. `seen` are the ids of pages that
        the caller has stored itself, by their numbers: these are not read again. Raises LeaseLostError.
        """
        copying, since = copying_of(job), copying_of(job).since
        if copying.reads_feed and since is not None:
            return self._kept(job, copying.end_comparison(), complete=_complete(job, since, SyncMode.INCREMENTAL))
        if since is None or not (copying.is_comparing or self._has_seen_all(job, seen)):
            return self._given_up(job, copying)
        if copying.is_comparing and self._is_overtaken(job, since):
            return self._given_up(job, copying)
        portion = self._portion(job, copying, seen)
        return self._look(job, portion, since) if copying.may_delete is None else self._act(job, portion, since)

    def end_early(self, job: Job, seen: Collection[int], known: Mapping[int, KnownRecord]) -> Job:
        """End where a list that is the page just stored has all that lives in a copy, `known` from before the page.

        Where it lacks any of that the job comes back as it is, to be compared in the ordinary way.
        """
        copying, since = copying_of(job), copying_of(job).since
        lacks_none = {each for each, held in known.items() if not held.is_deleted}.issubset(seen)
        if since is None or copying.is_comparing or not lacks_none or not self._has_seen_all(job, {0: seen}):
            return job
        looked = copying.after_look(Found(living=len(seen)), through=max(seen, default=0))
        return self._ended(job, looked.after_portion(1, through=None), since)

    def _given_up(self, job: Job, copying: CopyProgress) -> Job:
        _log.info("copy_not_compared", job_id=job.job_id)
        return self._kept(job, copying.end_comparison())

    def _look(self, job: Job, portion: _Portion, since: datetime) -> Job:
        """Count what lives, and what the portion lacks of it."""
        present, unseen = self._present(job, portion), 0
        while unseen < _AT_ONCE * _BATCHES_A_READING:
            ids = list(islice(present, _IDS_AT_ONCE))
            lacking = [record_id for record_id in ids if record_id not in portion.seen]
            unseen += len(lacking)
            looked = copying_of(job)
            if ids:
                found = self._found(job, lacking, seen=len(ids) - len(lacking), since=since)
                looked = looked.after_look(found, through=ids[-1])
            if len(ids) < _IDS_AT_ONCE:
                moved = looked.after_portion(portion.pages, through=portion.through)
                is_over = moved.compared_pages >= job.progress.pages
                return self._judge(job, moved, since) if is_over else self._kept(job, moved)
            job = self._kept(job, looked)
        return job

    def _found(self, job: Job, lacking: Sequence[int], *, seen: int, since: datetime) -> Found:
        known = [held for some in _batches(lacking) for held in self._records.known(job.copy_id, some).values()]
        living = [held for held in known if not held.is_deleted]
        gone = [held for held in living if held.is_gone(since)]
        within = [held for held in gone if _is_listed(job, held)]
        proven = [held for held in within if held.was_missed_before(since, sync_id=job.sync_id)]
        return Found(
            living=seen + len(living),
            missing=len(within) - len(proven),
            proven=len(proven),
            beyond=len(gone) - len(within),
        )

    def _judge(self, job: Job, copying: CopyProgress, since: datetime) -> Job:
        """Decide, once all that is missing is counted, how much of it may go."""
        if copying.missing + copying.proven == 0:
            return self._ended(job, copying, since)
        if self._is_overtaken(job, since) or not self._has_seen_all(job, NONE_SEEN):  # pages may be gone by now
            return self._given_up(job, copying)
        granted = self._granted(job)
        if granted is not None and missing_scopes([job.records_type], granted):  # whoever confirms does not know that
            self._warn(job, copying, withheld=copying.missing + copying.proven)
            return self._kept(job, copying.withhold_all())
        if copying.confirms_deletions:
            return self._kept(job, copying.allow(copying.missing))
        is_empty = job.progress.records == 0
        may_be_empty = self._guard.is_off and granted is not None
        if may_be_empty if is_empty else self._guard.lets_go(copying.missing, living=copying.living):
            return self._kept(job, copying.allow(copying.missing))
        if copying.missing:
            self._warn(job, copying, withheld=copying.missing)
        return self._kept(job, copying.allow(0))

    def _granted(self, job: Job) -> Sequence[str] | None:
        """Give the scopes of the connection; None where they cannot be found out.

        A list for which a scope is missing is empty at HubSpot, as well as an error.
        """
        with suppress(ExportError):
            return self._scopes.granted(job.account_id, job.owner)
        return None

    def _act(self, job: Job, portion: _Portion, since: datetime) -> Job:
        """Mark as deleted what the portion lacks, or note that it was missed."""
        missing = self._missing(job, portion, since)
        for _ in range(_BATCHES_A_READING):
            some = list(islice(missing, _AT_ONCE))
            if not some:
                moved = copying_of(job).after_portion(portion.pages, through=portion.through)
                is_over = moved.compared_pages >= job.progress.pages
                return self._ended(job, moved, since) if is_over else self._kept(job, moved)
            if self._is_overtaken(job, since):
                break
            job = self._transactions.run(partial(self._delete, job, some, since))
        return job

    def _delete(self, job: Job, some: Sequence[int], since: datetime) -> Job:
        """Delete what has proof, and of the rest what may go without; no more of it than the first look has counted."""
        copying, copy, moment = copying_of(job), job.copy_id, self._records.begin_change(job.copy_id)
        known = self._gone(job, some, since)
        proven = [each for each in known if known[each].was_missed_before(since, sync_id=job.sync_id)]
        unproven = [each for each in known if each not in {*proven}]
        allowed, withheld = unproven[: copying.may_delete], unproven[copying.may_delete :]
        going = [*proven, *allowed]
        deleted = self._records.mark_deleted(copy, going, unless_since=since, at=moment.at, sync_id=job.sync_id)
        if withheld:
            self._records.note_missed(copy, withheld, Missed(sync_id=job.sync_id, at=moment.now))
        counted = copying.after_deletion(deleted, unproven=len(allowed), withheld=len(withheld), through=some[-1])
        return self._kept(job, counted)

    def _missing(self, job: Job, portion: _Portion, since: datetime) -> Iterator[int]:
        """Give the ids of records that the pages should hold and do not, in order."""
        unseen = (record_id for record_id in self._present(job, portion) if record_id not in portion.seen)
        while some := list(islice(unseen, _AT_ONCE)):
            yield from self._gone(job, some, since)

    def _gone(self, job: Job, some: Sequence[int], since: datetime) -> Mapping[int, KnownRecord]:
        """Give those that are gone if the list is right, in the order in which they are asked for."""
        known = self._records.known(job.copy_id, some)
        gone = [each for each in some if each in known and known[each].is_gone(since)]
        return {each: known[each] for each in gone if _is_listed(job, known[each])}

    def _present(self, job: Job, portion: _Portion) -> Iterator[int]:
        """Give the ids in the copy that a portion speaks of and that were not looked at, in order."""
        if not (portion.seen or portion.is_last):
            return iter(())
        return self._records.ids(job.copy_id, after=copying_of(job).compared_through, through=portion.through)

    def _portion(self, job: Job, copying: CopyProgress, stored: SeenIds) -> _Portion:
        """Read the ids of the next pages, in the order of ids; all of them where they are in none."""
        pages, done = job.progress.pages, copying.compared_pages
        count = min(pages - done, pages if job.tally.order == "mixed" else _PAGES_AT_ONCE)
        first = pages - done - count if job.tally.order == "descending" else done
        seen = frozenset(self._ids(job, first, count, stored))
        is_last = done + count == pages
        through = None if is_last else max(seen, default=copying.compared_through)
        return _Portion(pages=count, seen=seen, through=through, is_last=is_last)

    def _ids(self, job: Job, first: int, count: int, stored: SeenIds) -> Iterator[int]:
        numbers = job.page_numbers(range(first, first + count))
        for number in numbers:
            yield from stored.get(number, ())
        others = [number for number in numbers if number not in stored]
        for place in range(0, len(others), _PAGES_AT_ONCE):
            for page in self._pages.some(job.job_id, others[place : place + _PAGES_AT_ONCE]):
                yield from (each for each in record_ids(job.records_type, page.body) if each is not None)

    def _ended(self, job: Job, copying: CopyProgress, since: datetime) -> Job:
        """End, and remember a sync that has seen all there is: not one whose list was too short, or of a part."""
        has_seen_all = copying.withheld == 0 and not copying.is_of_part
        complete = _complete(job, since, SyncMode.FULL) if has_seen_all else None
        return self._kept(job, copying.end_comparison(), complete=complete)

    def _is_overtaken(self, job: Job, since: datetime) -> bool:
        """Whether a sync that began later has seen all records by now."""
        last = self._records.last_sync(job.copy_id, SyncMode.FULL)
        return last is not None and last.since > since

    def _has_seen_all(self, job: Job, seen: SeenIds) -> bool:
        pages = job.progress.pages
        has_stored_all = all(number in seen for number in job.page_numbers(range(pages)))
        return receipt_of(
            job.succeed(at=job.updated_at), self._pages, stored_pages=pages if has_stored_all else None
        ).complete

    def _warn(self, job: Job, copying: CopyProgress, *, withheld: int) -> None:
        _log.warning(
            "deletions_withheld",
            type=job.records_type.value,
            withheld=withheld,
            proven=copying.proven,
            living=copying.living,
            listed=job.progress.records,
        )

    def _kept(self, job: Job, copying: CopyProgress, *, complete: CompleteSync | None = None) -> Job:
        self._records.keep_account(job.copy_id, job.job_id, copying, epoch=job.epoch, complete=complete)
        return replace(job, copying=copying)


def _complete(job: Job, since: datetime, mode: SyncMode) -> CompleteSync:
    return CompleteSync(sync_id=job.sync_id, since=since, mode=mode)


def _is_listed(job: Job, held: KnownRecord) -> bool:
    """Whether the list that was read holds records of this kind; of both APIs it takes both to hold one."""
    kinds = OBJECT_TYPES[job.records_type].dated.kinds
    return kinds is None or job.tally.apis == _LEGACY or held.kind in kinds


def _batches(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[first : first + _AT_ONCE] for first in range(0, len(ids), _AT_ONCE))


def copying_of(job: Job) -> CopyProgress:
    """Return an export's account of what it did to the copy; only exports of syncs have one."""
    assert job.copying is not None  # noqa: S101 - asked of the exports of syncs alone
    return job.copying
