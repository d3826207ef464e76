"""CurrentCopy: brings the current copy up to the pages of a sync, and finds what is not at HubSpot any more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice

import structlog

from worker.closing import receipt_of
from worker.copy_interfaces import RecordStore, Transactions
from worker.copying import Copying
from worker.interfaces import PageStore
from worker.jobs import Job
from worker.pages import Page, record_ids
from worker.records import FullSync, compare, is_as_known, records_of

_log = structlog.get_logger()

_PAGES_AT_ONCE = 20  # in some moments, between which the job is checkpointed and may be stopped
_AT_ONCE = 500

Checkpoint = Callable[[Job], bool]
"""Stores a job under its lease, and says whether it is to be cancelled."""


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

    What a page changes, the job's account of that and the place after the page are stored together or not at all: so
    nothing is counted twice or left out, and who has lost the job's lease changes nothing.
    """

    def __init__(
        self,
        *,
        records: RecordStore,
        pages: PageStore,
        transactions: Transactions,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._records = records
        self._pages = pages
        self._transactions = transactions
        self._monotonic = monotonic

    def keep_up(self, job: Job, page: Page, *, asked_at: float, checkpoint: Checkpoint) -> Job:
        """Bring the copy up to a page that was asked for at `asked_at`, and checkpoint its job.

        Where the copy holds all of it already, nothing is written but the checkpoint. Raises LeaseLostError.
        """
        copying, copy = _copying_of(job), job.copy_id
        found = records_of(copy.export_type, page.body)
        ids = [record.record_id for record in found]
        if copying.since is not None and is_as_known(found, self._records.known(copy, ids)):
            return _checkpointed(job, checkpoint)

        def write() -> Job:
            moment = self._records.begin_change(copy)
            page_asked_at = moment.now - timedelta(seconds=self._monotonic() - asked_at)
            known = self._records.known(copy, ids)
            differences = compare(found, known, asked_at=page_asked_at, sync_id=job.sync_id)
            self._records.insert(copy, differences.new, at=moment.at, sync_id=job.sync_id)
            self._records.replace(copy, differences.other, at=moment.at, sync_id=job.sync_id)
            counted = copying.after_page(created=differences.created, changed=differences.changed)
            begun = replace(counted, since=copying.since or page_asked_at)
            return _checkpointed(replace(job, copying=begun), checkpoint)

        return self._transactions.run(write)

    def compare(self, job: Job, *, checkpoint: Checkpoint) -> Job:
        """Look on for what an export whose pages are all there has not seen, mark it as deleted, and checkpoint.

        No further than a portion at a time. Nothing is marked where the export does not show that it has seen all
        records, or a later one has by now, and nothing that has changed since it began. Raises LeaseLostError.
        """
        copying, since = _copying_of(job), _copying_of(job).since
        if since is None or not (copying.is_comparing or self._may_begin(job, since)):
            _log.info("copy_not_compared", job_id=job.job_id)
            return _checkpointed(replace(job, copying=replace(copying, is_compared=True)), checkpoint)
        portion = self._portion(job, copying)
        unseen = self._missing(job, portion, after=copying.compared_through, since=since)
        if missing := list(islice(unseen, _AT_ONCE)):
            return self._transactions.run(lambda: self._bury(job, missing, since, checkpoint))
        moved = copying.after_portion(portion.pages, through=portion.through, of_pages=job.progress.pages)
        if moved.is_compared:
            self._records.note_full_sync(job.copy_id, FullSync(sync_id=job.sync_id, since=since))
        return _checkpointed(replace(job, copying=moved), checkpoint)

    def _may_begin(self, job: Job, since: datetime) -> bool:
        last = self._records.last_full_sync(job.copy_id)
        is_overtaken = last is not None and last.since > since
        return not is_overtaken and receipt_of(job.succeed(at=job.updated_at), self._pages).complete

    def _portion(self, job: Job, copying: Copying) -> _Portion:
        """Read the ids of the next pages, in the order of ids; all of them where they are in none."""
        pages, done = job.progress.pages, copying.compared_pages
        at_once = pages if job.tally.order == "mixed" else _PAGES_AT_ONCE
        numbers = range(pages)[done : done + at_once]
        if job.tally.order == "descending":
            numbers = range(pages)[::-1][done : done + at_once]
        bodies = (self._pages.get(job.job_id, number).body for number in numbers)
        seen = frozenset(each for body in bodies for each in record_ids(job.records_type, body) if each is not None)
        is_last = done + len(numbers) == pages
        through = None if is_last else max(seen, default=copying.compared_through)
        return _Portion(pages=len(numbers), seen=seen, through=through, is_last=is_last)

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

    def _bury(self, job: Job, missing: Sequence[int], since: datetime, checkpoint: Checkpoint) -> Job:
        copying, copy = _copying_of(job), job.copy_id
        at = self._records.begin_change(copy).at
        buried = self._records.bury(copy, missing, unless_since=since, at=at, sync_id=job.sync_id)
        return _checkpointed(replace(job, copying=copying.after_burial(buried, through=missing[-1])), checkpoint)


def _copying_of(job: Job) -> Copying:
    assert job.copying is not None  # noqa: S101 - asked of the exports of syncs alone
    return job.copying


def _checkpointed(job: Job, checkpoint: Checkpoint) -> Job:
    return replace(job, cancel_requested=checkpoint(job))
