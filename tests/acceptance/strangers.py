"""Other accounts' documents: many of every kind that is stored, so that a query which scans has a lot to look at."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from tests.stack_fixtures import MongoDatabase

PREFIX = "integrations.hubspot."
FEW = {f"{PREFIX}{name}" for name in ("upkeep", "token_endpoints", "lists", "renewals")}
"""Collections of few documents by nature: chores, endpoints, lists that HubSpot has no more, renewals under way."""

_JOB_ID = re.compile(r"[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}")
_FAR = timedelta(days=1)
_Document = dict[str, Any]


def add_strangers(database: MongoDatabase, account_id: str, *, each: int) -> dict[str, int]:
    """Copy what is stored of an account to others, until each collection has so many more; return how many it has.

    Every other job of theirs waits; what is to be done for them is due in a day.
    """
    names = [name for name in database.list_collection_names() if name.startswith(PREFIX) and name not in FEW]
    for name in names:
        found = list(database[name].find())
        own = [document for document in found if account_id in str(document)] or found
        assert own, f"{name} is empty"
        database[name].insert_many(list(_copies(own, account_id, count=each)), ordered=False)
    _open_every_other(database)
    return {name: database[name].estimated_document_count() for name in names}


def _copies(own: list[_Document], account_id: str, *, count: int) -> Iterator[_Document]:
    for number in range(count):
        copy: _Document = _renamed(own[number % len(own)], account_id, f"stranger-{number // len(own)}")
        if isinstance(copy["_id"], Mapping):
            if "hub_id" in copy["_id"]:  # kept for a portal and not for an account
                copy["_id"] = {**copy["_id"], "hub_id": 1_000_000 + number}
        elif not isinstance(copy["_id"], str):
            del copy["_id"]
        copy |= {name: copy[name] + _FAR for name in ("expires_at", "deliver_at") if copy.get(name) is not None}
        yield copy


def _renamed(value: object, account_id: str, stranger: str) -> Any:  # noqa: ANN401 - whatever a document holds
    """Replace the account by a stranger, and ids of jobs by others."""
    if isinstance(value, Mapping):
        return {key: _renamed(each, account_id, stranger) for key, each in value.items()}
    if isinstance(value, list):
        return [_renamed(each, account_id, stranger) for each in value]
    if not isinstance(value, str):
        return value
    return _JOB_ID.sub(lambda found: str(uuid5(UUID(found[0]), stranger)), value.replace(account_id, stranger))


def _open_every_other(database: MongoDatabase) -> None:
    later = datetime.now(UTC) + _FAR
    waits: _Document = {"status": "waiting", "resume_at": later, "ready_at": later, "due_at": later}
    waits |= {"published_at": None, "finished_at": None, "expires_at": None, "receipt": None}
    changes: dict[str, _Document] = {
        "jobs": {"$set": waits, "$unset": {"unsettled_since": True, "queued_at": True}},
        "erasures": {"$set": {"due_at": later}},
        "schedules": {"$set": {"due_at": later, "next_run_at": later}},
    }
    for name, change in changes.items():
        stored = database[f"{PREFIX}{name}"]
        found = stored.find({"account_id": {"$regex": "^stranger-"}}, {"_id": True})
        ids = [document["_id"] for document in found]
        stored.update_many({"_id": {"$in": ids[::2]}}, change)
