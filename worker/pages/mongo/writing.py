"""MongoPageWriter: PageWriter, guarded by the epoch that each document carries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bson.binary import Binary
from pymongo.errors import DuplicateKeyError

from worker.errors import LeaseLostError
from worker.jobs.job import Job
from worker.jobs.lanes import Lane
from worker.jobs.page_runs import PageRun, gaps_between
from worker.mongo.database import Document, translated_errors
from worker.pages.mongo.collection import PageCollection
from worker.pages.mongo.documents import NO_IDS, between, description, packed, page_id, position_among_records
from worker.records.page import Page, record_ids


class MongoPageWriter(PageCollection):
    """One document a page, and one more for every further 15 MB of a compressed body.

    `records_through` is where a page ends among all records of the job, which is where it is read; a page that is not
    to be read yet has none, and `lane_through` tells where it ends in its lane.
    """

    def add(
        self,
        job: Job,
        page: Page,
        *,
        lane: Lane | None = None,
        ids: Sequence[int | None] | None = None,
        expires_at: datetime | None = None,
    ) -> bool:
        """Write the parts backwards: the first one makes the page visible, and is written last."""
        number = job.progress.pages if lane is None else lane.next_page
        parts = packed(page.body, most_bytes=self._most_bytes)
        described = {
            "number": number,
            "records": page.records,
            **position_among_records(job, page, lane),
            "has_more": page.has_more,
            "offset": page.offset,
            "gaps": [],
            "erased": None,
            **description(page, parts, record_ids(job.records_type, page.body) if ids is None else ids),
        }
        common = {
            "job_id": job.job_id,
            "account_id": job.account_id,
            "type": job.records_type,
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

    def close_lane(self, job: Job, lane: Lane, *, before: int) -> None:
        """Set where each page ends among all records, under this epoch: an older one cannot write them any more."""
        place = {"records_through": {"$add": ["$lane_through", before]}, "epoch": job.epoch}
        first, end = lane.first_page, lane.next_page
        with translated_errors():
            for number in range(first, end, self._pages_a_change):
                some = between(job.job_id, number, min(number + self._pages_a_change, end))
                self._pages.update_many({"_id": some, "epoch": {"$lte": job.epoch}}, [{"$set": place}])

    def cut(self, job: Job, *, first: int = 0, end: int | None = None) -> None:
        """Delete the last pages first: an interrupted cut leaves no gaps."""
        with translated_errors():
            for some in self._in_portions(between(job.job_id, first, end)):
                self._pages.delete_many({**some, "epoch": {"$lte": job.epoch}})

    def keep_only(self, job: Job, counted: Sequence[PageRun]) -> None:
        """Look for pages between and behind these runs: usually one query, answered by an index, finds nothing."""
        ranges = [{"_id": between(job.job_id, first, end)} for first, end in gaps_between(counted)]
        uncounted = {"$or": ranges, "epoch": {"$lte": job.epoch}}
        with translated_errors():
            while ids := self._last_ids(uncounted):
                self._pages.delete_many({"_id": {"$in": ids}, "epoch": {"$lte": job.epoch}})

    def _put(self, page_id: str, fields: Document) -> bool:
        mine = {"_id": page_id, "epoch": {"$lte": fields["epoch"]}}
        with translated_errors():
            try:
                change = {"$set": fields, "$unset": {"spoiled_at": True, "orphaned_since": True}}
                return self._pages.update_one(mine, change, upsert=True).matched_count > 0
            except DuplicateKeyError as error:
                raise LeaseLostError("Another worker has stored this page") from error
