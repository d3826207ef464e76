"""What happens to exports when workers die, are frozen, come back too late or are told to stop."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from datetime import datetime

import pytest

from sandbox.processes import Process
from sandbox.stack import Stack
from tests.acceptance.client import Client, Json
from tests.acceptance.conftest import connect
from tests.acceptance.stacks import LEASE_S, SHORT_LIVED, SLICE_S, Crew, SharedStacks
from tests.patience import HELD_UP_S, PATIENCE_S, until

SWEEP_S = 2
REPEATED = 2  # the call for the page that was not stored yet, and the one under way
IN_VAIN = 2  # calls with which an export of a few pages more than ten finds out that it need not be split
PAGE = 100  # records


def until_on(stack: Stack, condition: Callable[[], bool], *, within_s: float = PATIENCE_S) -> None:
    def look() -> bool:
        stack.check()
        return condition()

    until(look, within_s=within_s)


def slow_export(stack: Stack, *, pages: int, latency_s: float) -> tuple[Client, str]:
    client = connect(stack, contacts=pages * PAGE)
    stack.hubspot_control.change_account(client.account.hub_id, latency_s=latency_s)
    return client, client.start("contacts")


def pages_of(client: Client, path: str) -> int:
    return int(client.job(path)["progress"]["pages"])


def document(client: Client, path: str) -> Json:
    (found,) = client.documents("jobs", _id=path.rpartition("/")[2])
    return found


def epochs(client: Client, path: str) -> dict[int, int]:
    """Return the epoch under which each page was stored, by number."""
    return {page["number"]: page["epoch"] for page in client.documents("pages", job_id=path.rpartition("/")[2])}


def holder(stack: Stack, client: Client, path: str) -> Process:
    """Return the worker that holds the lease of the job."""
    lease = document(client, path)["lease"]
    (found,) = [worker for worker in stack.workers if worker.is_alive and f":{worker.pid}:" in lease["owner"]]
    return found


def require_every_record_once(client: Client, path: str) -> None:
    assert client.stored_ids(path, "contacts") == client.ids_in_hubspot("contacts")
    stored = client.documents("pages", job_id=path.rpartition("/")[2])
    assert len({page["number"] for page in stored}) == len(stored) == pages_of(client, path)


def test_after_kill_9_of_all_workers_a_new_one_goes_on_from_the_last_stored_pages(stacks: SharedStacks) -> None:
    # one slice an export: between two of them a job is nobody's, and its worker's death no interruption
    with stacks.lent(SHORT_LIVED, Crew(workers=2, settings={"SLICE_SECONDS": "60"})) as stack:
        exports = [slow_export(stack, pages=12, latency_s=0.8) for _ in range(3)]
        until_on(stack, lambda: all(pages_of(*export) >= 3 for export in exports))
        for worker in stack.workers:
            worker.kill()
        killed_at, stood_at = time.monotonic(), [pages_of(*export) for export in exports]
        assert max(stood_at) < 12
        for client, _ in exports:
            stack.hubspot_control.change_account(client.account.hub_id, latency_s=0.0)
        stack.start_worker().wait_ready()

        until_on(stack, lambda: any(pages_of(*export) > stood for export, stood in zip(exports, stood_at, strict=True)))
        # most of it is a Python process that starts
        assert time.monotonic() - killed_at < LEASE_S + SWEEP_S + 2 * HELD_UP_S

        for client, path in exports:
            job = client.finished(path)
            assert (job["status"], job["resumes"]) == ("succeeded", 1)
            require_every_record_once(client, path)
            assert len(client.calls(type="contacts")) <= 12 + REPEATED + IN_VAIN


def test_a_worker_that_was_frozen_past_its_lease_writes_nothing_when_it_goes_on(stacks: SharedStacks) -> None:
    with stacks.lent(SHORT_LIVED, Crew(workers=2, slots=1)) as stack:
        client, path = slow_export(stack, pages=10, latency_s=0.3)
        until_on(stack, lambda: pages_of(client, path) >= 2)
        until_on(stack, lambda: document(client, path)["lease"] is not None)
        frozen = holder(stack, client, path)
        frozen.send(signal.SIGSTOP)
        epoch = document(client, path)["epoch"]
        until_on(stack, lambda: document(client, path)["epoch"] > epoch)
        until_on(stack, lambda: pages_of(client, path) >= 6)
        before = epochs(client, path)

        frozen.send(signal.SIGCONT)
        until_on(stack, lambda: frozen.has_written("lease_lost"))

        job = client.finished(path)
        assert (job["status"], job["resumes"]) == ("succeeded", 1)
        require_every_record_once(client, path)
        assert len(client.calls(type="contacts")) <= 10 + REPEATED
        after = epochs(client, path)
        assert {number: after[number] for number in before} == before
        assert all(found > epoch for number, found in after.items() if number not in before)


def test_a_worker_that_hangs_in_a_slow_call_keeps_its_job(stacks: SharedStacks) -> None:
    with stacks.lent(SHORT_LIVED, Crew(workers=2)) as stack:
        client, path = slow_export(stack, pages=3, latency_s=0.0)
        client.finished(path)
        stack.hubspot_control.fail_next("slow", account=client.account.hub_id, type="contacts", delay_s=LEASE_S * 2)
        path = client.start("contacts")
        job = client.finished(path)
        assert (job["status"], job["resumes"], job["attempts"]) == ("succeeded", 0, 1)
        assert len(client.calls(type="contacts")) == 3 + 3


def test_a_job_that_ends_every_worker_that_takes_it_fails_after_three_deaths(stacks: SharedStacks) -> None:
    with stacks.lent(SHORT_LIVED, Crew(slots=1)) as stack:
        client = connect(stack, contacts=PAGE)
        stack.hubspot_control.fail_next("silent", account=client.account.hub_id, type="contacts", times=None)
        path = client.start("contacts")
        for deaths in range(3):
            until_on(stack, lambda deaths=deaths: len(client.calls(type="contacts")) == deaths + 1)  # type: ignore[misc]
            stack.workers[-1].kill()
            stack.start_worker().wait_ready()
        job = client.finished(path)
        assert (job["status"], job["error"]["code"], job["resumes"]) == ("failed", "internal", 3)
        assert "3 workers" in job["error"]["message"]
        assert len(client.calls(type="contacts")) == 3


@pytest.mark.parametrize("slots", [1, 2])
def test_a_long_export_delays_a_short_one_by_no_more_than_a_slice_of_each_in_front(
    stacks: SharedStacks, slots: int
) -> None:
    with stacks.lent(SHORT_LIVED, Crew(slots=slots)) as stack:
        giants = [slow_export(stack, pages=5000, latency_s=0.1) for _ in range(slots + 1)]
        until_on(stack, lambda: sum(pages_of(*giant) > 0 for giant in giants) >= slots)
        small = connect(stack, contacts=3)
        waits = []
        for _ in range(3):
            job = small.finished(small.start("contacts"))
            waits.append((instant(job["started_at"]) - instant(job["created_at"])).total_seconds())
        # In front of it there are at most the other waiting giant's slice and the rest of the one at hand.
        assert max(waits) < 2 * SLICE_S + HELD_UP_S, waits
        assert all(giant[0].job(giant[1])["status"] == "running" for giant in giants)


def test_a_worker_that_is_told_to_stop_is_gone_in_seconds_whatever_its_jobs_wait_for(stacks: SharedStacks) -> None:
    with stacks.lent(SHORT_LIVED, Crew(slots=4)) as stack:
        slow, slow_path = slow_export(stack, pages=20, latency_s=0.5)
        limited = connect(stack, contacts=2 * PAGE)
        stack.hubspot_control.fail_next(
            "ten_secondly", account=limited.account.hub_id, type="contacts", retry_after_s=3
        )
        limited_path = limited.start("contacts")
        until_on(stack, lambda: pages_of(slow, slow_path) >= 2)
        until_on(stack, lambda: document(limited, limited_path)["resume_at"] is not None)

        began = time.monotonic()
        stack.workers[0].stop(grace_s=30)
        assert time.monotonic() - began < 6 + HELD_UP_S

        stack.start_worker().wait_ready()
        for client, path in ((slow, slow_path), (limited, limited_path)):
            job = client.finished(path)
            assert (job["status"], job["resumes"]) == ("succeeded", 0)
            require_every_record_once(client, path)
        assert 20 <= len(slow.calls(type="contacts")) <= 20 + IN_VAIN


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
