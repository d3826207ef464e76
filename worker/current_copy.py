"""CurrentCopy: brings the current copy up to the pages of a sync, and finds what is not at HubSpot any more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice

import structlog

from worker.closing import receipt_of
from worker.copy_interfaces import ErasureStore, RecordStore, Transactions
from worker.copying import Copying, SyncMode
from worker.interfaces import PageStore
from worker.jobs import Job
from worker.pages import Page, record_ids
from worker.records import CompleteSync, compare, is_as_known, records_of

_log = structlog.get_logger()

_PAGES_AT_ONCE = 20  # in some moments, between which the job is checkpointed and may be stopped
_AT_ONCE = 500
_BURIALS_A_READING = 20  # of a portion, so that one in no order is not read again for every few records


@dataclass(frozen=True, slots=True, kw_only=True)
class _Portion:
    """Some pages that lie together: how many, the ids they hold, and up to which id they, and no others, speak.

    The last ones speak of all the rest, which is None; pages without ids speak of none, where the ones before left off.
    """

    pages: int
    seen: frozenset[int]
    through: int | None
    is_last: bool


class CurrentCopy:
    """The copy as a sync's exports write it. One object serves all threads of a worker: it keeps no state of a job.

    What a page changes and the export's account of that are stored together or not at all, so that nothing is counted
    twice or left out, and by nobody who has lost the job's lease. The account lies with the copy; the job reflects it.
    The job is no part of the transaction: one whose client is killed locks what it has written for up to a minute.
    """

    def __init__(
        self,
        *,
        records: RecordStore,
        pages: PageStore,
        transactions: Transactions,
        erasures: ErasureStore,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._records = records
        self._erasures = erasures
        self._pages = pages
        self._transactions = transactions
        self._monotonic = monotonic

    def take_up(self, job: Job) -> Job:
        """Have a job go on from what is known of it with the copy; whoever held it before changes the copy no more."""
        reflected = _copying_of(job)
        copying = self._records.take_up(job.copy_id, job.job_id, reflected, epoch=job.epoch)
        copying = replace(copying, feed_total=reflected.feed_total)  # it belongs to the place, which the job knows
        if job.progress.pages == 0:
            copying = copying.start_over()  # as it was before, or nobody has got to say so
        if copying.mode_used is None:
            last = self._records.last_sync(job.copy_id, *SyncMode)
            copying = copying.decide(last.since if last is not None else None, at=job.updated_at)
        return replace(job, copying=copying)

    def read_all(self, job: Job, *, because: str) -> Job:
        """Have an export that reads a feed begin again with all records."""
        return self._kept(job, _copying_of(job).read_all(because))

    def keep_up(self, job: Job, page: Page, *, asked_at: float) -> Job:
        """Bring the copy up to a page that was asked for at `asked_at`; where it holds all of that, nothing is written.

        Raises LeaseLostError.
        """
        copying, copy = _copying_of(job), job.copy_id
        found = records_of(copy.export_type, page.body)
        ids = [record.record_id for record in found]
        if copying.since is not None and is_as_known(found, self._records.known(copy, ids)):
            return job

        def write() -> Job:
            moment = self._records.begin_change(copy)
            page_asked_at = moment.now - timedelta(seconds=self._monotonic() - asked_at)
            erased = {erasure.record_id for erasure in self._erasures.open_of(copy, ids)}
            kept = [record for record in found if record.record_id not in erased]
            known = self._records.known(copy, ids)
            differences = compare(kept, known, asked_at=page_asked_at, sync_id=job.sync_id)
            self._records.insert(copy, differences.new, at=moment.at, sync_id=job.sync_id)
            self._records.replace(copy, differences.other, at=moment.at, sync_id=job.sync_id)
            counted = copying.after_page(created=differences.created, changed=differences.changed, left_out=erased)
            return self._kept(job, replace(counted, since=copying.since or page_asked_at))

        return self._transactions.run(write)

    def compare(self, job: Job) -> Job:
        """Look on for what an export whose pages are all there has not seen, and mark it as deleted.

        No further than a portion at a time. Nothing is marked where the export does not show that it has seen all
        records, as one that reads a feed never does, or a later one has by now, and nothing that has changed since it
        began. Raises LeaseLostError.
        """
        copying, since = _copying_of(job), _copying_of(job).since
        if copying.reads_feed and since is not None:
            self._note_sync(job, since, SyncMode.INCREMENTAL)
            return self._kept(job, replace(copying, is_compared=True))
        if since is None or self._is_overtaken(job, since) or not (copying.is_comparing or self._has_seen_all(job)):
            _log.info("copy_not_compared", job_id=job.job_id)
            return self._kept(job, replace(copying, is_compared=True))
        portion = self._portion(job, copying)
        unseen = self._missing(job, portion, after=copying.compared_through, since=since)
        for _ in range(_BURIALS_A_READING):
            missing = list(islice(unseen, _AT_ONCE))
            if not missing:
                return self._after_portion(job, portion, since)
            if self._is_overtaken(job, since):
                break
            job = self._transactions.run(partial(self._bury, job, missing, since))
        return job

    def _after_portion(self, job: Job, portion: _Portion, since: datetime) -> Job:
        moved = _copying_of(job).after_portion(portion.pages, through=portion.through, of_pages=job.progress.pages)
        if moved.is_compared:
            self._note_sync(job, since, SyncMode.FULL)
        return self._kept(job, moved)

    def _note_sync(self, job: Job, since: datetime, mode: SyncMode) -> None:
        self._records.note_sync(job.copy_id, CompleteSync(sync_id=job.sync_id, since=since, mode=mode))

    def _is_overtaken(self, job: Job, since: datetime) -> bool:
        """Whether a sync that began later has seen all records by now."""
        last = self._records.last_sync(job.copy_id, SyncMode.FULL)
        return last is not None and last.since > since

    def _has_seen_all(self, job: Job) -> bool:
        return receipt_of(job.succeed(at=job.updated_at), self._pages).complete

    def _portion(self, job: Job, copying: Copying) -> _Portion:
        """Read the ids of the next pages, in the order of ids; all of them where they are in none."""
        pages, done = job.progress.pages, copying.compared_pages
        count = min(pages - done, pages if job.tally.order == "mixed" else _PAGES_AT_ONCE)
        first = pages - done - count if job.tally.order == "descending" else done
        seen = frozenset(self._ids(job, first, count))
        is_last = done + count == pages
        through = None if is_last else max(seen, default=copying.compared_through)
        return _Portion(pages=count, seen=seen, through=through, is_last=is_last)

    def _ids(self, job: Job, first: int, count: int) -> Iterator[int]:
        places = range(first, first + count)
        for place in range(0, count, _PAGES_AT_ONCE):
            for page in self._pages.some(job.job_id, job.page_numbers(places[place : place + _PAGES_AT_ONCE])):
                yield from (each for each in record_ids(job.records_type, page.body) if each is not None)

    def _missing(self, job: Job, portion: _Portion, *, after: int | None, since: datetime) -> Iterator[int]:
        """Give the ids of living records that the pages should hold and do not, in order."""
        if not (portion.seen or portion.is_last):
            return
        copy = job.copy_id
        present = self._records.ids(copy, after=after, through=portion.through)
        unseen = (record_id for record_id in present if record_id not in portion.seen)
        while some := list(islice(unseen, _AT_ONCE)):
            known = self._records.known(copy, some)
            yield from (each for each in some if each in known and known[each].has_been_silent_since(since))

    def _bury(self, job: Job, missing: Sequence[int], since: datetime) -> Job:
        at = self._records.begin_change(job.copy_id).at
        buried = self._records.bury(job.copy_id, missing, unless_since=since, at=at, sync_id=job.sync_id)
        return self._kept(job, _copying_of(job).after_burial(buried, through=missing[-1]))

    def _kept(self, job: Job, copying: Copying) -> Job:
        self._records.keep_account(job.copy_id, job.job_id, copying, epoch=job.epoch)
        return replace(job, copying=copying)


def _copying_of(job: Job) -> Copying:
    assert job.copying is not None  # noqa: S101 - asked of the exports of syncs alone
    return job.copying
