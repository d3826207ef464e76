"""A small portal of the dated API: one type's list, its batch read and its associations, as they are published."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import responses
from pydantic import SecretStr
from requests import PreparedRequest

from worker.hubspot.dated.lists import DatedListPage, DatedLists
from worker.hubspot.dated.query import DatedQuery
from worker.hubspot.page_calls import PageCalls
from worker.hubspot.transport import Transport

ORIGIN = "https://api.hubapi.com"
OBJECTS = f"{ORIGIN}/crm/objects/2026-09"
TOKEN = SecretStr("token")
AT = "2026-01-09T00:00:00.000Z"

Answer = tuple[int, dict[str, str], str]
Asked = tuple[str, dict[str, Any]]


def names(count: int) -> tuple[str, ...]:
    """Return names of properties; 450 of them are too long for an address."""
    return tuple(f"custom_property_with_a_long_name_{number:04}" for number in range(count))


MANY = names(450)


@dataclass
class DatedPortal:
    """What there is, by ids: links to other types likewise. `asked` tells each call: its kind, and what it asked.

    `gone` are ids that are listed and not there any more. `instead` may answer a call in the portal's place. `legacy`
    is the body of the legacy list.
    """

    ids: Iterable[int]
    links: dict[int, dict[str, list[int]]] = field(default_factory=dict)
    gone: frozenset[int] = frozenset()
    instead: Callable[[str, int], Answer | None] = lambda _kind, _number: None
    link_page: int = 100
    legacy: dict[str, Any] | None = None
    asked: list[Asked] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)

    @contextmanager
    def serving(self) -> Iterator[None]:
        with responses.RequestsMock(assert_all_requests_are_fired=False) as mocked:
            mocked.add_callback("GET", f"{OBJECTS}/deals", callback=self._answering("list", self._list))
            mocked.add_callback("POST", f"{OBJECTS}/deals/batch/read", callback=self._answering("batch", self._batch))
            mocked.get(f"{ORIGIN}/deals/v1/deal/paged", json=self.legacy)
            for other in ("contacts", "line_items"):
                url = f"{ORIGIN}/crm/associations/2026-09/deals/{other}/batch/read"
                mocked.add_callback("POST", url, callback=self._answering(f"links to {other}", self._links))
            yield

    def read(self, calls: PageCalls | None = None, **asked: Any) -> DatedListPage:  # noqa: ANN401 - of DatedQuery
        with self.serving():
            lists = DatedLists(transport=Transport(), objects_url=OBJECTS)
            return lists.read(DatedQuery(path="deals", **asked), calls or PageCalls(), TOKEN)

    def read_by_ids(self, ids: list[int], **asked: Any) -> DatedListPage:  # noqa: ANN401 - of DatedQuery
        with self.serving():
            lists = DatedLists(transport=Transport(), objects_url=OBJECTS)
            return lists.read_by_ids("deals", ids, DatedQuery(path="deals", **asked), PageCalls(), TOKEN)

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.asked]

    def _answering(
        self, kind: str, answer: Callable[[PreparedRequest, dict[str, Any]], Answer]
    ) -> Callable[[PreparedRequest], Answer]:
        def told(request: PreparedRequest) -> Answer:
            address = urlsplit(request.url or "")
            query = {name: value[0] for name, value in parse_qs(address.query).items()}
            given = json.loads(request.body) if request.body else {}
            self.asked.append((kind, {**query, **given}))
            self.addresses.append(request.url or "")
            return self.instead(kind, self.kinds.count(kind)) or answer(request, {**query, **given})

        return told

    def _list(self, _: PreparedRequest, asked: dict[str, Any]) -> Answer:
        limit, after = int(asked["limit"]), int(asked.get("after", 0))
        found = [each for each in self.ids if each >= after]
        records = [
            self._record(each, asked.get("properties", "")) | self._linked(each, asked.get("associations", ""))
            for each in found[:limit]
        ]
        following = {"paging": {"next": {"after": str(found[limit]), "link": "x"}}} if len(found) > limit else {}
        return 200, {}, json.dumps({"results": records, **following})

    def _batch(self, _: PreparedRequest, asked: dict[str, Any]) -> Answer:
        inputs = [int(each["id"]) for each in asked["inputs"]]
        assert len(inputs) <= (50 if asked["propertiesWithHistory"] else 100)
        there = [each for each in reversed(inputs) if each not in self.gone]
        results = [self._record(each, ",".join(asked["properties"])) for each in there]
        missing = [str(each) for each in inputs if each in self.gone]
        return _batch_answer(results, [_error("OBJECT_NOT_FOUND", {"ids": missing})] if missing else [])

    def _record(self, record_id: int, asked: str) -> dict[str, Any]:
        properties = {name: f"{name} of {record_id}" for name in asked.split(",") if name}
        return {"id": str(record_id), "properties": properties, "createdAt": AT, "updatedAt": AT, "archived": False}

    def _linked(self, record_id: int, asked: str) -> dict[str, Any]:
        found = {name: self.links.get(record_id, {}).get(name, []) for name in asked.split(",")}
        given = {
            name.replace("_", " "): {
                "results": [{"id": str(other), "type": f"deal_to_{name}"} for other in others[:100]],
                **({"paging": {"next": {"after": f"100.{others[99]}"}}} if len(others) > 100 else {}),
            }
            for name, others in found.items()
            if others
        }
        return {"associations": given} if given else {}

    def _links(self, request: PreparedRequest, asked: dict[str, Any]) -> Answer:
        other, results, errors = (request.url or "").split("/")[-3], [], []
        assert len(asked["inputs"]) <= 1000
        for each in asked["inputs"]:
            start = int(each.get("after", "0").split(".")[0])
            others = self.links.get(int(each["id"]), {}).get(other, [])
            to = [
                {"toObjectId": str(one), "associationTypes": [{"category": "HUBSPOT_DEFINED", "typeId": 3}]}
                for one in others[start : start + self.link_page]
            ]
            end = start + self.link_page
            more = {"paging": {"next": {"after": f"{end}.x"}}} if len(others) > end else {}
            if to:
                results.append({"from": {"id": each["id"]}, "to": to, **more})
            else:
                error = _error("OBJECT_NOT_FOUND", {"fromObjectId": [each["id"]]})
                errors.append(error | {"subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND"})
        return _batch_answer(results, errors)


def _batch_answer(results: list[dict[str, Any]], errors: list[dict[str, Any]]) -> Answer:
    told = {"numErrors": len(errors), "errors": errors} if errors else {}
    return 207 if errors else 200, {}, json.dumps({"status": "COMPLETE", "results": results, **told})


def _error(category: str, context: dict[str, list[str]]) -> dict[str, Any]:
    return {"status": "error", "category": category, "message": f"it is {category}", "context": context}
