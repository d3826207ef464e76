"""MongoPageStore: pages in `integrations.hubspot.pages`, HubSpot's own bytes, compressed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from bson.binary import Binary
from pymongo import ASCENDING, DESCENDING, ReturnDocument
from pymongo.errors import DuplicateKeyError

from worker.errors import JobNotFoundError, LeaseLostError
from worker.jobs.job import Job
from worker.jobs.lanes import Block, Lane, gaps_between, is_among
from worker.mongo.database import Document, MongoDatabase, from_now, translated_errors
from worker.mongo.spoiled import SpoiledDocuments
from worker.pages.interfaces import RecordSlice
from worker.pages.mongo.documents import (
    COLLECTION,
    NO_IDS,
    PageReader,
    between,
    description,
    end_of,
    packed,
    page_id,
    place_among_records,
    place_in,
    summary_id,
)
from worker.pages.mongo.erasing import PageErasing
from worker.records.erasure import Erased, Erasure, Rewrite
from worker.records.page import Page, record_ids, records_by_place, within_bytes
from worker.records.types import ExportType, PagePlace

__all__ = ["COLLECTION", "MongoPageStore"]

_MOST_BYTES = 15 * 1024 * 1024  # a document holds 16 MB, its other fields included
_PAGES_A_BATCH = 4
_PAGES_A_CHANGE = 500  # a change of a million records' pages in one call would pass the time-out


class MongoPageStore:
    """One document a page, and one more for every further 15 MB of a compressed body.

    `_id` is `<job>:<page>:<part>`, zero-padded, so that a page is stored once and a lane's pages lie together in order.
    `records_through` is its end among all records of the job, which is where it is read; a page that is not to be read
    yet has none, and `lane_through` says where it ends in its lane.
    """

    def __init__(
        self,
        database: MongoDatabase,
        *,
        most_bytes: int = _MOST_BYTES,
        pages_a_change: int = _PAGES_A_CHANGE,
        spoiled: SpoiledDocuments | None = None,
    ) -> None:
        self._pages = database[COLLECTION]
        self._most_bytes = most_bytes
        self._pages_a_change = pages_a_change
        self._reader = PageReader(database, spoiled or SpoiledDocuments())
        self._erasing = PageErasing(self._pages, self._reader, most_bytes=most_bytes)

    def ensure_indexes(self) -> None:
        """Create what reading from a place needs. Doing it again changes nothing."""
        with translated_errors():
            self._pages.create_index([("job_id", ASCENDING), ("records_through", ASCENDING), ("parts", ASCENDING)])
            self._pages.create_index("expires_at", expireAfterSeconds=0)
            self._erasing.ensure_indexes()

    def add(
        self,
        job: Job,
        page: Page,
        *,
        lane: Lane | None = None,
        ids: Sequence[int | None] | None = None,
        expires_at: datetime | None = None,
    ) -> bool:
        """Store the page after the last checkpoint; the part that makes it visible is written last."""
        number = job.progress.pages if lane is None else lane.next_page
        parts = packed(page.body, most_bytes=self._most_bytes)
        described = {
            "number": number,
            "records": page.records,
            **place_among_records(job, page, lane),
            "has_more": page.has_more,
            "offset": page.offset,
            "gaps": [],
            "erased": None,
            **description(page, parts, record_ids(job.records_type, page.body) if ids is None else ids),
        }
        common = {
            "job_id": job.job_id,
            "account_id": job.account_id,
            "type": job.records_type.value,
            "hub_id": job.hub_id,
            "span": NO_IDS,
            "epoch": job.epoch,
            "expires_at": expires_at,
        }
        was_there = False
        for part in range(len(parts) - 1, -1, -1):
            fields = {**common, **(described if part == 0 else {}), "body": Binary(parts[part])}
            was_there = self._put(page_id(job.job_id, number, part), fields)
        return was_there

    def seal(self, job: Job, lane: Lane, *, before: int) -> None:
        """Return the pages their ends among all records; under an older epoch nobody can do so from now on."""
        place = {"records_through": {"$add": ["$lane_through", before]}, "epoch": job.epoch}
        first, end = lane.first_page, lane.next_page
        with translated_errors():
            for number in range(first, end, self._pages_a_change):
                some = between(job.job_id, number, min(number + self._pages_a_change, end))
                self._pages.update_many({"_id": some, "epoch": {"$lte": job.epoch}}, [{"$set": place}])

    def cut(self, job: Job, *, first: int = 0, end: int | None = None) -> None:
        """Delete pages, the last ones first."""
        with translated_errors():
            for some in self._in_portions(between(job.job_id, first, end)):
                self._pages.delete_many({**some, "epoch": {"$lte": job.epoch}})

    def keep_only(self, job: Job, counted: Sequence[Block]) -> None:
        """Look for pages between and behind the counted ones: as a rule one query, of an index, that finds nothing."""
        ranges = [{"_id": between(job.job_id, first, end)} for first, end in gaps_between(counted)]
        uncounted = {"$or": ranges, "epoch": {"$lte": job.epoch}}
        with translated_errors():
            while ids := self._last_ids(uncounted):
                self._pages.delete_many({"_id": {"$in": ids}, "epoch": {"$lte": job.epoch}})

    def expire(self, job_id: str, *, at: datetime | None) -> None:
        """Have MongoDB's TTL monitor remove a job's pages."""
        with translated_errors():
            for some in self._in_portions(between(job_id)):
                self._pages.update_many({**some, "expires_at": {"$ne": at}}, {"$set": {"expires_at": at}})

    def expire_all(self, job_ids: Sequence[str], *, pages: int, at: datetime) -> None:
        """Change few pages in one call, many ones job after job."""
        if pages > self._pages_a_change:
            for job_id in job_ids:
                self.expire(job_id, at=at)
            return
        theirs = {"$or": [{"_id": between(job_id)} for job_id in job_ids], "expires_at": {"$ne": at}}
        with translated_errors():
            self._pages.update_many(theirs, {"$set": {"expires_at": at}}, hint="_id_")

    def remove(self, job_id: str) -> None:
        """Delete a job's pages, the last ones first: what is left of an interrupted removal has no holes."""
        with translated_errors():
            for some in self._in_portions(between(job_id)):
                self._pages.delete_many(some)

    def count(self, job_id: str) -> int:
        """Count pages, answered by an index alone; a page of which a part is missing does not count."""
        found = self._pages.find({"job_id": job_id}, {"_id": False, "parts": True})
        with translated_errors():
            parts = [document.get("parts") for document in found]
        pages = [number for number in parts if isinstance(number, int)]
        return len(pages) - max(0, sum(pages) - len(parts))

    def get(self, job_id: str, number: int) -> Page:
        """Read one page."""
        with translated_errors():
            document = self._pages.find_one({"_id": page_id(job_id, number)})
            if document is None:
                raise JobNotFoundError
            return self._reader.page(document)

    def all(self, job_id: str, *, counted: Sequence[Block] | None = None) -> Iterator[Page]:
        """Read page after page."""
        with translated_errors():
            for document in self._in_order({"job_id": job_id, "records_through": {"$gte": 0}}, counted):
                yield self._reader.page(document)

    def some(self, job_id: str, numbers: Sequence[int]) -> Iterator[Page]:
        """Read pages and close the cursor, then unpack them one by one."""
        ids = [page_id(job_id, number) for number in numbers]
        with translated_errors():
            found = {each["_id"]: each for each in self._pages.find({"_id": {"$in": ids}}).batch_size(len(ids))}
        if len(found) < len(ids):
            raise JobNotFoundError
        for each in ids:
            with translated_errors():
                page = self._reader.page(found[each])
            yield page

    def keep_summary(self, job: Job, summary: bytes) -> None:
        """Store it beside the first page, with which it is removed."""
        fields = {"of": job.finished_at, "summary": Binary(summary), "expires_at": job.expires_at}
        with translated_errors():
            self._pages.update_one({"_id": summary_id(job.job_id)}, {"$set": fields}, upsert=True)

    def summary(self, job: Job) -> bytes | None:
        """Read it, if it is of the present end of the job."""
        with translated_errors():
            kept = self._pages.find_one({"_id": summary_id(job.job_id), "of": job.finished_at})
        return bytes(kept["summary"]) if kept is not None else None

    def read(
        self,
        job_id: str,
        export_type: ExportType,
        *,
        start: int,
        limit: int,
        counted: Sequence[Block] | None = None,
    ) -> RecordSlice:
        """Read records; an index leads to the page that holds the first one, wherever it lies."""
        with translated_errors():
            found = itertools.islice(self._places_from(job_id, export_type, start, counted), limit)
            places = list(within_bytes(found, size_of=lambda record: len(record or b"")))
        records = [record for record in places if record is not None]
        return RecordSlice(start, records, erased=len(places) - len(records))

    def describe_some(self, account_id: str) -> bool:
        """Note the range of ids of pages that older versions have stored."""
        return self._erasing.describe_some(account_id)

    def holding(self, erasure: Erasure) -> list[PagePlace]:
        """Ask an index."""
        return self._erasing.holding(erasure)

    def without(self, erasure: Erasure, job_id: str, number: int) -> Rewrite | None:
        """Read a page, and make it anew."""
        return self._erasing.without(erasure, job_id, number)

    def rewrite(self, rewrite: Rewrite) -> bool:
        """Write what was made, unless the page has another epoch or revision by now."""
        return self._erasing.rewrite(rewrite)

    def jobs_after(self, job_id: str | None, *, limit: int) -> list[str]:
        """Skip through the index of `_id` from job to job."""
        found = list[str]()
        after = "" if job_id is None else end_of(job_id)
        while len(found) < limit:
            with translated_errors():
                first = self._pages.find_one({"_id": {"$gte": after}}, {"_id": True}, sort=[("_id", ASCENDING)])
            if first is None:
                break
            found.append(first["_id"].partition(":")[0])
            after = end_of(found[-1])
        return found

    def orphaned_for(self, job_ids: Sequence[str], *, seconds: float) -> list[str]:
        """Note it in the first stored page of a job, which is removed last."""
        since = [{"$set": {"orphaned_since": {"$ifNull": ["$orphaned_since", "$$NOW"]}}}]
        shown = {"is_old": {"$lte": ["$orphaned_since", from_now(-seconds)]}}
        old = list[str]()
        for job_id in job_ids:
            with translated_errors():
                noted = self._pages.find_one_and_update(
                    {"_id": between(job_id)},
                    since,
                    shown,
                    sort=[("_id", ASCENDING)],
                    return_document=ReturnDocument.AFTER,
                )
            if noted is not None and noted["is_old"]:
                old.append(job_id)
        return old

    def erased_of(self, jobs: Sequence[Job]) -> Mapping[str, Erased]:
        """Add up what pages say."""
        return self._erasing.erased_of(jobs)

    def _places_from(
        self, job_id: str, export_type: ExportType, start: int, counted: Sequence[Block] | None
    ) -> Iterator[bytes | None]:
        """Return the record of each place, None where it was erased. Raises JobNotFoundError where a page is missing.

        Pages do not change but for erasures, which keep places, so that it does not matter that they are read one
        after the other; but they are removed one after the other as well.
        """
        end = start
        for document in self._from(job_id, start, counted):
            page = self._reader.page(document)
            with self._reader.setting_aside(document["_id"]):
                first = document["records_through"] - page.records
                places = records_by_place(export_type, page)
            if first > end:
                raise JobNotFoundError
            yield from places[max(0, end - first) :]
            end = max(end, first + page.records)

    def _from(self, job_id: str, start: int, counted: Sequence[Block] | None) -> Iterator[Document]:
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

    def _in_order(self, wanted: Document, counted: Sequence[Block] | None) -> Iterator[Document]:
        for document in self._pages.find(wanted).sort("records_through", ASCENDING).batch_size(_PAGES_A_BATCH):
            if counted is None or is_among(counted, place_in(document["_id"])[1]):
                yield document

    def _put(self, page_id: str, fields: Document) -> bool:
        mine = {"_id": page_id, "epoch": {"$lte": fields["epoch"]}}
        with translated_errors():
            try:
                change = {"$set": fields, "$unset": {"spoiled_at": True, "orphaned_since": True}}
                return self._pages.update_one(mine, change, upsert=True).matched_count > 0
            except DuplicateKeyError as error:
                raise LeaseLostError("Another worker has stored this page") from error

    def _in_portions(self, all_of_them: Document) -> Iterator[Document]:
        """Return filters for documents, a number of them at once, the last ones first."""
        end = all_of_them["$lt"]
        while True:
            ids = self._last_ids({"_id": {**all_of_them, "$lt": end}})
            if not ids:
                return
            yield {"_id": {"$gte": ids[-1], "$lt": end}}
            if len(ids) < self._pages_a_change:
                return
            end = ids[-1]

    def _last_ids(self, wanted: Document) -> list[str]:
        some = self._pages.find(wanted, {"_id": True}).sort("_id", DESCENDING).limit(self._pages_a_change)
        return [document["_id"] for document in some]
