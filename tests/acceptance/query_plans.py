"""The product's queries as MongoDB's profiler notes them: the plan, and what was examined."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.stack_fixtures import MongoDatabase

APPLICATION = "hubspot-export"
NOTES_BYTES = 128 * 1024 * 1024
_RESULTS = ("nreturned", "nMatched", "ndeleted", "ninserted", "nUpserted")
_ID = re.compile(r"[0-9a-f-]{32,36}")  # of a job, in the name of a field
_FILTERS = ("filter", "query", "q")


@dataclass(frozen=True, kw_only=True)
class Query:
    """One call, as the server noted it. `shape` names the fields that were asked for, without their values."""

    collection: str
    command: str
    shape: str
    plan: str
    examined: int
    found: int

    @property
    def name(self) -> str:
        return f"{self.command} {self.collection} {self.shape}"

    @property
    def is_scan(self) -> bool:
        return "COLLSCAN" in self.plan


@contextmanager
def queries_noted(database: MongoDatabase) -> Iterator[list[Query]]:
    """Yield a list that holds the product's queries of the block once that has ended."""
    noted: list[Query] = []
    database.command("profile", 0)
    database.drop_collection("system.profile")
    database.create_collection("system.profile", capped=True, size=NOTES_BYTES)
    database.command("profile", 2)
    yield noted
    database.command("profile", 0)
    profile = database["system.profile"]
    oldest = next(iter(profile.find().limit(1)), {})
    assert profile.estimated_document_count() > 0, oldest
    assert database.command("collStats", "system.profile")["size"] < NOTES_BYTES * 0.9, "some notes have been lost"
    planned = profile.find({"appName": APPLICATION, "planSummary": {"$exists": True}})
    noted += [_query(note, prefix=f"{database.name}.") for note in planned]


def _query(note: Mapping[str, Any], *, prefix: str) -> Query:
    asked = note.get("originatingCommand") or note["command"]
    name = "getMore" if "originatingCommand" in note else note["op"] if note["op"] != "command" else next(iter(asked))
    return Query(
        collection=note["ns"].removeprefix(prefix).removeprefix("integrations.hubspot."),
        command=name,
        shape=shape_of(_filter_of(asked)),
        plan=note["planSummary"],
        examined=max(note.get("docsExamined", 0), note.get("keysExamined", 0)),
        found=max(note.get(result, 0) for result in _RESULTS),
    )


def _filter_of(command: Mapping[str, Any]) -> object:
    if "pipeline" in command:
        return next((stage["$match"] for stage in command["pipeline"] if "$match" in stage), {})
    return next((command[name] for name in _FILTERS if name in command), {})


def shape_of(wanted: object) -> str:
    """Name fields and operators; of a list, each shape once."""
    if isinstance(wanted, Mapping):
        return "{" + ", ".join(f"{_ID.sub('*', name)}{_under(value)}" for name, value in wanted.items()) + "}"
    if isinstance(wanted, Sequence) and not isinstance(wanted, str | bytes):
        shapes = dict.fromkeys(shape for each in wanted if (shape := shape_of(each)))
        return "[" + ", ".join(shapes) + "]" if shapes else ""
    return ""


def _under(value: object) -> str:
    inner = shape_of(value)
    return f": {inner}" if inner else ""
