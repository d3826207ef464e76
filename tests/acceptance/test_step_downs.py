"""Exports, syncs, cancels, retries, removals and erasures, while MongoDB's primary is lost every few seconds."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
import requests
from pymongo import MongoClient

from sandbox.stack import Stack, StackOptions
from sandbox.state_folder import temporary_state
from tests.acceptance.client import BASE_PATH, Client, Json, ids_of
from tests.acceptance.conftest import connect
from tests.acceptance.step_downs import StepDowns
from tests.acceptance.test_syncs import start
from tests.patience import PATIENCE_S, until

AWAY = 503
DISTURBANCES = 8
SEED = 12
ACCOUNTS = 3
CONTACTS = 300
SETTLED_S = 2 * PATIENCE_S
WHAT_BROKE = (
    "job_broke",
    "rpc_request_broke",
    "receipt_not_drawn_up",
    "raised unexpected",
    "request_broke",
    "Traceback",
)


@dataclass
class Caller:
    """Calls every operation of one account in turn until it is told to stop; retries whatever is answered 503."""

    client: Client
    stopping: threading.Event
    exports: list[str] = field(default_factory=list)
    syncs: list[str] = field(default_factory=list)
    cancelled: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    erased: list[int] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)

    def run(self) -> None:
        turns = self._turns()
        while not self.stopping.is_set():
            next(turns)()

    def _turns(self) -> Iterator[Callable[[], None]]:
        while True:
            yield self._export
            yield self._erase
            yield self._cancel_and_retry
            yield self._sync
            yield self._read
            yield self._cancel
            yield self._remove

    def _export(self) -> None:
        self.exports.append(self._submit("/export/contacts", {"page_size": 20}))

    def _sync(self) -> None:
        self.syncs.append(self._submit("/sync", {"types": ["contacts"]}))

    def _cancel(self) -> None:
        path = self._submit("/export/contacts", {"page_size": 5})
        if self._ask("POST", f"{path}/cancel", 202, 409).status_code == 202:
            self.cancelled.add(path)
        self.exports.append(path)

    def _cancel_and_retry(self) -> None:
        path = self._submit("/export/contacts", {"page_size": 5})
        self._ask("POST", f"{path}/cancel", 202, 409)
        self.client.finished(path, within_s=SETTLED_S)
        self._ask("POST", f"{path}/retry", 202, 409)  # 409: it had its end before it was cancelled, or goes on already
        self.exports.append(path)

    def _remove(self) -> None:
        path = self._submit("/export/contacts", {"limit": 20})
        self.client.finished(path, within_s=SETTLED_S)
        self._ask("DELETE", path, 204, 404)
        self.removed.add(path)

    def _erase(self) -> None:
        """Erase a record that HubSpot no longer has and the copy does: nothing may bring it back."""
        record_id = self.client.ids_in_hubspot("contacts")[7]
        self.client.stack.hubspot_control.delete_records(self.client.account.hub_id, "contacts", [record_id])
        self._ask("DELETE", f"/records/contacts/{record_id}", 204, 202)
        self.erased.append(record_id)

    def _read(self) -> None:
        answer = self._ask("GET", "/export/contacts?limit=10", 200, 202, 502)
        if answer.status_code == 200:
            assert len(answer.json()["data"]["contacts"]) == 10

    def _submit(self, path: str, body: Json) -> str:
        answer = self._ask("POST", path, 202, 200, json=body, headers={"Idempotency-Key": uuid4().hex})
        return f"/jobs/{answer.json()['data']['job_id']}"

    def _ask(self, method: str, path: str, *expected: int, **parts: object) -> requests.Response:
        """Retry while the answer is 503, and check that the final one is expected."""

        def once() -> requests.Response:
            answer = self._once(method, path, **parts)
            self.answers[f"{method} {answer.status_code}"] += 1
            return answer

        answer = until(once, lambda answer: answer.status_code != AWAY)
        assert answer.status_code in expected, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def _once(self, method: str, path: str, *, json: object = None, headers: object = None) -> requests.Response:
        authorised = {"Authorization": f"Bearer {self.client.token}"}
        assert headers is None or isinstance(headers, dict)
        return self.client.session.request(
            method,
            f"{self.client.stack.shim_url}{BASE_PATH}{path}",
            json=json,
            headers=authorised | (headers or {}),
            timeout=PATIENCE_S,
        )


@pytest.fixture
def stack() -> Iterator[Stack]:
    options = StackOptions(
        settings={"HUBSPOT_RATE_LIMIT": "0", "LEASE_SECONDS": "5", "SLICE_SECONDS": "2"},
        workers=2,
        worker_arguments=("--concurrency=8",),
        mongo_members=3,
    )
    with temporary_state() as folder, Stack(folder, options=options) as running:
        yield running


def test_the_primary_steps_down_is_killed_and_frozen_and_every_promise_is_kept(stack: Stack) -> None:
    clients = [connect(stack, contacts=CONTACTS) for _ in range(ACCOUNTS)]
    for client in clients:
        client.finished(start(client, {"types": ["contacts"]}))
        stack.hubspot_control.change_account(client.account.hub_id, latency_s=0.05)
    stopping, downs = threading.Event(), StepDowns(stack, seed=SEED)
    callers = [Caller(client, stopping) for client in clients]

    with ThreadPoolExecutor(ACCOUNTS) as threads:
        running = [threads.submit(caller.run) for caller in callers]
        try:
            downs.disturb(times=DISTURBANCES)
        finally:
            stopping.set()
        _raise_what_broke(running)

    assert set(downs.done) == {"step-down", "kill", "freeze"}, downs.done
    for caller in callers:
        require_every_promise(caller)
    _require_no_failure(stack)
    for process in (stack.shim, *stack.workers, *stack.beats):
        assert not [words for words in WHAT_BROKE if process.has_written(words)], process.name


def _raise_what_broke(running: list[Future[None]]) -> None:
    for each in running:
        each.result(timeout=SETTLED_S)


def require_every_promise(caller: Caller) -> None:
    """Check everything that was answered with success: the state of each job, and its records against HubSpot's."""
    client = caller.client
    assert caller.exports
    assert caller.syncs
    assert caller.erased
    left = client.ids_in_hubspot("contacts")
    for path in (*caller.exports, *caller.syncs):
        job = client.finished(path, within_s=SETTLED_S)
        allowed = {"succeeded", "cancelled"} if path in caller.cancelled else {"succeeded"}
        assert job["status"] in allowed, job
    unlooked = {"account_id": client.account.account_id, "looks": 0}  # the second look comes ten minutes later
    until(lambda: not client.documents("erasures", **unlooked), within_s=SETTLED_S)
    for path in _whole_exports(caller):
        assert not set(client.stored_ids(path, "contacts")) & set(caller.erased)
    _require_exact_copy(caller, left)
    for path in caller.removed:
        assert client.get(path).status_code == 404
    removed = {"job_id": {"$in": [path.rpartition("/")[2] for path in caller.removed]}}
    until(lambda: not client.documents("pages", **removed), within_s=SETTLED_S)  # some by a later sweep


