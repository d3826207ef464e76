"""A client of the public HTTP API that accepts documented answers only."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec
import requests

from benchmarks.soak.ledger import Promise
from benchmarks.soak.plan import READ_LIMIT, PlannedExport, PlannedRead
from sandbox.seeding import Account, mint_jwt
from sandbox.stack import Stack

Json = dict[str, Any]

_BASE_PATH = "/v1/integrations/hubspot"
_JWT_LIFE = timedelta(hours=12)
_TIMEOUT_S = 40  # a synchronous export may wait for 25 s
_MOST_RESULTS = 1000
_LIST_KEYS = {"contacts": "contacts", "companies": "companies", "deals": "deals", "notes": "results"}
_ID_NAMES = {"contacts": "vid", "companies": "companyId", "deals": "dealId"}


class UnexpectedAnswerError(Exception):
    """An undocumented answer; the text names the request and the answer."""


class Client:
    """Sends requests of all accounts, from any thread. All methods raise requests' exceptions without an answer."""

    def __init__(self, stack: Stack, accounts: Sequence[Account]) -> None:
        self._base_url = f"{stack.shim_url}{_BASE_PATH}"
        self._jwts: Mapping[str, str] = {
            account.account_id: mint_jwt(stack, account, life=_JWT_LIFE) for account in accounts
        }
        self._of_thread = threading.local()

    def submit(self, export: PlannedExport, *, key: str) -> requests.Response:
        """Submit an export with an Idempotency-Key, so that it can be repeated."""
        path, headers = f"/export/{export.export_type}", {"Idempotency-Key": key}
        asked = {"page_size": export.page_size} | ({"limit": export.limit} if export.limit is not None else {})
        return self._ask("POST", path, export.account, headers=headers, json=asked)

    def read(self, read: PlannedRead) -> requests.Response:
        """Read one page synchronously."""
        return self._ask("GET", f"/export/{read.export_type}", read.account, params={"limit": READ_LIMIT})

    def job(self, promise: Promise) -> Json:
        """Return a job. Raises UnexpectedAnswerError."""
        answer = self._ask("GET", f"/jobs/{promise.job_id}", promise.account)
        return job_of(answer, expected=requests.codes.ok)

    def retry(self, promise: Promise) -> Json:
        """Retry a failed job. Raises UnexpectedAnswerError."""
        answer = self._ask("POST", f"/jobs/{promise.job_id}/retry", promise.account)
        return job_of(answer, expected=requests.codes.accepted)

    def stored_ids(self, promise: Promise) -> list[int]:
        """Return the ids of all records in a job's results, in order. Raises UnexpectedAnswerError."""
        found: list[int] = []
        query, has_more = {"limit": _MOST_RESULTS}, True
        while has_more:
            answer = self._ask("GET", f"/jobs/{promise.job_id}/results", promise.account, params=query)
            if answer.status_code != requests.codes.ok:
                raise UnexpectedAnswerError(describe(answer))
            body = msgspec.json.decode(answer.content)
            ids = ids_of(promise.export_type, body["data"])
            if not ids and body["pagination"]["hasMore"]:
                raise UnexpectedAnswerError(f"results of {promise.name}: hasMore is true on an empty page")
            found += ids
            query, has_more = {**query, "offset": body["pagination"]["offset"]}, bool(body["pagination"]["hasMore"])
        return found

    def _ask(self, method: str, path: str, account: Account, **parts: Any) -> requests.Response:  # noqa: ANN401
        headers = {"Authorization": f"Bearer {self._jwts[account.account_id]}", **parts.pop("headers", {})}
        return self._session().request(method, f"{self._base_url}{path}", headers=headers, timeout=_TIMEOUT_S, **parts)

    def _session(self) -> requests.Session:
        """Return the thread's own session: sessions are not thread-safe."""
        if not hasattr(self._of_thread, "session"):
            self._of_thread.session = requests.Session()
        session: requests.Session = self._of_thread.session
        return session


def job_of(answer: requests.Response, *, expected: int) -> Json:
    """Return the job in an answer. Raises UnexpectedAnswerError on another status."""
    if answer.status_code != expected:
        raise UnexpectedAnswerError(describe(answer))
    job: Json = answer.json()["data"]
    return job


def describe(answer: requests.Response) -> str:
    """Return request and answer on one line."""
    path = str(answer.request.path_url)
    return f"{answer.request.method} {path} answered {answer.status_code} {answer.text[:300]}"


def ids_of(export_type: str, data: Json) -> list[int]:
    """Return the record ids in the `data` of a documented body."""
    records = data[_LIST_KEYS[export_type]]
    if export_type == "notes":
        return [record["engagement"]["id"] for record in records]
    return [record[_ID_NAMES[export_type]] for record in records]
