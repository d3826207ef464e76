"""CurrentCopy: applies the pages of a sync to the current copy, and marks what HubSpot no longer has."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from worker.current_copy.comparison import Comparison, copying_of
from worker.current_copy.feed_records import completed
from worker.current_copy.interfaces import ErasureStore, RecordStore, Transactions
from worker.current_copy.page_groups import NONE_SEEN, SeenIds
from worker.current_copy.record import KnownRecord, Record, archived_of, compare, in_batches, is_as_known, records_of
from worker.errors import StoreUnavailableError
from worker.jobs.copy_progress import CopyProgress, SyncMode
from worker.jobs.job import Job
from worker.jobs.syncs_before import SyncsBefore
from worker.records.crm_api import CrmApi
from worker.records.deletion import DeletionPage
from worker.records.page import Page
from worker.records.registry import OBJECT_TYPES

_SMALL_COPY = 1000  # records: a few times the largest page
_TRIES = 5  # the held record may change while a feed's record is completed, but hardly this often


class CurrentCopy:
    """Writes the copy for a sync's exports. One object serves all threads of a worker: it holds no state of a job.

    A page's changes and the export's progress are stored in one transaction, so that nothing is counted twice or left
    out, and only while the job's lease is held. The progress is stored with the copy; the job mirrors it. The job is
    not part of the transaction: one whose client is killed locks what it has written for up to a minute.
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

    def resume(self, job: Job) -> Job:
        """Return the job with the progress stored in the copy; earlier holders of its lease can write no more."""
        reflected, is_at_start = copying_of(job), job.progress.pages == 0
        copying = self._records.resume(job.copy_id, job.job_id, reflected, epoch=job.epoch, is_at_start=is_at_start)
        if not is_at_start:
            copying = replace(copying, feed_total=reflected.feed_total)  # it belongs to the cursor, which is in the job
        if copying.mode_used is None:
            # Stored, since pages may change nothing, and another worker that resumes might decide otherwise.
            return self._kept(job, self._decided(job, copying))
        return replace(job, copying=copying)

    def _decided(self, job: Job, copying: CopyProgress) -> CopyProgress:
        """Choose between what the job's API tells of changes, and its list of all records."""
        if not OBJECT_TYPES[job.records_type].dated.has_properties:
            return copying.read_all(f"HubSpot has no search of {job.records_type}")
        last = self._records.last_sync(job.copy_id, *SyncMode)
        # Of no concern to the legacy API, which tells of none; and older workers cannot read a sync that notes it.
        is_dated = job.api is CrmApi.DATED
        told = last.all_deletions_told if is_dated and last is not None else None
        needs_full = copying.full_every is not None or (is_dated and last is not None and told is None)
        full = self._records.last_sync(job.copy_id, SyncMode.FULL) if needs_full else None
        before = SyncsBefore(
            last=last.since if last is not None else None,
            last_full=full.since if full is not None else None,
            deletions_told=told or (full.since if is_dated and full is not None else None),
            left_out=last.left_out if last is not None else (),
            properties=last.properties if last is not None else None,
        )
        asked = job.request.properties_key
        return copying.decide(before, api=job.api or CrmApi.LEGACY, at=job.updated_at, properties=asked)

    def read_all(self, job: Job, *, because: str) -> Job:
        """Make an export that reads a feed start again with the list of all records."""
        return self._kept(job, copying_of(job).read_all(because))

    def apply_page(self, job: Job, page: Page, *, asked_at: float) -> Job:
        """Apply a page that was requested at `asked_at`; nothing is written where the copy is up to date.

        A large page takes several transactions, each with its counts: after a crash between two of them the page is
        fetched again, and the records that were written are found unchanged. Raises LeaseLostError.
        """
        found = records_of(job.copy_id.export_type, page.body)
        ids = [record.record_id for record in found]
        whole = self._whole_copy(job)
        known = self._records.known(job.copy_id, ids) if whole is None else whole
        different = [each for each in found if not is_as_known([each], known)]
        batches = list(in_batches(different))
        # The first page sets `since` even where it changes nothing, hence an empty batch.
        if not batches and copying_of(job).since is None:
            batches = [[]]
        for batch in batches:
            job = self._apply_batch(job, batch, known, asked_at=asked_at)
        return job if whole is None else self._comparison.end_early(job, ids, whole)

    def apply_deletions(self, job: Job, page: DeletionPage, *, asked_at: float) -> Job:
        """Mark what HubSpot lists as archived, in a page that was requested at `asked_at`, as deleted.

        It is proof, whatever the number: HubSpot names each record. What the copy does not hold alive is left as it is.
        Raises LeaseLostError.
        """
        ids, copy = [each.record_id for each in page.deletions], job.copy_id
        counted = copying_of(job).after_archived(deleted=0, after=page.after, unknown=page.unknown)
        if all(held.is_deleted for held in self._records.known(copy, ids).values()):
            return self._kept(job, counted)

        def write() -> Job:
            moment = self._records.begin_change(copy)
            page_asked_at = moment.now - timedelta(seconds=self._monotonic() - asked_at)
            gone = archived_of(page.deletions, self._records.known(copy, ids), sync_id=job.sync_id)
            last = self._records.last_sync(copy, SyncMode.FULL)
            if last is not None and last.since > page_asked_at:
                gone = []  # a sync that began later has seen all records
            deleted = self._records.mark_deleted(
                copy, gone, unless_since=page_asked_at, at=moment.at, sync_id=job.sync_id
            )
            return self._kept(job, replace(counted, deleted=counted.deleted + deleted))

        return self._transactions.run(write)

    def _whole_copy(self, job: Job) -> Mapping[int, KnownRecord] | None:
        """Read all of a small copy where the list is a single page, which is then compared without another read."""
        is_whole_list = job.progress.pages == 1 and job.is_complete and not copying_of(job).reads_feed
        return self._records.all_known(job.copy_id, most=_SMALL_COPY) if is_whole_list else None

    def _apply_batch(
        self, job: Job, batch: Sequence[Record], known: Mapping[int, KnownRecord], *, asked_at: float
    ) -> Job:
        """Write records in one transaction; retry where the records that completed them have changed meanwhile."""
        for _ in range(_TRIES):
            ready = self._prepared(job, batch, known)
            if not ready and copying_of(job).since is not None:
                return job
            written = self._write(job, ready, known, asked_at=asked_at)
            if written is not None:
                return written
            known = self._records.known(job.copy_id, [record.record_id for record in batch])
        raise StoreUnavailableError

    def _prepared(self, job: Job, batch: Sequence[Record], known: Mapping[int, KnownRecord]) -> list[Record]:
        """Return records ready to be written, those of a feed completed with what the copy holds.

        It is done before the transaction, which lasts only seconds: this work grows with the size of records and the
        load of the process.
        """
        if copying_of(job).reads_feed:
            is_dated = job.progress.api == CrmApi.DATED
            held = self._records.bodies(job.copy_id, [each.record_id for each in batch if each.record_id in known])
            whole = [
                completed(each, known[each.record_id], held[each.record_id], is_of_search=is_dated)
                if each.record_id in held
                else each
                for each in batch
            ]
            batch = [each for each in whole if not is_as_known([each], known)]
        return self._records.encode(batch)

    def _write(
        self, job: Job, ready: Sequence[Record], prepared_with: Mapping[int, KnownRecord], *, asked_at: float
    ) -> Job | None:
        """Write records and counts together; None where a feed's records have to be completed again."""
        copying, copy = copying_of(job), job.copy_id
        sync_id, is_from_feed = job.sync_id, copying.reads_feed
        ids = [record.record_id for record in ready]

        def write() -> Job | None:
            # First of all, so that concurrent changes of the copy conflict before they have read anything.
            moment = self._records.begin_change(copy)
            # In MongoDB's time: its present less the age of the request, which the steady clock tells.
            page_asked_at = moment.now - timedelta(seconds=self._monotonic() - asked_at)
            erased = {erasure.record_id for erasure in self._erasures.open_of(copy, ids)}
            kept = [record for record in ready if record.record_id not in erased]
            # Read again within the transaction: what was known before may have changed since.
            known = self._records.known(copy, [record.record_id for record in kept])
            if is_from_feed and _contents(kept, known) != _contents(kept, prepared_with):
                return None
            differences = compare(kept, known, asked_at=page_asked_at, sync_id=sync_id)
            self._records.insert(copy, differences.new, at=moment.at, sync_id=sync_id, is_from_feed=is_from_feed)
            self._records.replace(copy, differences.other, at=moment.at, sync_id=sync_id, is_from_feed=is_from_feed)
            if differences.found:
                self._records.note_found(copy, differences.found)
            counted = copying.after_page(created=differences.created, changed=differences.changed, left_out=erased)
            return self._kept(job, replace(counted, since=copying.since or page_asked_at))

        return self._transactions.run(write)

    def compare(self, job: Job, *, seen: SeenIds = NONE_SEEN) -> Job:
        """Continue the comparison of an export whose pages are all stored: see `Comparison.proceed`."""
        return self._comparison.proceed(job, seen=seen)

    def _kept(self, job: Job, copying: CopyProgress) -> Job:
        self._records.save_progress(job.copy_id, job.job_id, copying, epoch=job.epoch)
        return replace(job, copying=copying)


def _contents(records: Iterable[Record], known: Mapping[int, KnownRecord]) -> list[bytes | None]:
    """Return the held digest under each record's id."""
    return [known[each.record_id].digest if each.record_id in known else None for each in records]
