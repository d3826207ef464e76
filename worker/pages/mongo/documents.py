"""Page <-> the documents that hold it: `_id` is `<job>:<page>:<part>`, zero-padded, a further part every 15 MB."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import uuid4

from msgspec import MsgspecError
from pymongo import ASCENDING
from pymongo.client_session import ClientSession

from worker.errors import JobNotFoundError, SpoiledPageError
from worker.jobs.job import Job
from worker.jobs.lanes import Lane
from worker.mongo.database import Document, MongoDatabase, at_one_moment, translated_errors
from worker.mongo.spoiled import SpoiledDocuments
from worker.records.erasure import Erased
from worker.records.page import Gap, Page
from worker.records.types import PagePlace

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COLLECTION = "integrations.hubspot.pages"

NO_IDS, UNKNOWN_IDS = -1, -2
"""The `span` of a page without ids and of all parts but the first; and of a page whose ids cannot be read."""

_LEVEL = 3  # half the size of plain documents at a third of the server's work; higher levels cost more than they save
_PACKING: dict[int, int] = {
    zstd.CompressionParameter.compression_level: _LEVEL,
    zstd.CompressionParameter.checksum_flag: True,
}
UNREADABLE = (LookupError, TypeError, ValueError, StopIteration, RecursionError, MsgspecError, zstd.ZstdError)


class PageReader:
    """Reads pages from documents. One that cannot be read is reported and set aside; no other page is affected."""

    def __init__(self, database: MongoDatabase, spoiled: SpoiledDocuments) -> None:
        self._database = database
        self._pages = database[COLLECTION]
        self._spoiled = spoiled

    def page(self, document: Document) -> Page:
        """Return the page of a first part, reading the other parts.

        Raises SpoiledPageError, and JobNotFoundError where a part is missing: the page is being removed.
        """
        with self.setting_aside(document["_id"]):
            if document["parts"] > 1:
                return self._page_in_parts(document["_id"])
            return _page(document, [document])

    @contextmanager
    def setting_aside(self, page_id: str) -> Iterator[None]:
        """Translate errors that a document's content causes into SpoiledPageError, and report the page once."""
        try:
            yield
        except UNREADABLE as error:
            self.set_aside(page_id, error)
            raise SpoiledPageError(*place_in(page_id)) from error

    def set_aside(self, page_id: str, error: Exception) -> None:
        """Mark and report a page, unless it is marked; storing the page again removes the mark."""
        mark = [{"$set": {"spoiled_at": "$$NOW"}}]
        with translated_errors():
            marked = self._pages.update_one({"_id": page_id, "spoiled_at": None}, mark).modified_count
        if marked:
            self._spoiled.report(COLLECTION, page_id, error)

    def _page_in_parts(self, first_id: str) -> Page:
        """Read all parts in one snapshot: an erasure may rewrite them meanwhile."""
        job_id, number = place_in(first_id)

        def read(session: ClientSession) -> list[Document]:
            first = self._pages.find_one({"_id": first_id}, session=session)
            if first is None:
                raise JobNotFoundError
            wanted = {"_id": {"$in": [page_id(job_id, number, part) for part in range(1, first["parts"])]}}
            return [first, *self._pages.find(wanted, session=session).sort("_id", ASCENDING)]

        parts = at_one_moment(self._database, read)
        if len(parts) < parts[0]["parts"]:
            raise JobNotFoundError
        return _page(parts[0], parts)


def packed(body: bytes, *, most_bytes: int) -> list[bytes]:
    """Compress a body, with a checksum, and split it into parts that documents can hold."""
    whole = zstd.compress(body, options=_PACKING)
    return [whole[i : i + most_bytes] for i in range(0, len(whole), most_bytes)]


def description(page: Page, parts: Sequence[bytes], ids: Sequence[int | None]) -> Document:
    """Return the fields of the first part that describe a page's content; each write has a new `revision`."""
    return {"parts": len(parts), "bytes": len(page.body), **range_of(ids), "revision": uuid4().hex}


def range_of(ids: Sequence[int | None]) -> Document:
    """Return the least and the greatest id; their distance is less than 2 to the power of `span`."""
    known = [each for each in ids if each is not None]
    if not known:
        return {"ids_from": None, "ids_to": None, "span": NO_IDS}
    return {"ids_from": min(known), "ids_to": max(known), "span": span_of(min(known), max(known))}


def span_of(first: int, last: int) -> int:
    """Return the number of bits of the distance."""
    return (last - first).bit_length()


def position_among_records(job: Job, page: Page, lane: Lane | None) -> Document:
    """Return where a page ends among the records of its job, or of a lane that is not closed yet."""
    if lane is None:
        return {"records_through": job.progress.records + page.records}
    through = lane.records + page.records
    return {"records_through": through if lane.number == 0 else None, "lane_through": through}


def erased_in(document: Document) -> Erased:
    return Erased(**document.get("erased") or {})


def page_id(job_id: str, number: int, part: int = 0) -> str:
    """Return the `_id` of a part of a page."""
    return f"{job_id}:{number:08d}:{part:03d}"


def summary_id(job_id: str) -> str:
    """Return an id among those of the first page, so that whatever is done to a job's pages is done to it."""
    return f"{job_id}:{0:08d}:summary"


def place_in(document_id: str) -> PagePlace:
    """Return the job and the number of the page in an `_id`."""
    job_id, number, _ = document_id.rsplit(":", maxsplit=2)
    return job_id, int(number)


def end_of(job_id: str) -> str:
    """Return what sorts behind all of a job's `_id`s: `;` follows `:`."""
    return f"{job_id};"


def between(job_id: str, first: int = 0, end: int | None = None) -> Document:
    """Match the `_id`s of the pages numbered from `first` to before `end`."""
    return {"$gte": page_id(job_id, first), "$lt": end_of(job_id) if end is None else page_id(job_id, end)}


def _page(first: Document, parts: Sequence[Document]) -> Page:
    body = zstd.decompress(b"".join(part["body"] for part in parts))
    records, has_more, offset = first["records"], first["has_more"], first["offset"]
    if len(body) != first.get("bytes", len(body)):
        raise ValueError("the body is not of the length that was stored")
    if not isinstance(records, int) or not isinstance(has_more, bool) or not isinstance(offset, int | str | None):
        raise TypeError("a field is of another type than was stored")
    return Page(body=body, records=records, has_more=has_more, offset=offset, gaps=_gaps(first))


def _gaps(document: Document) -> tuple[Gap, ...]:
    return tuple(Gap(**gap) for gap in document.get("gaps", ()))
