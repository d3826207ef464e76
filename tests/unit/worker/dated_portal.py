"""A portal behind the dated API alone, small enough to see through: lists, the recycle bin, search, batches, links.

It refuses what HubSpot's specification does not allow, and finds changes `lag_s` later by search than by lists.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from tests.fakes.clock import ManualClock
from worker.errors import FatalHubSpotError, HubSpotError
from worker.hubspot.transport import Answer, Call, Send

_PATH = re.compile(r"/crm/(objects|associations)/2026-09/([^/]+)(?:/([^/]+))?(?:/(batch/read|search))?").fullmatch
_DEFAULT = ("createdate", "hs_object_id", "firstname", "name", "dealname", "subject")

Json = dict[str, Any]


@dataclass
class Entry:
    """A record: what it holds, what it is linked to, and when it was modified and archived."""

    record_id: int
    values: dict[str, str]
    created_at: datetime
    modified_at: datetime
    archived_at: datetime | None = None
    links: dict[str, list[int]] = field(default_factory=dict)
    indexed: list[tuple[datetime, Json | None]] = field(default_factory=list)
    """What search knows of it, and from when on."""


@dataclass
class DatedPortal:
    """`calls` are those that came, as `search contacts`; `refusals` are answered in turn, by such a name."""

    clock: ManualClock
    others: Send
    lag_s: float = 0.0
    takes_s: float = 0.0
    records: dict[str, dict[int, Entry]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    bodies: list[Json] = field(default_factory=list)
    refusals: dict[str, HubSpotError] = field(default_factory=dict)
    gives_url: bool = True
    next_id: int = 100

    def add(self, kind: str, *, links: dict[str, list[int]] | None = None, **values: str) -> int:
        self.next_id += 3
        at = self.clock()
        entry = Entry(self.next_id, values, created_at=at, modified_at=at, links=links or {})
        self.records.setdefault(kind, {})[self.next_id] = entry
        self._index(kind, entry)
        return self.next_id

    def change(self, kind: str, record_id: int, **values: str) -> None:
        entry = self.records[kind][record_id]
        entry.values |= values
        entry.modified_at = self.clock()
        self._index(kind, entry)

    def calculate(self, kind: str, record_id: int, **values: str) -> None:
        """Change values as HubSpot does, which is no modification."""
        entry = self.records[kind][record_id]
        entry.values |= values
        self._index(kind, entry)

    def archive(self, kind: str, record_id: int) -> None:
        entry = self.records[kind][record_id]
        entry.archived_at = self.clock()
        self._index(kind, entry)

    def restore(self, kind: str, record_id: int) -> None:
        entry = self.records[kind][record_id]
        entry.archived_at, entry.modified_at = None, self.clock()
        self._index(kind, entry)

    def alive(self, kind: str) -> list[int]:
        return [each.record_id for each in self.records.get(kind, {}).values() if each.archived_at is None]

    def send(self, call: Call) -> Answer:
        """Answer a call, as a transport's `send`."""
        found = _PATH(urlsplit(call.url).path)
        if found is None:
            return self.others(call)
        kind = found[2]
        action = {None: "list", "search": "search", "batch/read": "batch"}[found[4] or _action(found[3])]
        name = f"{'links' if found[1] == 'associations' else action} {kind}"
        if call.params and ("archived", "true") in call.params:
            name = f"archived {kind}"
        self.clock.advance(self.takes_s)
        self.calls.append(name)
        self.bodies.append(dict(call.json or {}))
        call.permit.leave()
        call.permit.settle()
        if name in self.refusals:
            raise self.refusals[name]
        answer = {"list": self._list, "search": self._search, "batch": self._batch}
        body = self._links(kind, found[3], call) if found[1] == "associations" else answer[action](kind, call)
        return Answer(json.dumps(body, separators=(",", ":")).encode(), None)

    def _list(self, kind: str, call: Call) -> Json:
        asked = dict(call.params)
        limit, after = int(asked.get("limit", "10")), int(asked.get("after", "0"))
        _require(limit <= 100, "limit")
        is_archived = asked.get("archived") == "true"
        rows = [each for each in self._in_order(kind) if (each.archived_at is not None) is is_archived]
        rows = [each for each in rows if each.record_id >= after]
        wanted = [each for each in asked.get("associations", "").split(",") if each]
        names = [each for each in asked.get("properties", "").split(",") if each]
        results = [self._object(kind, each, names, wanted) for each in rows[:limit]]
        if len(rows) <= limit:
            return {"results": results}
        return {"results": results, "paging": {"next": {"after": str(rows[limit].record_id), "link": "x"}}}

    def _search(self, kind: str, call: Call) -> Json:
        asked: Any = call.json or {}
        _require(len(json.dumps(asked)) <= 3000, "longer than 3000")
        _require(asked["limit"] <= 200, "limit")
        _require(asked["sorts"] == [{"propertyName": "hs_object_id", "direction": "ASCENDING"}], "sorts")
        _require(len(asked["filterGroups"]) == 1, "groups")
        found = [each for each in self._found(kind) if _accepts(each, asked["filterGroups"][0]["filters"])]
        rows = [_narrowed(each, asked["properties"] or _DEFAULT) for each in found[: asked["limit"]]]
        paging = {"paging": {"next": {"after": str(len(rows))}}} if len(found) > len(rows) else {}
        return {"total": len(found), "results": rows, **paging}

    def _found(self, kind: str) -> Iterator[Json]:
        for entry in self._in_order(kind):
            known = [body for at, body in entry.indexed if at <= self.clock()]
            if known and known[-1] is not None:
                yield known[-1]

    def _batch(self, kind: str, call: Call) -> Json:
        asked: Any = call.json or {}
        _require(len(asked["inputs"]) <= 100, "inputs")
        rows = [self.records[kind][int(each["id"])] for each in asked["inputs"]]
        alive = [each for each in reversed(rows) if each.archived_at is None]
        return {"status": "COMPLETE", "results": [self._object(kind, e, asked["properties"], []) for e in alive]}

    def _links(self, kind: str, to: str, call: Call) -> Json:
        asked: Any = call.json or {}
        _require(len(asked["inputs"]) <= 1000, "inputs")
        rows = [self.records[kind][int(each["id"])] for each in asked["inputs"]]
        return {
            "status": "COMPLETE",
            "results": [
                {
                    "from": {"id": str(each.record_id)},
                    "to": [{"toObjectId": other, "associationTypes": []} for other in each.links[to]],
                }
                for each in rows
                if each.links.get(to)
            ],
        }

    def _in_order(self, kind: str) -> list[Entry]:
        return sorted(self.records.get(kind, {}).values(), key=lambda each: each.record_id)

    def _object(self, kind: str, entry: Entry, names: list[str], links: list[str]) -> Json:
        linked = {
            to: {"results": [{"id": str(other), "type": f"{kind}_to_{to}"} for other in entry.links[to]]}
            for to in links
            if entry.links.get(to)
        }
        archived = {"archivedAt": _iso(entry.archived_at)} if entry.archived_at is not None else {}
        return {
            **_narrowed(self._whole(kind, entry), names or _DEFAULT),
            **archived,
            **({"associations": linked} if linked else {}),
        }

    def _whole(self, kind: str, entry: Entry) -> Json:
        modified = "lastmodifieddate" if kind == "contacts" else "hs_lastmodifieddate"
        always = {"hs_object_id": str(entry.record_id), modified: _iso(entry.modified_at)}
        return {
            "id": str(entry.record_id),
            "properties": {**entry.values, **always},
            "createdAt": _iso(entry.created_at),
            "updatedAt": _iso(entry.modified_at),
            "archived": entry.archived_at is not None,
            "url": f"https://app.example.com/{kind}/{entry.record_id}",
        }

    def _index(self, kind: str, entry: Entry) -> None:
        body = None if entry.archived_at is not None else self._whole(kind, entry)
        entry.indexed.append((self.clock() + timedelta(seconds=self.lag_s), body))


def _action(part: str | None) -> str | None:
    return part if part == "search" else None


def _narrowed(body: Json, names: list[str] | tuple[str, ...]) -> Json:
    modified = [each for each in body["properties"] if each.endswith("lastmodifieddate")]
    asked = dict.fromkeys([*names, "hs_object_id", *modified])
    return {**body, "properties": {each: body["properties"].get(each) for each in asked}}


def _accepts(body: Json, filters: list[Json]) -> bool:
    return all(_meets(body["properties"].get(each["propertyName"]), each) for each in filters)


def _meets(value: str | None, wanted: Json) -> bool:
    if value is None:
        return False
    if wanted["operator"] == "GT":
        return int(value) > int(wanted["value"])
    _require(wanted["operator"] == "GTE", "operator")
    return datetime.fromisoformat(value).timestamp() * 1000 >= int(wanted["value"])


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _require(allowed: bool, what: str) -> None:  # noqa: FBT001 - what is required comes first
    if not allowed:
        raise FatalHubSpotError(f"the portal refuses: {what}", status=400)
