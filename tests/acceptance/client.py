"""A client of the public API as the documentation describes one, and what it can look up to compare."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import requests
from pymongo import MongoClient

from sandbox.seeding import Account
from sandbox.stack import Stack
from tests.patience import PATIENCE_S, until

AWAY = 503
BASE_PATH = "/v1/integrations/hubspot"
TYPES = ("contacts", "companies", "deals", "notes")
IN_PORTAL = {"contacts": "contacts", "companies": "companies", "deals": "deals", "notes": "engagements"}
LIST_KEYS = {"contacts": "contacts", "companies": "companies", "deals": "deals", "notes": "results"}

Json = dict[str, Any]
Query = list[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Client:
    """One caller of one account."""

    stack: Stack
    account: Account
    token: str
    session: requests.Session
    shim_url: str = ""
    """Where to ask instead of the stack's own shim."""

    def get(self, path: str, query: Query | None = None, **headers: str) -> requests.Response:
        return self._send("GET", path, headers, params=query)

    def post(self, path: str, body: object = None, **headers: str) -> requests.Response:
        return self._send("POST", path, headers, json=body)

    def put(self, path: str, body: object = None, **headers: str) -> requests.Response:
        return self._send("PUT", path, headers, json=body)

    def delete(self, path: str, **headers: str) -> requests.Response:
        return self._send("DELETE", path, headers)

    def start(self, export_type: str, body: object = None) -> str:
        """Start an export, and return the path of its job below the base path."""
        answer = self.post(f"/export/{export_type}", body)
        assert answer.status_code == 202, answer.text
        return answer.headers["Location"].removeprefix(BASE_PATH)

    def job(self, path: str, *, prefer: str = "") -> Json:
        """Read a job, and retry while a server is unavailable."""
        answer = until(lambda: self.get(path, Prefer=prefer), lambda answer: answer.status_code != AWAY)
        assert answer.status_code == 200, answer.text
        data: Json = answer.json()["data"]
        return data

    def finished(self, path: str, *, within_s: float = PATIENCE_S) -> Json:
        """Poll a job by long polls until it has ended."""
        give_up_at = time.monotonic() + within_s
        while True:
            job = self.job(path, prefer="wait=5")
            if job["status"] in {"succeeded", "failed", "cancelled"}:
                return job
            assert time.monotonic() < give_up_at, job

    def reached(self, path: str, *, pages: int, within_s: float = PATIENCE_S) -> Json:
        """Return a job as soon as it has stored so many pages."""
        return until(lambda: self.job(path), lambda job: job["progress"]["pages"] >= pages, within_s=within_s)

    def stored_ids(self, path: str, export_type: str) -> list[int]:
        """Return the ids of all records of a job, in their order."""
        bodies = self.pages(f"{path}/results", limit=1000)
        return [each for body in bodies for each in ids_of(export_type, body["data"][LIST_KEYS[export_type]])]

    def pages(self, path: str, **query: int) -> Iterator[Json]:
        """Do the documented loop: `offset = pagination.offset while pagination.hasMore`."""
        offset: int | None = None
        while True:
            asked = query if offset is None else query | {"offset": offset}
            answer = self.get(path, [(name, str(value)) for name, value in asked.items()])
            assert answer.status_code == 200, answer.text
            body: Json = answer.json()
            yield body
            if not body["pagination"]["hasMore"]:
                return
            offset = body["pagination"]["offset"]

    def ids_in_hubspot(self, export_type: str) -> list[int]:
        return self.stack.hubspot_control.record_ids(self.account.hub_id, IN_PORTAL[export_type])

    def calls(self, **wanted: str | int) -> list[Json]:
        return self.stack.hubspot_control.calls(account=self.account.hub_id, **wanted)

    def documents(self, collection: str, **query: object) -> list[Json]:
        """Read documents as another program would."""
        database = _mongo(self.stack.settings["MONGODB_URI"])[self.stack.settings["MONGODB_DATABASE"]]
        return list(database[f"integrations.hubspot.{collection}"].find(query))

    def _send(self, method: str, path: str, headers: dict[str, str], **parts: Any) -> requests.Response:  # noqa: ANN401
        authorised = {"Authorization": f"Bearer {self.token}"} | headers
        url = f"{self.shim_url or self.stack.shim_url}{BASE_PATH}{path}"
        return self.session.request(method, url, headers=authorised, timeout=PATIENCE_S, **parts)


@cache
def _mongo(uri: str) -> MongoClient[Json]:
    """Keep one client a stack: tests poll, and each new client starts threads and asks for the topology."""
    return MongoClient(uri, tz_aware=True)


def ids_of(export_type: str, records: list[Json]) -> list[int]:
    name = {"contacts": "vid", "companies": "companyId", "deals": "dealId"}.get(export_type)
    return [record[name] if name else record["engagement"]["id"] for record in records]