def _whole_exports(caller: Caller) -> list[str]:
    """Check that each export holds every record once, and that its receipt is complete."""
    whole = [path for path in caller.exports if caller.client.job(path)["status"] == "succeeded"]
    left = caller.client.ids_in_hubspot("contacts")
    for path in whole:
        job, found = caller.client.job(path), caller.client.stored_ids(path, "contacts")
        assert job["receipt"]["complete"], job
        assert len(found) == len(set(found)), job
        assert found == left, job
        downloaded = caller.client.get(f"{path}/download").text.splitlines()
        assert len(downloaded) == len(left)
    return whole


def _require_exact_copy(caller: Caller, left: list[int]) -> None:
    client = caller.client
    client.finished(start(client, {"types": ["contacts"], "confirm_deletions": True}))
    body: Json = client.get("/records/contacts", [("limit", "1000")]).json()
    assert sorted(record["id"] for record in body["data"]) == left
    page: Json = client.get("/export/contacts?limit=10").json()
    assert ids_of("contacts", page["data"]["contacts"]) == left[:10]


def _require_no_failure(stack: Stack) -> None:
    """No job may fail because a server is unavailable."""
    with closing(MongoClient[Json](stack.settings["MONGODB_URI"])) as mongo:
        jobs = mongo[stack.settings["MONGODB_DATABASE"]]["integrations.hubspot.jobs"]
        assert list(jobs.find({"error": {"$ne": None}}, {"error": True, "kind": True})) == []
