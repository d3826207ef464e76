"""CopyPlaces: finds the documents of copies, each account's first one and those of further portals."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from worker.current_copy.mongo.keys import CopyKeys
from worker.errors import CopyBusyError
from worker.mongo.database import Document, MongoCollection, session_under_way, translated_errors
from worker.records.types import CopyId, ExportType

_REMEMBERED_S = 5.0
_MOST_REMEMBERED = 10_000
_IS_ADOPTED: Document = {"$ne": [{"$ifNull": ["$hub_id", None]}, None]}
_ADOPTION: Document = {
    name: {"$cond": [_IS_ADOPTED, f"${name}", "$$NOW"]} for name in ("adopt_at", "adopted_at")
}  # from the first portal on there are records to be marked: those of before, and of older workers meanwhile
_TRIES = 3  # another portal may take the first place in between, but only one


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyPlace:
    """Where a copy lies. One that is being removed cannot be read any more, nor written before that is done.

    `is_marked` is whether all of its records have their portal written in them.
    """

    keys: CopyKeys
    is_leaving: bool = False
    is_marked: bool = False


class CopyPlaces:
    """The first portal that is told takes an account's first copy: what was stored before portals were told apart.

    Which it is is read now and then, not with every record, and outside of transactions, so that these begin with the
    write of the copy's own document, as they have to. That fails where the document has become another portal's.
    """

    def __init__(self, copies: MongoCollection, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._copies = copies
        self._monotonic = monotonic
        self._known: dict[CopyId, tuple[CopyPlace, float]] = {}

    def find(self, copy: CopyId) -> CopyPlace:
        """Say where a copy is, or would be."""
        if copy.hub_id is None:
            return self._look_up(copy)  # somebody may tell at any moment which portal it is of
        place, until = self._known.get(copy, (None, 0.0))
        if place is None or self._monotonic() >= until:
            # With those of the other types, which a sync asks for in the next moments.
            of_portal = [replace(copy, export_type=each) for each in ExportType]
            places = self._places_among(of_portal)
            for each in of_portal:
                self._remember(each, places[each])
            place = places[copy]
        return place

    def write(self, copy: CopyId, change: Document) -> Document:
        """Change the copy's own document, made if it is not there, as an expression; in a transaction as part of it.

        Raises CopyBusyError while the copy is being removed.
        """
        for _ in range(_TRIES):
            place = self.find(copy)
            if place.is_leaving:
                break
            try:
                return self._write(place.keys, copy, change)
            except DuplicateKeyError:  # it is another portal's by now, or being removed
                self._known.pop(copy, None)
                if session_under_way() is not None:
                    break  # the transaction has failed with it
        self._known.pop(copy, None)
        raise CopyBusyError

    def forget(self, copy: CopyId) -> None:
        """Look the place up again."""
        self._known.pop(copy, None)

    def _write(self, keys: CopyKeys, copy: CopyId, change: Document) -> Document:
        mine: Document = {"_id": keys.copy_key, "removing": {"$ne": True}}
        about: Document = {"account_id": {"$literal": copy.account_id}, "type": copy.export_type.value}
        if copy.hub_id is not None:
            mine["hub_id"] = {"$in": [copy.hub_id, None]}
            about |= {"hub_id": copy.hub_id, **(_ADOPTION if keys.is_first else {})}
        with translated_errors():
            written = self._copies.find_one_and_update(
                mine,
                [{"$set": about}, {"$set": change}],
                upsert=True,
                return_document=ReturnDocument.AFTER,
                session=session_under_way(),
            )
        assert written is not None  # noqa: S101 - an upsert gives what it wrote
        return written

    def _look_up(self, copy: CopyId) -> CopyPlace:
        return self._places_among([copy])[copy]

    def _places_among(self, copies: Sequence[CopyId]) -> Mapping[CopyId, CopyPlace]:
        keys = [key for each in copies for key in (_first_key(each), CopyKeys.of_further(each).copy_key)]
        with translated_errors():
            shown = {"hub_id": True, "removing": True, "adopt_at": True}
            there = {document["_id"]: document for document in self._copies.find({"_id": {"$in": keys}}, shown)}
        return {each: _place_in(there, each) for each in copies}

    def _remember(self, copy: CopyId, place: CopyPlace) -> None:
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[copy] = (place, self._monotonic() + _REMEMBERED_S)


def _first_key(copy: CopyId) -> str:
    return CopyKeys.of_first(copy, None).copy_key


def _place_in(there: Mapping[str, Document], copy: CopyId) -> CopyPlace:
    """Find a copy among the documents of the account's first one and of further portals."""
    further = CopyKeys.of_further(copy)
    if further.copy_key in there and copy.hub_id is not None:
        return _place(further, there[further.copy_key])
    document = there.get(_first_key(copy), {})
    of_portal = document.get("hub_id")
    if copy.hub_id is not None and of_portal not in {copy.hub_id, None}:
        return _place(further, {"hub_id": copy.hub_id})
    return _place(CopyKeys.of_first(copy, of_portal if copy.hub_id is None else copy.hub_id), document)


def _place(keys: CopyKeys, document: Document) -> CopyPlace:
    is_marked = document.get("hub_id") is not None and document.get("adopt_at") is None
    return CopyPlace(keys=keys, is_leaving=bool(document.get("removing")), is_marked=is_marked)
