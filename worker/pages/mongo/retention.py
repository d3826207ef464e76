"""MongoPageRetention: PageRetention, by MongoDB's TTL monitor."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pymongo import ASCENDING, ReturnDocument

from worker.mongo.database import from_now, translated_errors
from worker.pages.mongo.collection import PageCollection
from worker.pages.mongo.documents import between, end_of


class MongoPageRetention(PageCollection):
    """Changes and removes pages a few hundred at a time, the last ones first."""

    def expire(self, job_id: str, *, at: datetime | None) -> None:
        with translated_errors():
            for some in self._in_portions(between(job_id)):
                self._pages.update_many({**some, "expires_at": {"$ne": at}}, {"$set": {"expires_at": at}})

    def expire_all(self, job_ids: Sequence[str], *, pages: int, at: datetime) -> None:
        """Change few pages in one call, many pages job after job."""
        if pages > self._pages_a_change:
            for job_id in job_ids:
                self.expire(job_id, at=at)
            return
        theirs = {"$or": [{"_id": between(job_id)} for job_id in job_ids], "expires_at": {"$ne": at}}
        with translated_errors():
            self._pages.update_many(theirs, {"$set": {"expires_at": at}}, hint="_id_")

    def remove(self, job_id: str) -> None:
        """Delete the last pages first: an interrupted removal leaves no gaps."""
        with translated_errors():
            for some in self._in_portions(between(job_id)):
                self._pages.delete_many(some)

    def jobs_after(self, job_id: str | None, *, limit: int) -> list[str]:
        """Jump in the index of `_id` from job to job, without reading the pages in between."""
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
        """Note it in a job's first stored page, which is the last one that is removed."""
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
