"""OpenJobCap: a burst ends exactly at the limit, and only new jobs of callers are ever refused."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from tests.contract.stores import new_job
from tests.fakes.clock import ManualClock
from tests.fakes.stores import InMemoryJobStore
from worker.errors import StoreUnavailableError, TooManyJobsError
from worker.jobs.status import JobStatus
from worker.lifecycle.caps import OpenJobCap

MOST, AT_ONCE = 20, 40


@pytest.fixture
def jobs() -> InMemoryJobStore:
    return InMemoryJobStore(ManualClock())


def add_one(jobs: InMemoryJobStore, cap: OpenJobCap, *, account_id: str = "a1") -> bool:
    """Store one more job, and return whether it was accepted."""
    try:
        with cap.one_more(account_id):
            jobs.add(new_job(account_id=account_id))
    except TooManyJobsError:
        return False
    return True


def all_at_once(tries: int, do: Callable[[], bool]) -> list[bool]:
    together = Barrier(AT_ONCE)

    def one(_: int) -> bool:
        together.wait()
        return do()

    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        return list(pool.map(one, range(tries)))


def test_a_burst_ends_exactly_at_the_cap(jobs: InMemoryJobStore) -> None:
    cap = OpenJobCap(jobs=jobs, most=MOST)

    let_in = all_at_once(200, lambda: add_one(jobs, cap))

    assert (let_in.count(True), len(jobs.all)) == (MOST, MOST)


def test_the_message_names_the_cap_and_what_to_do(jobs: InMemoryJobStore) -> None:
    cap = OpenJobCap(jobs=jobs, most=2)
    assert [add_one(jobs, cap) for _ in range(2)] == [True, True]

    with pytest.raises(TooManyJobsError, match=r"2 open jobs.*MAX_OPEN_JOBS_PER_ACCOUNT.*cancel") as refused:
        cap.require_room("a1")

    assert refused.value.retry_after_s >= 1


def test_each_account_has_a_cap_of_its_own(jobs: InMemoryJobStore) -> None:
    cap = OpenJobCap(jobs=jobs, most=1)

    assert [add_one(jobs, cap, account_id=each) for each in ("a1", "a1", "a2")] == [True, False, True]


@pytest.mark.parametrize("status", [each for each in JobStatus if each.is_terminal])
def test_what_has_ended_makes_room(jobs: InMemoryJobStore, status: JobStatus) -> None:
    cap = OpenJobCap(jobs=jobs, most=1)
    add_one(jobs, cap)

    jobs.put(replace(jobs.all[0], status=status))

    assert add_one(jobs, cap)


def test_without_a_cap_nothing_is_counted(jobs: InMemoryJobStore) -> None:
    cap = OpenJobCap(jobs=jobs, most=0)
    jobs.is_away = True

    assert cap.require_room("a1") == 0


def test_a_lock_is_free_again_after_the_store_was_away(jobs: InMemoryJobStore) -> None:
    cap = OpenJobCap(jobs=jobs, most=1)
    jobs.is_away = True
    with pytest.raises(StoreUnavailableError):
        add_one(jobs, cap)

    jobs.is_away = False

    assert add_one(jobs, cap)
