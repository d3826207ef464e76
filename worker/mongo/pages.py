"""MongoPageStore: pages in `integrations.hubspot.pages`, HubSpot's own bytes, compressed."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from datetime import datetime

from bson.binary import Binary
from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from worker.errors import JobNotFoundError, LeaseLostError
from worker.interfaces import RecordSlice
from worker.jobs import Job
from worker.mongo.connection import Document, MongoDatabase, translated_errors
from worker.pages import ExportType, Page, split_records

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COLLECTION = "integrations.hubspot.pages"

_LEVEL = 3  # half the size of native documents, at a third of the server's work; higher levels cost more than they save
_MOST_BYTES = 15 * 1024 * 1024  # a document holds 16 MB, its other fields included
_PAGES_A_BATCH = 4


class MongoPageStore:
    """One document a page, and one more for every further 15 MB of a compressed body.

    `_id` is `<job>:<page>:<part>`, zero-padded, so that a page is stored once and a job's pages lie together in order.
    """

    def __init__(self, database: MongoDatabase, *, most_bytes: int = _MOST_BYTES) -> None:
        self._pages = database[COLLECTION]
        self._most_bytes = most_bytes

    def ensure_indexes(self) -> None:
        """Create what reading from a place needs. Doing it again changes nothing."""
        with translated_errors():
            self._pages.create_index([("job_id", ASCENDING), ("records_through", ASCENDING)])
            self._pages.create_index("expires_at", expireAfterSeconds=0)

    def add(self, job: Job, page: Page, *, expires_at: datetime | None = None) -> None:
        """Store the page after the job's last checkpoint; the part that makes it visible is written last."""
        number, through = job.progress.pages, job.progress.records + page.records
        packed = zstd.compress(page.body, _LEVEL)
        parts = [packed[i : i + self._most_bytes] for i in range(0, len(packed), self._most_bytes)]
        described = {
            "number": number,
            "parts": len(parts),
            "records": page.records,
            "records_through": through,
            "has_more": page.has_more,
            "offset": page.offset,
            "bytes": len(page.body),
        }
        common = {"job_id": job.job_id, "account_id": job.account_id, "epoch": job.epoch, "expires_at": expires_at}
        for part in range(len(parts) - 1, -1, -1):
            fields = {**common, **(described if part == 0 else {}), "body": Binary(parts[part])}
            self._put(_id(job.job_id, number, part), fields)

    def expire(self, job_id: str, *, at: datetime) -> None:
        """Have MongoDB's TTL monitor remove a job's pages."""
        with translated_errors():
            self._pages.update_many({"job_id": job_id}, {"$set": {"expires_at": at}})

    def get(self, job_id: str, number: int) -> Page:
        """Read one page."""
        with translated_errors():
            document = self._pages.find_one({"_id": _id(job_id, number, 0)})
            if document is None:
                raise JobNotFoundError
            return Page(
                body=self._body(document),
                records=document["records"],
                has_more=document["has_more"],
                offset=document["offset"],
            )

    def read(self, job_id: str, export_type: ExportType, *, start: int, limit: int) -> RecordSlice:
        """Read records; an index leads to the page that holds the first one, wherever it lies."""
        with translated_errors():
            records = itertools.islice(self._records_from(job_id, export_type, start), limit)
            return RecordSlice(start, list(records))

    def _records_from(self, job_id: str, export_type: ExportType, start: int) -> Iterator[bytes]:
        found = self._pages.find({"job_id": job_id, "records_through": {"$gt": start}})
        for document in found.sort("records_through", ASCENDING).batch_size(_PAGES_A_BATCH):
            first = document["records_through"] - document["records"]
            yield from split_records(export_type, self._body(document))[max(0, start - first) :]

    def _body(self, document: Document) -> bytes:
        ids = [_id(document["job_id"], document["number"], part) for part in range(1, document["parts"])]
        more = self._pages.find({"_id": {"$in": ids}}).sort("_id", ASCENDING) if ids else ()
        return zstd.decompress(b"".join(part["body"] for part in (document, *more)))

    def _put(self, page_id: str, fields: Document) -> None:
        with translated_errors():
            try:
                self._pages.update_one(
                    {"_id": page_id, "epoch": {"$lte": fields["epoch"]}}, {"$set": fields}, upsert=True
                )
            except DuplicateKeyError as error:
                raise LeaseLostError("Another worker has stored this page") from error


def _id(job_id: str, number: int, part: int) -> str:
    return f"{job_id}:{number:08d}:{part:03d}"
