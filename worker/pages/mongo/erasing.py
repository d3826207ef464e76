"""MongoErasablePages: finds the pages that may hold a record, and rewrites them without it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bson.binary import Binary
from pymongo import ASCENDING, UpdateOne
from pymongo.errors import OperationFailure

from worker.errors import SpoiledPageError
from worker.mongo.database import Document, session_under_way, translated_errors
from worker.pages.mongo.collection import PageCollection
from worker.pages.mongo.documents import (
    NO_IDS,
    UNKNOWN_IDS,
    description,
    erased_in,
    packed,
    page_id,
    place_in,
    range_of,
    span_of,
)
from worker.records.erasure import Erasure, Rewrite
from worker.records.page import documented_type_of, record_ids, without_record
from worker.records.types import DOCUMENTED_TYPES, PagePlace

_PAGES_DESCRIBED, _RANGES_DESCRIBED = 10, 500
_SPANS = range(65)  # ids have 64 bits
_LEAST_ID = -(2**63)
_BAD_VALUE = 2  # no such index

BY_IDS = [(name, ASCENDING) for name in ("account_id", "type", "span", "ids_from", "ids_to", "_id")]
BY_IDS_BEFORE = "account_id_1_type_1_ids_from_1_ids_to_1__id_1"  # of older versions
_COMMON = ("job_id", "account_id", "type", "hub_id", "epoch", "expires_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What to write: into the first part, provided that it is as it was `seen`, and into the others."""

    seen: Document
    first: Document
    common: Document
    parts: Sequence[bytes]
    left_over: Sequence[str]


class MongoErasablePages(PageCollection):
    """Looks pages up by the range of their ids, in classes of range lengths (`span`).

    An index of the starts alone would match every page of the account with lower ids. Of the ranges shorter than a
    power of two, only those can hold an id that start less than that before it.
    """

    def describe_some(self, account_id: str) -> bool:
        """Store the id ranges of pages of older versions, all of documented types; those without a type are read."""
        types = [None, *DOCUMENTED_TYPES]
        nameless = {"account_id": account_id, "type": {"$in": types}, "span": None, "number": {"$exists": True}}
        shown = dict.fromkeys(("type", "ids_from", "ids_to"), True)
        with translated_errors():
            found = list(self._pages.find(nameless, shown).limit(_RANGES_DESCRIBED))
            known = [each for each in found if each.get("type") is not None]
            unread = [each for each in found if each.get("type") is None][:_PAGES_DESCRIBED]
            changes = [(each["_id"], _known_range(each)) for each in known]
            changes += [(each["_id"], self._described(each["_id"])) for each in unread]
            if changes:
                self._pages.bulk_write([UpdateOne({"_id": key}, {"$set": fields}) for key, fields in changes])
        return bool(found)

    def holding(self, erasure: Erasure) -> list[PagePlace]:
        """Query the index alone. A page that cannot be read may hold any record."""
        with translated_errors():
            places = sorted(place_in(document["_id"]) for document in self._found(_places_of(erasure)))
        through = erasure.looked_through
        return places if through is None else places[bisect_right(places, through) :]

    def without(self, erasure: Erasure, job_id: str, number: int) -> Rewrite | None:
        with translated_errors():
            document = self._pages.find_one({"_id": page_id(job_id, number)})
        if document is None or not erasure.concerns(document.get("hub_id")):
            return None
        before, export_type = self._reader.page(document), erasure.copy_id.export_type
        with self._reader.setting_aside(document["_id"]):
            after = without_record(export_type, before, erasure.record_id, erasure_id=erasure.erasure_id)
            if after == before:
                return None
            lost = len(after.gaps) - len(before.gaps)
            parts = packed(after.body, most_bytes=self._most_bytes)
            first = {
                **description(after, parts, record_ids(export_type, after.body)),
                "gaps": [asdict(gap) for gap in after.gaps],
                "erased": asdict(erased_in(document).after(erasure.record_id, records=lost)),
            }
            plan = _Plan(
                seen={name: document.get(name) for name in ("epoch", "revision", "bytes")},
                first=first,
                common={name: document.get(name) for name in _COMMON} | {"span": NO_IDS},
                parts=parts,
                left_over=[page_id(job_id, number, part) for part in range(len(parts), document["parts"])],
            )
            return Rewrite(job_id=job_id, number=number, lost=lost, plan=plan)

    def rewrite(self, rewrite: Rewrite) -> bool:
        plan, session = rewrite.plan, session_under_way()
        assert isinstance(plan, _Plan)  # noqa: S101 - made above
        first, *others = [page_id(rewrite.job_id, rewrite.number, part) for part in range(len(plan.parts))]
        with translated_errors():
            fields = {**plan.first, "body": Binary(plan.parts[0])}
            as_read = {"_id": first, **plan.seen}
            if self._pages.update_one(as_read, {"$set": fields}, session=session).matched_count == 0:
                return False
            for part_id, part in zip(others, plan.parts[1:], strict=True):
                change = {"$set": {"body": Binary(part)}, "$setOnInsert": plan.common}
                self._pages.update_one({"_id": part_id}, change, upsert=True, session=session)
            if plan.left_over:
                self._pages.delete_many({"_id": {"$in": plan.left_over}}, session=session)
        return True

    def _found(self, wanted: Document) -> list[Document]:
        """Query with a hint, or without while the index does not exist yet."""
        found = self._pages.find(wanted, {"_id": True})
        try:
            return list(found.clone().hint(BY_IDS))
        except OperationFailure as error:
            if error.code != _BAD_VALUE:
                raise
            return list(found)

    def _described(self, first_id: str) -> Document:
        try:
            document = self._pages.find_one({"_id": first_id}) or {}
            body = self._reader.page(document).body
            with self._reader.setting_aside(first_id):
                export_type = documented_type_of(body)
                return {"type": export_type, **range_of(record_ids(export_type, body))}
        except SpoiledPageError:
            return {"span": UNKNOWN_IDS}


def _known_range(document: Document) -> Document:
    first, last = document.get("ids_from"), document.get("ids_to")
    if isinstance(first, int) and isinstance(last, int):
        return {"span": span_of(first, last)}
    return {"span": NO_IDS if first is None else UNKNOWN_IDS}


def _places_of(erasure: Erasure) -> Document:
    """Match the pages whose range may hold the id, one index range for each span."""
    mine = {"account_id": erasure.copy_id.account_id, "type": erasure.copy_id.export_type}
    record_id = erasure.record_id
    ranges = (
        {
            **mine,
            "span": span,
            "ids_from": {"$gte": max(record_id - 2**span + 1, _LEAST_ID), "$lte": record_id},
            "ids_to": {"$gte": record_id},
        }
        for span in _SPANS
    )
    unknown = {**mine, "type": {"$in": [None, mine["type"]]}, "span": UNKNOWN_IDS}
    return {"$or": [unknown, *ranges]}
