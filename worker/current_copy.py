"""CurrentCopy: brings the current copy up to the pages of a sync, and finds what is not at HubSpot any more."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from worker.comparison import Comparison, copying_of
from worker.copy_interfaces import ErasureStore, RecordStore, Transactions
from worker.copying import Copying, SyncMode
from worker.feed_records import completed
from worker.jobs import Job
from worker.pages import Page
from worker.records import CopyId, KnownRecord, Record, compare, is_as_known, records_of


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
        transactions: Transactions,
        erasures: ErasureStore,
        comparison: Comparison,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._records = records
        self._erasures = erasures
        self._transactions = transactions
        self._monotonic = monotonic
        self._comparison = comparison

    def take_up(self, job: Job) -> Job:
        """Have a job go on from what is known of it with the copy; whoever held it before changes the copy no more."""
        reflected = copying_of(job)
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
        return self._kept(job, copying_of(job).read_all(because))

    def keep_up(self, job: Job, page: Page, *, asked_at: float) -> Job:
        """Bring the copy up to a page that was asked for at `asked_at`; where it holds all of that, nothing is written.

        Raises LeaseLostError.
        """
        copying, copy = copying_of(job), job.copy_id
        sync_id, is_from_feed = job.sync_id, copying.reads_feed
        found = records_of(copy.export_type, page.body)
        ids = [record.record_id for record in found]
        if copying.since is not None and is_as_known(*self._against_copy(copy, found, copying)):
            return job

        def write() -> Job:
            moment = self._records.begin_change(copy)
            page_asked_at = moment.now - timedelta(seconds=self._monotonic() - asked_at)
            erased = {erasure.record_id for erasure in self._erasures.open_of(copy, ids)}
            living = [record for record in found if record.record_id not in erased]
            kept, known = self._against_copy(copy, living, copying)
            differences = compare(kept, known, asked_at=page_asked_at, sync_id=sync_id)
            self._records.insert(copy, differences.new, at=moment.at, sync_id=sync_id, is_from_feed=is_from_feed)
            self._records.replace(copy, differences.other, at=moment.at, sync_id=sync_id, is_from_feed=is_from_feed)
            if differences.found:
                self._records.note_found(copy, differences.found)
            counted = copying.after_page(created=differences.created, changed=differences.changed, left_out=erased)
            return self._kept(job, replace(counted, since=copying.since or page_asked_at))

        return self._transactions.run(write)

    def _against_copy(
        self, copy: CopyId, found: Sequence[Record], copying: Copying
    ) -> tuple[Sequence[Record], Mapping[int, KnownRecord]]:
        """Give records, those of a feed completed, and what the copy holds under their ids."""
        known = self._records.known(copy, [record.record_id for record in found])
        if not copying.reads_feed:
            return found, known
        other = [each.record_id for each in found if each.record_id in known and not is_as_known([each], known)]
        held = self._records.bodies(copy, other) if other else {}
        return [
            completed(each, known[each.record_id], held[each.record_id]) if each.record_id in held else each
            for each in found
        ], known

    def compare(self, job: Job) -> Job:
        """Look on for what an export whose pages are all there has not seen, as `Comparison.go_on` does."""
        return self._comparison.go_on(job)

    def _kept(self, job: Job, copying: Copying) -> Job:
        self._records.keep_account(job.copy_id, job.job_id, copying, epoch=job.epoch)
        return replace(job, copying=copying)
