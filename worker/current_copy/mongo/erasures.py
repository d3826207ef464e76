"""MongoErasureStore: erasures in `integrations.hubspot.erasures`, work list and audit trail in one; never removed."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import uuid4

from pymongo import ASCENDING, ReturnDocument

from worker.mongo.database import Document, MongoDatabase, drop_index, from_now, session_under_way, translated_errors
from worker.records.erasure import Erasure
from worker.records.types import CopyId, ExportType, PagePlace

COLLECTION = "integrations.hubspot.erasures"

_PASSES = 2
_LEASE_S = 60  # then the worker counts as dead
_CALLS_END_WITHIN_S = 600  # no page takes longer from its first call to its storage, however slow HubSpot is
_IS_OPEN = {"$type": "date"}  # as in the partial index, which holds no finished ones
_BY_DUE = [("due_at", ASCENDING), ("_id", ASCENDING)]


class MongoErasureStore:
    """One document for each erasure, which is open while it has a `due_at`. MongoDB's clock alone decides."""

    def __init__(self, database: MongoDatabase) -> None:
        self._erasures = database[COLLECTION]

    def ensure_indexes(self) -> None:
        with translated_errors():
            self._erasures.create_index(
                [("account_id", ASCENDING), ("type", ASCENDING), ("record_id", ASCENDING)],
                partialFilterExpression={"due_at": _IS_OPEN},
            )
            self._erasures.create_index(_BY_DUE, partialFilterExpression={"due_at": _IS_OPEN})
            drop_index(self._erasures, "due_at_1")  # of older versions: sparse, which `$expr` cannot use

    def add(self, copy: CopyId, record_id: int, *, requested_by: str) -> Erasure:
        begun = {
            "account_id": {"$literal": copy.account_id},
            "type": copy.export_type,
            "hub_id": copy.hub_id,
            "record_id": record_id,
            "requested_by": {"$literal": requested_by},
            "requested_at": "$$NOW",
            "was_in_copy": None,
            "pages": 0,
            "jobs": 0,
            "looks": 0,
            "looked_through": None,
            "finished_at": None,
            "due_at": from_now(_LEASE_S),
        }
        with translated_errors():
            written = self._erasures.find_one_and_update(
                {"_id": uuid4().hex}, [{"$set": begun}], upsert=True, return_document=ReturnDocument.AFTER
            )
        assert written is not None  # noqa: S101 - an upsert gives what it wrote
        return _erasure(written)

    def open_of(self, copy: CopyId, record_ids: Iterable[int]) -> list[Erasure]:
        wanted = {
            "account_id": copy.account_id,
            "type": copy.export_type,
            "record_id": {"$in": list(record_ids)},
            "due_at": _IS_OPEN,
            **({"hub_id": {"$in": [copy.hub_id, None]}} if copy.hub_id is not None else {}),
        }
        with translated_errors():
            return [_erasure(document) for document in self._erasures.find(wanted, session=session_under_way())]

    def has_open(self, account_id: str, export_type: ExportType) -> bool:
        wanted = {"account_id": account_id, "type": export_type, "due_at": _IS_OPEN}
        with translated_errors():
            return self._erasures.find_one(wanted, {"_id": True}) is not None

    def take_due(self) -> Erasure | None:
        """Claim the one that has been due longest, in one atomic update."""
        due = {"due_at": _IS_OPEN, "$expr": {"$lte": ["$due_at", "$$NOW"]}}
        with translated_errors():
            document = self._erasures.find_one_and_update(
                due,
                [{"$set": {"due_at": from_now(_LEASE_S)}}],
                sort=[("due_at", ASCENDING)],
                return_document=ReturnDocument.AFTER,
            )
        return _erasure(document) if document is not None else None

    def release(self, erasure: Erasure, *, looked_through: PagePlace | None) -> None:
        """Make it due now, unless another process has finished the pass, and set when the next one is."""
        mine = {"_id": erasure.erasure_id, "looks": erasure.looks}
        with translated_errors():
            self._erasures.update_one(
                mine, [{"$set": {"due_at": "$$NOW", "looked_through": {"$literal": looked_through}}}]
            )

    def note_copy(self, erasure: Erasure, *, was_there: bool) -> None:
        """Write it unless it is written."""
        with translated_errors():
            self._erasures.update_one(
                {"_id": erasure.erasure_id, "was_in_copy": None},
                {"$set": {"was_in_copy": was_there}},
                session=session_under_way(),
            )

    def count_page(self, erasure: Erasure, *, job_id: str) -> None:
        """Count, and store the job, since the pages of a job come one after the other."""
        is_other_job = {"$cond": [{"$eq": ["$last_job", {"$literal": job_id}]}, 0, 1]}
        counted = {
            "pages": {"$add": ["$pages", 1]},
            "jobs": {"$add": ["$jobs", is_other_job]},
            "last_job": {"$literal": job_id},
        }
        with translated_errors():
            self._erasures.update_one({"_id": erasure.erasure_id}, [{"$set": counted}], session=session_under_way())

    def note_unreadable(self, erasure: Erasure, page: PagePlace) -> None:
        with translated_errors():
            self._erasures.update_one({"_id": erasure.erasure_id}, {"$addToSet": {"unreadable": list(page)}})

    def finish_pass(self, erasure: Erasure) -> Erasure:
        """Count a pass once and set when the next may begin; after the last one the erasure is closed."""
        looks = {"$add": ["$looks", 1]}
        is_over = {"$gte": ["$looks", _PASSES]}
        ends = {
            "looked_through": None,
            "finished_at": {"$cond": [is_over, {"$ifNull": ["$finished_at", "$$NOW"]}, None]},
            "due_at": {"$cond": [is_over, "$$REMOVE", from_now(_CALLS_END_WITHIN_S)]},
        }
        mine = {"_id": erasure.erasure_id, "looks": erasure.looks}
        with translated_errors():
            self._erasures.update_one(mine, [{"$set": {"looks": looks}}, {"$set": ends}])
            return _erasure(self._erasures.find_one({"_id": erasure.erasure_id}) or {})


def _erasure(document: Document) -> Erasure:
    through = document["looked_through"]
    return Erasure(
        erasure_id=document["_id"],
        copy_id=CopyId(
            account_id=document["account_id"],
            export_type=ExportType(document["type"]),
            hub_id=document.get("hub_id"),
        ),
        record_id=document["record_id"],
        requested_by=document["requested_by"],
        requested_at=document["requested_at"],
        was_in_copy=document["was_in_copy"],
        pages=document["pages"],
        jobs=document["jobs"],
        looks=document["looks"],
        looked_through=(through[0], through[1]) if through is not None else None,
        unreadable=tuple((job_id, number) for job_id, number in document.get("unreadable", ())),
        finished_at=document["finished_at"],
    )
