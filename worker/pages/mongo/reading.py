"""MongoStoredPages: StoredPages, by an index that leads to the page at a position."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from bson.binary import Binary
from pymongo import ASCENDING

from worker.errors import JobNotFoundError
from worker.jobs.job import Job
from worker.jobs.page_runs import PageRun, is_among
from worker.mongo.database import Document, translated_errors
from worker.pages.interfaces import RecordSlice
from worker.pages.mongo.collection import PageCollection
from worker.pages.mongo.documents import UNREADABLE, erased_in, page_id, place_in, summary_id
from worker.records.erasure import Erased
from worker.records.page import Page, records_by_place, within_bytes
from worker.records.types import ExportType

_PAGES_A_BATCH = 4
LOST = ("job_id", "records_through", "records", "erased.records", "erased.checksum")
HAS_LOST = {"erased.records": {"$gt": 0}}  # the filter of the partial index, which holds no page of most jobs


class MongoStoredPages(PageCollection):
    """Reads pages, and what was computed from them."""

    def count(self, job_id: str) -> int:
        """Count by an index alone. The first part of a page says how many parts it has."""
        found = self._pages.find({"job_id": job_id}, {"_id": False, "parts": True})
        with translated_errors():
            parts = [document.get("parts") for document in found]
        pages = [number for number in parts if isinstance(number, int)]
        return len(pages) - max(0, sum(pages) - len(parts))

    def get(self, job_id: str, number: int) -> Page:
        with translated_errors():
            document = self._pages.find_one({"_id": page_id(job_id, number)})
            if document is None:
                raise JobNotFoundError
            return self._reader.page(document)

    def all(self, job_id: str, *, counted: Sequence[PageRun] | None = None) -> Iterator[Page]:
        with translated_errors():
            for document in self._in_order({"job_id": job_id, "records_through": {"$gte": 0}}, counted):
                yield self._reader.page(document)

    def some(self, job_id: str, numbers: Sequence[int]) -> Iterator[Page]:
        """Read all documents and close the cursor, then decompress them one by one."""
        ids = [page_id(job_id, number) for number in numbers]
        with translated_errors():
            found = {each["_id"]: each for each in self._pages.find({"_id": {"$in": ids}}).batch_size(len(ids))}
        if len(found) < len(ids):
            raise JobNotFoundError
        for each in ids:
            with translated_errors():
                page = self._reader.page(found[each])
            yield page

    def read(
        self,
        job_id: str,
        export_type: ExportType,
        *,
        start: int,
        limit: int,
        counted: Sequence[PageRun] | None = None,
    ) -> RecordSlice:
        with translated_errors():
            found = itertools.islice(self._records_from(job_id, export_type, start, counted), limit)
            positions = list(within_bytes(found, size_of=lambda record: len(record or b"")))
        records = [record for record in positions if record is not None]
        return RecordSlice(start, records, erased=len(positions) - len(records))

    def keep_summary(self, job: Job, summary: bytes) -> None:
        """Store it among the first page's documents, so that it is removed with them."""
        fields = {"of": job.finished_at, "summary": Binary(summary), "expires_at": job.expires_at}
        with translated_errors():
            self._pages.update_one({"_id": summary_id(job.job_id)}, {"$set": fields}, upsert=True)

    def summary(self, job: Job) -> bytes | None:
        with translated_errors():
            kept = self._pages.find_one({"_id": summary_id(job.job_id), "of": job.finished_at})
        return bytes(kept["summary"]) if kept is not None else None

    def erased_of(self, jobs: Sequence[Job]) -> Mapping[str, Erased]:
        """Add up by an index that holds only pages which have lost something."""
        readable, lost = {job.job_id: job.readable for job in jobs}, defaultdict[str, list[Erased]](list)
        wanted = {"job_id": {"$in": list(readable)}, **HAS_LOST}
        with translated_errors():
            for document in self._pages.find(wanted, {"_id": False, **dict.fromkeys(LOST, True)}):
                job_id, through = document["job_id"], document["records_through"]
                with self._setting_aside(job_id, through):
                    if through is not None and through - document["records"] < readable[job_id]:
                        lost[job_id].append(Erased.of_parts([erased_in(document)]))
        return {job_id: Erased.of_parts(parts) for job_id, parts in lost.items()}

    @contextmanager
    def _setting_aside(self, job_id: str, through: object) -> Iterator[None]:
        """Report the page whose field cannot be read, after a look for its `_id`, which the index does not have."""
        try:
            yield
        except UNREADABLE as error:
            found = self._pages.find_one({"job_id": job_id, "records_through": through, **HAS_LOST}, {"_id": True})
            if found is not None:
                self._reader.set_aside(found["_id"], error)

    def _records_from(
        self, job_id: str, export_type: ExportType, start: int, counted: Sequence[PageRun] | None
    ) -> Iterator[bytes | None]:
        """Yield the record at each position, None where it was erased. Raises JobNotFoundError where a page is missing.

        Reading page after page is consistent, since pages change only by erasures, which keep positions. But a removal
        deletes them one after the other: that shows as a gap.
        """
        end = start
        for document in self._from(job_id, start, counted):
            page = self._reader.page(document)
            with self._reader.setting_aside(document["_id"]):
                first = document["records_through"] - page.records
                records = records_by_place(export_type, page)
            if first > end:
                raise JobNotFoundError
            yield from records[max(0, end - first) :]
            end = max(end, first + page.records)

    def _from(self, job_id: str, start: int, counted: Sequence[PageRun] | None) -> Iterator[Document]:
        # One page first: most reads end within it, and a batch would bring three more, and leave a cursor to be killed.
        wanted = {"job_id": job_id, "records_through": {"$gt": start}}
        first = self._pages.find_one(wanted, sort=[("records_through", ASCENDING)])
        if first is None:
            return
        # An empty page, or one that is not counted, may end at the same record as the page that is wanted.
        if first.get("records") and (counted is None or is_among(counted, place_in(first["_id"])[1])):
            yield first
            wanted = {"job_id": job_id, "records_through": {"$gt": first["records_through"]}}
        yield from self._in_order(wanted, counted)

    def _in_order(self, wanted: Document, counted: Sequence[PageRun] | None) -> Iterator[Document]:
        for document in self._pages.find(wanted).sort("records_through", ASCENDING).batch_size(_PAGES_A_BATCH):
            if counted is None or is_among(counted, place_in(document["_id"])[1]):
                yield document
