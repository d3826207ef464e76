"""MongoDeliveryStore: deliveries in the jobs' own documents; MongoDB's clock alone decides what is due."""

from __future__ import annotations

from pymongo import ASCENDING, ReturnDocument

from worker.jobs.job import Job
from worker.jobs.mongo.documents import COLLECTION, FINISHED, from_document, webhook_to_document
from worker.jobs.webhook import WebhookStatus
from worker.mongo.database import Document, MongoDatabase, from_now, translated_errors
from worker.webhooks.interfaces import Recipient

_IS_DATE = {"$type": "date"}  # as in the index, which holds no job without an outstanding delivery
_OUTSTANDING = {"deliver_at": _IS_DATE, "status": {"$in": FINISHED}}
_IS_DUE = {"$lte": ["$deliver_at", "$$NOW"]}
_NEXT_REVISION = {"$add": [{"$ifNull": ["$revision", 0]}, 1]}  # fails the write of whoever read a sync before this
_IS_SAME_ENDING = {"$eq": ["$webhook.ending", "$resumes"]}


class MongoDeliveryStore:
    """Each delivery is taken by one atomic update, so that of two who try at once one finds nothing."""

    def __init__(self, database: MongoDatabase) -> None:
        self._jobs = database[COLLECTION]

    def ensure_indexes(self) -> None:
        """Create an index of what is outstanding, and of nothing else."""
        with translated_errors():
            self._jobs.create_index("deliver_at", partialFilterExpression={"deliver_at": _IS_DATE})

    def take_due(self, *, quiet_s: float, limit: int) -> list[str]:
        """Read a batch from the index and mark what nobody else has marked since; where somebody has, read another."""
        # A batch, since taking the first one again and again would scan past all that are published already each time.
        due = {**_OUTSTANDING, "$expr": {"$and": [_IS_DUE, _was_not_published(quiet_s)]}}
        taken: list[str] = []
        with translated_errors():
            while (wanted := limit - len(taken)) > 0:
                found = list(self._jobs.find(due, {"_id": True}).sort("deliver_at", ASCENDING).limit(wanted))
                taken += [document["_id"] for document in found if self._mark({"_id": document["_id"], **due})]
                if len(found) < wanted:
                    break
        return taken

    def recipient_of(self, job_id: str) -> Recipient | None:
        with translated_errors():
            document = self._jobs.find_one(_due(job_id), {"account_id": True, "webhook.url": True})
        if document is None:
            return None
        return Recipient(account_id=document["account_id"], url=document["webhook"]["url"])

    def claim(self, job_id: str, *, lease_s: float) -> Job | None:
        """Claim it by the same update that makes it due later."""
        change = {
            "deliver_at": from_now(lease_s),
            # Attempts are counted for each end of the job: one that was retried and ends again starts at 1.
            "webhook.attempts": {"$cond": [_IS_SAME_ENDING, {"$add": ["$webhook.attempts", 1]}, 1]},
            "webhook.ending": "$resumes",
            "webhook.outcome": WebhookStatus.PENDING.value,
            "revision": _NEXT_REVISION,
        }
        with translated_errors():
            document = self._jobs.find_one_and_update(
                _due(job_id), [{"$set": change}], return_document=ReturnDocument.AFTER
            )
        return from_document(document) if document is not None else None

    def note(self, told: Job, *, again_in_s: float | None) -> bool:
        """Write the webhook as a whole: nobody else has since it was claimed."""
        if told.webhook is None:
            return False
        # Matches nothing once the job was retried or removed, or the delivery was claimed again.
        mine = {
            "_id": told.job_id,
            "resumes": told.run_number,
            "webhook.attempts": told.webhook.attempts,
            "webhook.ending": told.run_number,
            **_OUTSTANDING,
        }
        change = {
            "webhook": {"$literal": webhook_to_document(told.webhook)},
            "deliver_at": from_now(again_in_s) if again_in_s is not None else None,
            "revision": _NEXT_REVISION,
        }
        with translated_errors():
            return self._jobs.update_one(mine, [{"$set": change}]).matched_count > 0

    def _mark(self, due: Document) -> bool:
        return self._jobs.update_one(due, [{"$set": {"webhook.rung_at": "$$NOW"}}]).matched_count > 0


def _was_not_published(quiet_s: float) -> Document:
    return {
        "$or": [
            {"$lt": ["$webhook.rung_at", "$deliver_at"]},
            {"$lt": ["$webhook.rung_at", from_now(-quiet_s)]},
        ]
    }


def _due(job_id: str) -> Document:
    return {"_id": job_id, **_OUTSTANDING, "$expr": _IS_DUE}
