"""MongoPageStore: pages in `integrations.hubspot.pages`, HubSpot's own bytes, compressed."""

from __future__ import annotations

import itertools
import sys
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from bson.binary import Binary
from pymongo import ASCENDING, DESCENDING
from pymongo.errors import DuplicateKeyError

from worker.erasures import Erased, Erasure
from worker.errors import JobNotFoundError, LeaseLostError
from worker.interfaces import RecordSlice
from worker.jobs import Job
from worker.lanes import Block, Lane, gaps_between, is_among
from worker.mongo.connection import Document, MongoDatabase, session_under_way, translated_errors
from worker.pages import (
    ExportType,
    Gap,
    Page,
    PagePlace,
    export_type_of,
    record_ids,
    records_by_place,
    within_bytes,
    without_record,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COLLECTION = "integrations.hubspot.pages"

_LEVEL = 3  # half the size of native documents, at a third of the server's work; higher levels cost more than they save
_MOST_BYTES = 15 * 1024 * 1024  # a document holds 16 MB, its other fields included
_PAGES_A_BATCH = 4
_PAGES_DESCRIBED = 10
_PAGES_A_CHANGE = 500  # a change of a million records' pages in one call would pass the time-out

_LOST = ("job_id", "records_through", "records", "erased.records", "erased.checksum")
_HAS_LOST = {"erased.records": {"$gt": 0}}  # as the index says it: of most jobs there is no page in there


class MongoPageStore:
    """One document a page, and one more for every further 15 MB of a compressed body.

    `_id` is `<job>:<page>:<part>`, zero-padded, so that a page is stored once and a lane's pages lie together in order.
    `records_through` is its end among all records of the job, which is where it is read; a page that is not to be read
    yet has none, and `lane_through` says where it ends in its lane.
    """

    def __init__(
        self, database: MongoDatabase, *, most_bytes: int = _MOST_BYTES, pages_a_change: int = _PAGES_A_CHANGE
    ) -> None:
        self._pages = database[COLLECTION]
        self._most_bytes = most_bytes
        self._pages_a_change = pages_a_change

    def ensure_indexes(self) -> None:
        """Create what reading from a place needs. Doing it again changes nothing."""
        with translated_errors():
            self._pages.create_index([("job_id", ASCENDING), ("records_through", ASCENDING), ("parts", ASCENDING)])
            self._pages.create_index(
                [(name, ASCENDING) for name in ("account_id", "type", "ids_from", "ids_to", "_id")]
            )
            self._pages.create_index([(name, ASCENDING) for name in _LOST], partialFilterExpression=_HAS_LOST)
            self._pages.create_index("expires_at", expireAfterSeconds=0)

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
        parts = self._packed(page.body)
        described = {
            "number": number,
            "parts": len(parts),
            "records": page.records,
            **_place(job, page, lane),
            "has_more": page.has_more,
            "offset": page.offset,
            "bytes": len(page.body),
            "gaps": [],
            "erased": None,
            **_range_of(record_ids(job.records_type, page.body) if ids is None else ids),
        }
        common = {
            "job_id": job.job_id,
            "account_id": job.account_id,
            "type": job.records_type.value,
            "hub_id": job.hub_id,
            "epoch": job.epoch,
            "expires_at": expires_at,
        }
        was_there = False
        for part in range(len(parts) - 1, -1, -1):
            fields = {**common, **(described if part == 0 else {}), "body": Binary(parts[part])}
            was_there = self._put(_id(job.job_id, number, part), fields)
        return was_there

    def seal(self, job: Job, lane: Lane, *, before: int) -> None:
        """Give the pages their ends among all records; under an older epoch nobody can do so from now on."""
        place = {"records_through": {"$add": ["$lane_through", before]}, "epoch": job.epoch}
        first, end = lane.first_page, lane.next_page
        with translated_errors():
            for number in range(first, end, self._pages_a_change):
                some = _between(job.job_id, number, min(number + self._pages_a_change, end))
                self._pages.update_many({"_id": some, "epoch": {"$lte": job.epoch}}, [{"$set": place}])

    def cut(self, job: Job, *, first: int = 0, end: int | None = None) -> None:
        """Delete pages, the last ones first."""
        with translated_errors():
            for some in self._in_portions(_between(job.job_id, first, end)):
                self._pages.delete_many({**some, "epoch": {"$lte": job.epoch}})

    def keep_only(self, job: Job, counted: Sequence[Block]) -> None:
        """Look for pages between and behind the counted ones: as a rule one query, of an index, that finds nothing."""
        ranges = [{"_id": _between(job.job_id, first, end)} for first, end in gaps_between(counted)]
        uncounted = {"$or": ranges, "epoch": {"$lte": job.epoch}}
        with translated_errors():
            while ids := self._last_ids(uncounted):
                self._pages.delete_many({"_id": {"$in": ids}, "epoch": {"$lte": job.epoch}})

    def expire(self, job_id: str, *, at: datetime | None) -> None:
        """Have MongoDB's TTL monitor remove a job's pages."""
        with translated_errors():
            for some in self._in_portions(_between(job_id)):
                self._pages.update_many({**some, "expires_at": {"$ne": at}}, {"$set": {"expires_at": at}})

    def remove(self, job_id: str) -> None:
        """Delete a job's pages, the last ones first: what is left of an interrupted removal has no holes."""
        with translated_errors():
            for some in self._in_portions(_between(job_id)):
                self._pages.delete_many(some)

    def count(self, job_id: str) -> int:
        """Count pages, answered by an index alone; a page of which a part is missing does not count."""
        found = self._pages.find({"job_id": job_id}, {"_id": False, "parts": True})
        with translated_errors():
            parts: list[int | None] = [document.get("parts") for document in found]
        pages = [number for number in parts if number is not None]
        return len(pages) - max(0, sum(pages) - len(parts))

    def get(self, job_id: str, number: int) -> Page:
        """Read one page."""
        with translated_errors():
            document = self._pages.find_one({"_id": _id(job_id, number, 0)})
            if document is None:
                raise JobNotFoundError
            return self._page(document)

    def all(self, job_id: str, *, counted: Sequence[Block] | None = None) -> Iterator[Page]:
        """Read page after page."""
        with translated_errors():
            for document in self._in_order({"job_id": job_id, "records_through": {"$gte": 0}}, counted):
                yield self._page(document)

    def some(self, job_id: str, numbers: Sequence[int]) -> Iterator[Page]:
        """Read pages and close the cursor, then unpack them one by one."""
        ids = [_id(job_id, number, 0) for number in numbers]
        with translated_errors():
            found = {each["_id"]: each for each in self._pages.find({"_id": {"$in": ids}}).batch_size(len(ids))}
        if len(found) < len(ids):
            raise JobNotFoundError
        for each in ids:
            with translated_errors():
                page = self._page(found[each])
            yield page

    def keep_summary(self, job: Job, summary: bytes) -> None:
        """Store it beside the first page, with which it is removed."""
        fields = {"of": job.finished_at, "summary": Binary(summary), "expires_at": job.expires_at}
        with translated_errors():
            self._pages.update_one({"_id": _summary_id(job)}, {"$set": fields}, upsert=True)

    def summary(self, job: Job) -> bytes | None:
        """Read it, if it is of the present end of the job."""
        with translated_errors():
            kept = self._pages.find_one({"_id": _summary_id(job), "of": job.finished_at})
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
        """Read pages that were stored without their type and the range of their ids, and note these."""
        nameless = {"account_id": account_id, "type": None, "number": {"$exists": True}}
        with translated_errors():
            found = list(self._pages.find(nameless).limit(_PAGES_DESCRIBED))
            for document in found:
                body = self._body(document)
                export_type = export_type_of(body)
                described = {"type": export_type.value, **_range_of(record_ids(export_type, body))}
                self._pages.update_one({"_id": document["_id"]}, {"$set": described})
        return bool(found)

    def holding(self, erasure: Erasure) -> list[PagePlace]:
        """Ask the index whose range of ids the record lies in; it answers without a look at a page."""
        wanted = {
            "account_id": erasure.copy_id.account_id,
            "type": erasure.copy_id.export_type.value,
            "ids_from": {"$lte": erasure.record_id},
            "ids_to": {"$gte": erasure.record_id},
        }
        with translated_errors():
            places = sorted(_place_in(document["_id"]) for document in self._pages.find(wanted, {"_id": True}))
        through = erasure.looked_through
        return places if through is None else places[bisect_right(places, through) :]

    def erase(self, erasure: Erasure, job_id: str, number: int) -> int:
        """Write a page anew without a record; its other places stay what they are."""
        with translated_errors():
            document = self._pages.find_one({"_id": _id(job_id, number, 0)}, session=session_under_way())
            if document is None or not erasure.concerns(document.get("hub_id")):
                return 0
            before, export_type = self._page(document), erasure.copy_id.export_type
            after = without_record(export_type, before, erasure.record_id, erasure_id=erasure.erasure_id)
            if after != before:
                erased = _erased(document).after(erasure.record_id, records=len(after.gaps) - len(before.gaps))
                self._rewrite(document, after, record_ids(export_type, after.body), erased)
        return len(after.gaps) - len(before.gaps)

    def erased_of(self, jobs: Sequence[Job]) -> Mapping[str, Erased]:
        """Add up what pages say, all of it from an index of those that have something to say."""
        readable, lost = {job.job_id: job.readable for job in jobs}, defaultdict[str, list[Erased]](list)
        wanted = {"job_id": {"$in": list(readable)}, **_HAS_LOST}
        shown = {"_id": False, **dict.fromkeys(_LOST, True)}
        with translated_errors():
            for document in self._pages.find(wanted, shown):
                job_id, through = document["job_id"], document["records_through"]
                if through is not None and through - document["records"] < readable[job_id]:
                    lost[job_id].append(_erased(document))
        return {job_id: Erased.of_parts(parts) for job_id, parts in lost.items()}

    def _rewrite(self, document: Document, page: Page, ids: Sequence[int | None], erased: Erased) -> None:
        job_id, number, parts = document["job_id"], document["number"], self._packed(page.body)
        gaps = [asdict(gap) for gap in page.gaps]
        described = {
            "parts": len(parts),
            "bytes": len(page.body),
            "gaps": gaps,
            "erased": asdict(erased),
            **_range_of(ids),
        }
        for part, packed in enumerate(parts):
            fields = {**(described if part == 0 else {}), "body": Binary(packed)}
            self._pages.update_one({"_id": _id(job_id, number, part)}, {"$set": fields}, session=session_under_way())
        left_over = [_id(job_id, number, part) for part in range(len(parts), document["parts"])]
        self._pages.delete_many({"_id": {"$in": left_over}}, session=session_under_way())

    def _places_from(
        self, job_id: str, export_type: ExportType, start: int, counted: Sequence[Block] | None
    ) -> Iterator[bytes | None]:
        """Give the record of each place, None where it was erased."""
        for document in self._in_order({"job_id": job_id, "records_through": {"$gt": start}}, counted):
            first = document["records_through"] - document["records"]
            yield from records_by_place(export_type, self._page(document))[max(0, start - first) :]

    def _in_order(self, wanted: Document, counted: Sequence[Block] | None) -> Iterator[Document]:
        for document in self._pages.find(wanted).sort("records_through", ASCENDING).batch_size(_PAGES_A_BATCH):
            if counted is None or is_among(counted, document["number"]):
                yield document

    def _page(self, document: Document) -> Page:
        return Page(
            body=self._body(document),
            records=document["records"],
            has_more=document["has_more"],
            offset=document["offset"],
            gaps=_gaps(document),
        )

    def _packed(self, body: bytes) -> list[bytes]:
        packed = zstd.compress(body, _LEVEL)
        return [packed[i : i + self._most_bytes] for i in range(0, len(packed), self._most_bytes)]

    def _body(self, document: Document) -> bytes:
        ids = [_id(document["job_id"], document["number"], part) for part in range(1, document["parts"])]
        wanted = {"_id": {"$in": ids}}
        more = list(self._pages.find(wanted, session=session_under_way()).sort("_id", ASCENDING)) if ids else []
        if len(more) < len(ids):
            raise JobNotFoundError
        return zstd.decompress(b"".join(part["body"] for part in (document, *more)))

    def _put(self, page_id: str, fields: Document) -> bool:
        mine = {"_id": page_id, "epoch": {"$lte": fields["epoch"]}}
        with translated_errors():
            try:
                return self._pages.update_one(mine, {"$set": fields}, upsert=True).matched_count > 0
            except DuplicateKeyError as error:
                raise LeaseLostError("Another worker has stored this page") from error

    def _in_portions(self, all_of_them: Document) -> Iterator[Document]:
        """Give filters for documents, a number of them at once, the last ones first."""
        end = all_of_them["$lt"]
        while True:
            ids = self._last_ids({"_id": {**all_of_them, "$lt": end}})
            if not ids:
                return
            yield {"_id": {"$gte": ids[-1], "$lt": end}}
            end = ids[-1]

    def _last_ids(self, wanted: Document) -> list[str]:
        some = self._pages.find(wanted, {"_id": True}).sort("_id", DESCENDING).limit(self._pages_a_change)
        return [document["_id"] for document in some]


def _place(job: Job, page: Page, lane: Lane | None) -> Document:
    if lane is None:
        return {"records_through": job.progress.records + page.records}
    through = lane.records + page.records
    return {"records_through": through if lane.number == 0 else None, "lane_through": through}


def _range_of(ids: Sequence[int | None]) -> Document:
    known = [each for each in ids if each is not None]
    return {"ids_from": min(known, default=None), "ids_to": max(known, default=None)}


def _erased(document: Document) -> Erased:
    return Erased(**document.get("erased") or {})


def _gaps(document: Document) -> tuple[Gap, ...]:
    return tuple(Gap(**gap) for gap in document.get("gaps", ()))


def _between(job_id: str, first: int = 0, end: int | None = None) -> Document:
    """Choose pages by their `_id`; the character after the one between its parts comes after all of them."""
    return {"$gte": _id(job_id, first, 0), "$lt": f"{job_id};" if end is None else _id(job_id, end, 0)}


def _id(job_id: str, number: int, part: int) -> str:
    return f"{job_id}:{number:08d}:{part:03d}"


def _place_in(page_id: str) -> PagePlace:
    job_id, number, _ = page_id.rsplit(":", maxsplit=2)
    return job_id, int(number)


def _summary_id(job: Job) -> str:
    """Give an id that lies among the first page's, so that whatever is done to a job's pages is done to it."""
    return f"{job.job_id}:{0:08d}:summary"
