"""StoredBytesCap: a warning first, then a refusal, by a sum that is good for a minute."""

from __future__ import annotations

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from tests.contract.stores import new_job
from tests.fakes.clock import ManualClock
from tests.fakes.stores import InMemoryJobStore
from worker.errors import StorageFullError
from worker.jobs.status import JobStatus
from worker.jobs.totals import ExportTotals
from worker.lifecycle.caps import Level, StoredBytesCap

MOST = 1000


class World:
    def __init__(self, *, most: int = MOST) -> None:
        self.clock = ManualClock()
        self.jobs = InMemoryJobStore(self.clock)
        self.told: list[Level] = []
        self.cap = StoredBytesCap(
            jobs=self.jobs, most=most, tell=self.told.append, monotonic=lambda: self.clock().timestamp()
        )

    def end(self, size: int, *, account_id: str = "a1", status: JobStatus = JobStatus.SUCCEEDED) -> None:
        self.jobs.add(replace(new_job(account_id=account_id), status=status, totals=ExportTotals(bytes=size)))


def test_below_four_fifths_nothing_is_said() -> None:
    world = World()
    world.end(799)

    world.cap.require_room("a1")

    assert (world.cap.warnings_for("a1"), world.told) == ((), [])


def test_from_four_fifths_on_there_is_a_warning() -> None:
    world = World()
    world.end(400)
    world.end(400, status=JobStatus.FAILED)

    with capture_logs() as logs:
        world.cap.require_room("a1")

    (warning,) = world.cap.warnings_for("a1")
    assert "800 of 1000 bytes (MAX_STORED_BYTES_PER_ACCOUNT)" in warning
    assert world.told == ["nearly_full"]
    assert [(each["event"], each["account_id"]) for each in logs] == [("storage_nearly_full", "a1")]


def test_at_the_cap_a_new_job_is_refused_and_the_message_says_what_to_do() -> None:
    world = World()
    world.end(MOST)

    with pytest.raises(
        StorageFullError, match=r"hold 1000 bytes.*MAX_STORED_BYTES_PER_ACCOUNT.*delete some"
    ) as refused:
        world.cap.require_room("a1")

    assert refused.value.retry_after_s == 3600
    assert world.told == ["full"]
    world.cap.require_room("a2")


def test_the_sum_is_made_once_a_minute() -> None:
    world = World()
    world.cap.require_room("a1")
    world.end(MOST)

    world.clock.advance(59)
    world.cap.require_room("a1")
    world.clock.advance(2)

    with pytest.raises(StorageFullError):
        world.cap.require_room("a1")


def test_what_runs_is_not_counted() -> None:
    world = World()
    world.end(10 * MOST, status=JobStatus.RUNNING)

    world.cap.require_room("a1")


def test_a_look_warns_of_many_accounts_at_once_and_refuses_nobody() -> None:
    world = World()
    world.end(MOST, account_id="full")
    world.end(900, account_id="nearly")
    world.end(1, account_id="empty")

    world.cap.look(["full", "nearly", "empty", "unknown"])

    assert world.told == ["full", "nearly_full"]


def test_without_a_cap_nothing_is_read() -> None:
    world = World(most=0)
    world.jobs.is_away = True

    world.cap.require_room("a1")
    world.cap.look(["a1"])

    assert world.cap.warnings_for("a1") == ()
