"""CopyLocations: finds the documents of copies, an account's first one and those of further portals."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from worker.current_copy.mongo.keys import CopyKeys
from worker.errors import CopyBusyError
from worker.mongo.database import Document, MongoCollection, session_under_way, translated_errors
from worker.records.types import DOCUMENTED_TYPES, CopyId

_REMEMBERED_S = 5.0
_MOST_REMEMBERED = 10_000
_IS_ADOPTED: Document = {"$ne": [{"$ifNull": ["$hub_id", None]}, None]}
_ADOPTION: Document = {
    name: {"$cond": [_IS_ADOPTED, f"${name}", "$$NOW"]} for name in ("adopt_at", "adopted_at")
}  # once the portal is known, earlier records are to be marked with it, and those of older workers meanwhile
_TRIES = 3  # another portal may take the first copy meanwhile, but only one can


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyLocation:
    """The keys of a copy. One that is being removed cannot be read, nor written until that is done.

    `is_marked`: all of its records have a `hub_id`.
    """

    keys: CopyKeys
    is_being_removed: bool = False
    is_marked: bool = False


class CopyLocations:
    """The first known portal gets an account's first copy, with what was stored before portals were distinguished.

    Which portal that is is cached for seconds, and read outside of transactions: these have to begin with the write of
    the copy's own document, so that they exclude each other. The write fails where another portal has got the document.
    """

    def __init__(self, copies: MongoCollection, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._copies = copies
        self._monotonic = monotonic
        self._known: dict[CopyId, tuple[CopyLocation, float]] = {}

    def find(self, copy: CopyId) -> CopyLocation:
        """Return where a copy is, or would be created."""
        if copy.hub_id is None:
            return self._look_up(copy)  # not cached: its portal may become known at any moment
        location, until = self._known.get(copy, (None, 0.0))
        if location is None or self._monotonic() >= until:
            # With those of the documented types, which most syncs need in the next moments.
            types = dict.fromkeys((copy.export_type, *DOCUMENTED_TYPES))
            of_portal = [replace(copy, export_type=each) for each in types]
            found = self._locate(of_portal)
            for each in of_portal:
                self._remember(each, found[each])
            location = found[copy]
        return location

    def write(self, copy: CopyId, change: Document) -> Document:
        """Update or create the copy's own document by an expression, as part of a transaction that is under way.

        Raises CopyBusyError while the copy is being removed.
        """
        for _ in range(_TRIES):
            location = self.find(copy)
            if location.is_being_removed:
                break
            try:
                return self._write(location.keys, copy, change)
            except DuplicateKeyError:  # it belongs to another portal by now, or is being removed
                self._known.pop(copy, None)
                if session_under_way() is not None:
                    break  # the error has aborted the transaction
        self._known.pop(copy, None)
        raise CopyBusyError

    def forget(self, copy: CopyId) -> None:
        self._known.pop(copy, None)

    def _write(self, keys: CopyKeys, copy: CopyId, change: Document) -> Document:
        mine: Document = {"_id": keys.copy_key, "removing": {"$ne": True}}
        about: Document = {"account_id": {"$literal": copy.account_id}, "type": copy.export_type}
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

    def _look_up(self, copy: CopyId) -> CopyLocation:
        return self._locate([copy])[copy]

    def _locate(self, copies: Sequence[CopyId]) -> Mapping[CopyId, CopyLocation]:
        keys = [key for each in copies for key in (_first_key(each), CopyKeys.of_further(each).copy_key)]
        with translated_errors():
            shown = {"hub_id": True, "removing": True, "adopt_at": True}
            there = {document["_id"]: document for document in self._copies.find({"_id": {"$in": keys}}, shown)}
        return {each: _location_in(there, each) for each in copies}

    def _remember(self, copy: CopyId, location: CopyLocation) -> None:
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[copy] = (location, self._monotonic() + _REMEMBERED_S)


def _first_key(copy: CopyId) -> str:
    return CopyKeys.of_first(copy, None).copy_key


def _location_in(there: Mapping[str, Document], copy: CopyId) -> CopyLocation:
    """Find a copy among the documents of the account's first one and of further portals."""
    further = CopyKeys.of_further(copy)
    if further.copy_key in there and copy.hub_id is not None:
        return _location(further, there[further.copy_key])
    document = there.get(_first_key(copy), {})
    of_portal = document.get("hub_id")
    if copy.hub_id is not None and of_portal not in {copy.hub_id, None}:
        return _location(further, {"hub_id": copy.hub_id})
    return _location(CopyKeys.of_first(copy, of_portal if copy.hub_id is None else copy.hub_id), document)


def _location(keys: CopyKeys, document: Document) -> CopyLocation:
    is_marked = document.get("hub_id") is not None and document.get("adopt_at") is None
    return CopyLocation(keys=keys, is_being_removed=bool(document.get("removing")), is_marked=is_marked)
