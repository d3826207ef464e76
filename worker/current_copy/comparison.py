"""Comparison: finds records of the copy that a sync's pages lack, and decides which of them are deleted."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import islice

import structlog

from worker.accounts.interfaces import ScopeSource
from worker.current_copy.deletion_guard import DeletionGuard
from worker.current_copy.interfaces import RecordStore, Transactions
from worker.current_copy.listed_kinds import is_listed, is_told_of_alike
from worker.current_copy.page_groups import NONE_SEEN, PageGroup, PageGroups, SeenIds
from worker.current_copy.record import CompleteSync, KnownRecord, Missed
from worker.errors import ExportError
from worker.jobs.copy_progress import CopyProgress, Found, SyncMode
from worker.jobs.job import Job
from worker.pages.audit import receipt_of
from worker.pages.interfaces import PageStore
from worker.records.scopes import missing_scopes

_log = structlog.get_logger()

_AT_ONCE = 500
_IDS_AT_ONCE = 5_000
_BATCHES_A_READING = 20  # of a page group, so that one in no order is not read again for every few records


class Comparison:
    """Compares the copy with the pages of an export that has read all records, in two passes.

    The first one only counts what is missing: a list that was empty or ended early is recognised by how much it lacks.
    The second one marks records. Both resume where they were interrupted, by the progress stored with the copy.
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
        self._groups = PageGroups(pages)
        self._transactions = transactions
        self._scopes = scopes
        self._guard = guard

    def proceed(self, job: Job, *, seen: SeenIds = NONE_SEEN) -> Job:
        """Compare the next group of pages; in the second pass mark what they lack as deleted.

        Nothing is marked unless the export has provably read all records (one that reads a feed never has) and no later
        sync has since, and no record that has changed since the export began. `seen` are the ids of pages that the
        caller has stored itself, by page number: these are not read again. Raises LeaseLostError.
        """
        copying, since = copying_of(job), copying_of(job).since
        if copying.reads_feed and since is not None:
            return self._kept(job, copying.end_comparison(), complete=_complete(job, since, SyncMode.INCREMENTAL))
        if since is None or not (copying.is_comparing or self._has_seen_all(job, seen)):
            return self._given_up(job, copying)
        if copying.is_comparing and self._is_overtaken(job, since):
            return self._given_up(job, copying)
        group = self._groups.next_of(job, copying, seen)
        return self._count(job, group, since) if copying.may_delete is None else self._mark(job, group, since)

    def end_early(self, job: Job, seen: Collection[int], known: Mapping[int, KnownRecord]) -> Job:
        """Finish the comparison where a list of one page holds all live records of the copy, `known` from before it.

        Where it lacks any, the job is returned unchanged, to be compared as usual.
        """
        copying, since = copying_of(job), copying_of(job).since
        lacks_none = {each for each, held in known.items() if not held.is_deleted}.issubset(seen)
        if since is None or copying.is_comparing or not lacks_none or not self._has_seen_all(job, {0: seen}):
            return job
        counted = copying.after_look(Found(living=len(seen)), through=max(seen, default=0))
        return self._ended(job, counted.after_portion(1, through=None), since)

    def _given_up(self, job: Job, copying: CopyProgress) -> Job:
        _log.info("copy_not_compared", job_id=job.job_id)
        return self._kept(job, copying.end_comparison())

    def _count(self, job: Job, group: PageGroup, since: datetime) -> Job:
        """Count live records, and those that the pages lack."""
        present, unseen = self._present(job, group), 0
        while unseen < _AT_ONCE * _BATCHES_A_READING:
            ids = list(islice(present, _IDS_AT_ONCE))
            lacking = [record_id for record_id in ids if record_id not in group.seen]
            unseen += len(lacking)
            counted = copying_of(job)
            if ids:
                found = self._found(job, lacking, seen=len(ids) - len(lacking), since=since)
                counted = counted.after_look(found, through=ids[-1])
            if len(ids) < _IDS_AT_ONCE:
                moved = counted.after_portion(group.pages, through=group.through)
                is_over = moved.compared_pages >= job.progress.pages
                return self._judge(job, moved, since) if is_over else self._kept(job, moved)
            job = self._kept(job, counted)
        return job

    def _found(self, job: Job, lacking: Sequence[int], *, seen: int, since: datetime) -> Found:
        known = [held for some in _batches(lacking) for held in self._records.known(job.copy_id, some).values()]
        living = [held for held in known if not held.is_deleted]
        gone = [held for held in living if held.is_gone(since)]
        within = [held for held in gone if is_listed(job, held)]
        proven = [held for held in within if held.was_missed_before(since, sync_id=job.sync_id)]
        return Found(
            living=seen + len(living),
            missing=len(within) - len(proven),
            proven=len(proven),
            beyond=0 if is_told_of_alike(job) else len(gone) - len(within),
        )

    def _judge(self, job: Job, copying: CopyProgress, since: datetime) -> Job:
        """Decide, once everything missing is counted, how much of it may be marked as deleted."""
        if copying.missing + copying.proven == 0:
            return self._ended(job, copying, since)
        # Once more: pages may have been removed since the comparison began.
        if self._is_overtaken(job, since) or not self._has_seen_all(job, NONE_SEEN):
            return self._given_up(job, copying)
        granted = self._granted(job)
        # Checked before a confirmation, whose sender does not know of the missing scope.
        if granted is not None and missing_scopes([job.records_type], granted):
            self._warn(job, copying, withheld=copying.missing + copying.proven)
            return self._kept(job, copying.withhold_all())
        if copying.confirms_deletions:
            return self._kept(job, copying.allow(copying.missing))
        is_empty = job.progress.records == 0
        may_be_empty = self._guard.is_off and granted is not None
        if may_be_empty if is_empty else self._guard.allows(copying.missing, living=copying.living):
            return self._kept(job, copying.allow(copying.missing))
        if copying.missing:
            self._warn(job, copying, withheld=copying.missing)
        return self._kept(job, copying.allow(0))

    def _granted(self, job: Job) -> Sequence[str] | None:
        """Return the connection's scopes; None where they cannot be determined.

        Without its scope HubSpot answers a list with an error, or as if it were empty.
        """
        with suppress(ExportError):
            return self._scopes.granted(job.account_id, job.owner)
        return None

    def _mark(self, job: Job, group: PageGroup, since: datetime) -> Job:
        """Mark as deleted what the pages lack, or as missed where there is no proof."""
        missing = self._missing(job, group, since)
        for _ in range(_BATCHES_A_READING):
            some = list(islice(missing, _AT_ONCE))
            if not some:
                moved = copying_of(job).after_portion(group.pages, through=group.through)
                is_over = moved.compared_pages >= job.progress.pages
                return self._ended(job, moved, since) if is_over else self._kept(job, moved)
            # Before every batch: a later full sync knows better, and counts its deletions itself.
            if self._is_overtaken(job, since):
                break
            job = self._transactions.run(partial(self._delete, job, some, since))
        return job

    def _delete(self, job: Job, some: Sequence[int], since: datetime) -> Job:
        """Delete what is proven, and of the rest at most as much as the first pass has allowed."""
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

    def _missing(self, job: Job, group: PageGroup, since: datetime) -> Iterator[int]:
        """Yield in order the ids of records that the pages should hold and do not."""
        unseen = (record_id for record_id in self._present(job, group) if record_id not in group.seen)
        while some := list(islice(unseen, _AT_ONCE)):
            yield from self._gone(job, some, since)

    def _gone(self, job: Job, some: Sequence[int], since: datetime) -> Mapping[int, KnownRecord]:
        """Return those that are deleted if the list is right, in the order of `some`."""
        known = self._records.known(job.copy_id, some)
        gone = [each for each in some if each in known and known[each].is_gone(since)]
        return {each: known[each] for each in gone if is_listed(job, known[each])}

    def _present(self, job: Job, group: PageGroup) -> Iterator[int]:
        """Yield in order the ids of the copy that are in the group's range and not compared yet."""
        if not (group.seen or group.is_last):
            return iter(())
        return self._records.ids(job.copy_id, after=copying_of(job).compared_through, through=group.through)

    def _ended(self, job: Job, copying: CopyProgress, since: datetime) -> Job:
        """Finish, and store a sync that has read everything: not one of a part, or whose list was too short."""
        has_seen_all = copying.withheld == 0 and not copying.is_of_part
        complete = _complete(job, since, SyncMode.FULL) if has_seen_all else None
        return self._kept(job, copying.end_comparison(), complete=complete)

    def _is_overtaken(self, job: Job, since: datetime) -> bool:
        """Whether a sync that began later has read all records by now."""
        last = self._records.last_sync(job.copy_id, SyncMode.FULL)
        return last is not None and last.since > since

    def _has_seen_all(self, job: Job, seen: SeenIds) -> bool:
        pages = job.progress.pages
        has_stored_all = all(number in seen for number in job.page_numbers(range(pages)))
        # What the receipt would say if the job ended now; of kinds that were left out no record counts as missing.
        ended = replace(job.succeed(at=job.updated_at), totals=replace(job.totals, left_out={}))
        return receipt_of(ended, self._pages, stored_pages=pages if has_stored_all else None).complete

    def _warn(self, job: Job, copying: CopyProgress, *, withheld: int) -> None:
        _log.warning(
            "deletions_withheld",
            type=job.records_type,
            withheld=withheld,
            proven=copying.proven,
            living=copying.living,
            listed=job.progress.records,
        )

    def _kept(self, job: Job, copying: CopyProgress, *, complete: CompleteSync | None = None) -> Job:
        self._records.save_progress(job.copy_id, job.job_id, copying, epoch=job.epoch, complete=complete)
        return replace(job, copying=copying)


def _complete(job: Job, since: datetime, mode: SyncMode) -> CompleteSync:
    return CompleteSync(
        sync_id=job.sync_id,
        since=since,
        mode=mode,
        left_out=tuple(sorted(job.totals.left_out)),
        properties=job.request.properties_key,
    )


def _batches(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[first : first + _AT_ONCE] for first in range(0, len(ids), _AT_ONCE))


def copying_of(job: Job) -> CopyProgress:
    """Return a sync export's progress with the copy; other jobs have none."""
    assert job.copying is not None  # noqa: S101 - only exports of syncs get here
    return job.copying
