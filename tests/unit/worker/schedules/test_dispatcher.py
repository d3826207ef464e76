"""Dispatcher: every run is started once, with others dispatching at the same time or dying half-way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from structlog.testing import capture_logs

from tests.contract.stores import new_job
from tests.fakes.clock import ManualClock
from tests.fakes.queue import HoldingSyncQueue
from tests.fakes.schedules import InMemoryScheduleStore
from tests.fakes.stores import InMemoryJobStore
from worker.errors import StoreUnavailableError
from worker.jobs.copy_progress import SyncMode
from worker.jobs.job import Job
from worker.jobs.status import JobKind, JobStatus, Line
from worker.jobs.sync import new_children
from worker.jobs.totals import ExportTotals
from worker.jobs.webhook import Webhook
from worker.lifecycle.caps import Level, StoredBytesCap
from worker.records.enabled_types import ALL_TYPES
from worker.records.types import DEALS
from worker.schedules.dispatcher import Dispatcher
from worker.schedules.interfaces import SyncQueue
from worker.schedules.schedule import Overlap, RunCounts, Schedule
from worker.schedules.timetable import Timetable

LEASE_S, LOOK_AGAIN_S = 5.0, 10.0
HOURLY = Timetable(cron="0 * * * *", timezone="UTC")
HOUR = timedelta(hours=1)
REFUSED = "refresh token is invalid (reconnect_required)"


class KilledError(BaseException):
    """What no code of ours catches."""


@dataclass
class Obstacles:
    """Given ConnectionObstacles, `broken` for some accounts; `meanwhile` is called once during a query."""

    known: dict[tuple[str, str], str] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    meanwhile: Callable[[], object] | None = None

    def obstacles(self, keys: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
        happening, self.meanwhile = self.meanwhile, None
        if happening is not None:
            happening()
        if self.broken.intersection(account_id for account_id, _ in keys):
            raise KeyError("owner")
        return {key: self.known[key] for key in keys if key in self.known}


@dataclass
class Office:
    """All that a dispatcher works with."""

    clock: ManualClock = field(default_factory=ManualClock)
    queue: HoldingSyncQueue = field(default_factory=HoldingSyncQueue)
    connections: Obstacles = field(default_factory=Obstacles)

    def __post_init__(self) -> None:
        self.schedules = InMemoryScheduleStore(self.clock)
        self.jobs = InMemoryJobStore(self.clock)

    def dispatcher(
        self, *, queue: SyncQueue | None = None, batch: int = 3, storage: StoredBytesCap | None = None
    ) -> Dispatcher:
        return Dispatcher(
            schedules=self.schedules,
            jobs=self.jobs,
            queue=queue or self.queue,
            connections=self.connections,
            storage=storage,
            batch=batch,
            lease_s=LEASE_S,
            look_again_s=LOOK_AGAIN_S,
        )

    def dispatch(self) -> RunCounts:
        return self.dispatcher().dispatch()

    def add(
        self,
        account_id: str = "a1",
        *,
        overlap: Overlap = Overlap.SKIP,
        webhook: Webhook | None = None,
        timetable: Timetable = HOURLY,
    ) -> None:
        """Store a schedule that is due on the next hour."""
        schedule = Schedule(
            schedule_id=f"s-{account_id}",
            account_id=account_id,
            owner="u1",
            timetable=timetable,
            types=(DEALS,),
            overlap=overlap,
            webhook=webhook,
            created_at=self.clock(),
            updated_at=self.clock(),
        )
        on_the_hour = replace(schedule, timetable=HOURLY).planned(at=self.clock())
        self.schedules.put(replace(on_the_hour, timetable=timetable))

    def schedule(self, account_id: str = "a1") -> Schedule:
        found = self.schedules.get(account_id, "u1")
        assert found is not None
        return found

    @property
    def rung_for(self) -> list[Job]:
        return [sync for message in self.queue.published for sync in message]

    def finish(self) -> None:
        """End the last sync."""
        last = self.jobs.all[-1]
        assert self.jobs.change(last, last.cancel(at=self.clock()))

    def let_an_hour_pass(self) -> datetime:
        self.clock.advance(3600)
        return self.clock()


@pytest.fixture
def office() -> Office:
    return Office()


def test_a_schedule_that_is_due_starts_a_sync_of_its_account(office: Office) -> None:
    office.add(webhook=Webhook(url="https://example.test"))
    at = office.let_an_hour_pass()

    assert office.dispatch() == RunCounts(started=1)

    [sync] = office.jobs.all
    assert (sync.kind, sync.account_id, sync.owner) == (JobKind.SYNC, "a1", "u1")
    assert sync.sync is not None
    assert (sync.sync.types, sync.sync.schedule_id, sync.sync.scheduled_for) == ((DEALS,), "s-a1", at)
    assert sync.webhook == Webhook(url="https://example.test")
    assert office.queue.published == [[sync]]
    assert (office.schedule().last_job_id, office.schedule().last_run_at) == (sync.job_id, at)


def test_a_sync_has_the_types_and_properties_of_its_schedule(office: Office) -> None:
    office.add()
    changed = replace(office.schedule(), types=(ALL_TYPES,), properties={DEALS: ("amount", "*")})
    office.schedules.put(changed)
    office.let_an_hour_pass()

    office.dispatch()

    (sync,) = office.rung_for
    assert sync.sync is not None
    assert (sync.sync.types, sync.sync.properties) == (("*",), {DEALS: ("amount", "*")})


def test_how_often_all_is_read_comes_from_the_schedule(office: Office) -> None:
    office.add()
    office.schedules.put(replace(office.schedule(), mode=SyncMode.INCREMENTAL, full_every="7d"))
    office.let_an_hour_pass()

    office.dispatch()

    [sync] = office.jobs.all
    assert sync.sync is not None
    assert (sync.sync.mode, sync.sync.full_every) == (SyncMode.INCREMENTAL, "7d")
    [child] = new_children(sync, at=office.clock())
    assert child.copying is not None
    assert child.copying.full_every == "7d"


def test_many_syncs_share_a_message(office: Office) -> None:
    for number in range(50):
        office.add(f"a{number}")
    office.let_an_hour_pass()

    office.dispatcher(batch=100).dispatch()

    assert [len(message) for message in office.queue.published] == [20, 20, 10]


def test_while_one_thread_dispatches_another_leaves_it_to_that(office: Office) -> None:
    office.add()
    office.let_an_hour_pass()
    inner: list[RunCounts] = []

    @dataclass
    class Curious:
        """A queue that has the same dispatcher dispatch."""

        dispatcher: Dispatcher | None = None

        def publish(self, _: Sequence[Job]) -> None:
            assert self.dispatcher is not None
            inner.append(self.dispatcher.dispatch())

    queue = Curious()
    queue.dispatcher = office.dispatcher(queue=queue)

    assert queue.dispatcher.dispatch() == RunCounts(started=1)
    assert inner == [RunCounts()]


def test_nothing_is_due_again_before_its_time(office: Office) -> None:
    office.add()
    office.let_an_hour_pass()
    office.dispatch()

    for _ in range(5):
        office.clock.advance(600)
        assert office.dispatch() == RunCounts()

    assert len(office.jobs.all) == 1


def test_more_than_a_batch_is_done_in_one_go(office: Office) -> None:
    for number in range(10):
        office.add(f"a{number}")
    office.let_an_hour_pass()

    assert office.dispatch() == RunCounts(started=10)

    assert {job.account_id for job in office.rung_for} == {f"a{number}" for number in range(10)}


def test_a_run_is_skipped_while_the_last_sync_is_running(office: Office) -> None:
    office.add()
    office.let_an_hour_pass()
    office.dispatch()
    office.let_an_hour_pass()

    assert office.dispatch() == RunCounts(skipped=1)

    office.finish()
    office.let_an_hour_pass()
    assert office.dispatch() == RunCounts(started=1)
    assert office.schedule().skipped_runs == 1


def test_a_queued_run_is_started_soon_after_the_last_sync(office: Office) -> None:
    office.add(overlap=Overlap.QUEUE)
    office.let_an_hour_pass()
    office.dispatch()
    at = office.let_an_hour_pass()
    assert office.dispatch() == RunCounts()
    office.finish()

    office.clock.advance(LOOK_AGAIN_S + 1)

    assert office.dispatch() == RunCounts(started=1)
    assert office.jobs.all[-1].sync is not None
    assert office.jobs.all[-1].sync.scheduled_for == at


def test_after_a_time_without_beat_there_is_one_sync(office: Office) -> None:
    office.add()
    office.clock.advance(20 * 3600)

    assert office.dispatch() == RunCounts(started=1, missed=19)

    assert len(office.jobs.all) == 1


def test_an_account_that_has_to_be_connected_anew_is_left_alone_until_it_is(office: Office) -> None:
    office.add("a1")
    office.add("a2")
    office.connections.known["a1", "u1"] = REFUSED
    office.let_an_hour_pass()
    with capture_logs() as logs:
        assert office.dispatch() == RunCounts(started=1, skipped=1)
    assert [(log["account_id"], log["reason"]) for log in logs if log["event"] == "runs_not_started"] == [
        ("a1", REFUSED)
    ]

    office.connections.known.clear()
    office.let_an_hour_pass()

    office.dispatch()
    assert [job.account_id for job in office.jobs.all] == ["a2", "a1"]


def test_with_the_broker_away_the_syncs_are_stored_and_left_to_the_sweeper(office: Office) -> None:
    office.add("a1")
    office.add("a2")
    office.let_an_hour_pass()
    office.queue.is_away = True

    assert office.dispatch() == RunCounts(started=2)

    unpublished = {job.account_id for job in office.jobs.take_due(limit=10)}
    assert unpublished == {"a1", "a2"}


@pytest.mark.parametrize("part", ["schedules", "jobs"])
def test_with_the_database_away_a_later_dispatch_does_it(office: Office, part: str) -> None:
    office.add()
    office.let_an_hour_pass()
    store: InMemoryScheduleStore | InMemoryJobStore = office.schedules if part == "schedules" else office.jobs
    store.is_away = True
    with pytest.raises(StoreUnavailableError):
        office.dispatch()

    store.is_away = False
    office.clock.advance(LEASE_S + 1)

    assert office.dispatch() == RunCounts(started=1)


def killed(_: object, *__: object, **___: object) -> None:
    raise KilledError


@pytest.mark.parametrize("where", ["unfinished_among", "add_all", "mark_unpublished", "publish", "release"])
def test_who_is_killed_on_the_way_leaves_nothing_undone_and_nothing_twice(
    office: Office, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        office.add(f"a{number}")
    at = office.let_an_hour_pass()
    with monkeypatch.context() as patch:
        for part in (office.jobs, office.schedules, office.queue):
            if hasattr(part, where):
                patch.setattr(part, where, killed)
        if where == "mark_unpublished":
            office.queue.is_away = True
        with pytest.raises(KilledError):
            office.dispatch()
    office.queue.is_away = False

    office.clock.advance(LEASE_S + 1)
    office.dispatch()

    assert sorted(job.account_id for job in office.jobs.all) == ["a0", "a1", "a2", "a3"]
    swept = office.jobs.take_lost({Line.SYNC: office.clock()}, most=8, limit=10)
    found = {job.account_id for job in office.rung_for} | {job.account_id for job in swept}
    assert found == {"a0", "a1", "a2", "a3"}
    for number in range(4):
        assert office.schedule(f"a{number}").next_run_at == at + HOUR
    assert {job.status for job in office.jobs.all} == {JobStatus.QUEUED}


def test_two_who_have_the_same_schedules_start_each_sync_once(office: Office) -> None:
    for number in range(3):
        office.add(f"a{number}")
    office.let_an_hour_pass()

    def end_lease() -> None:
        office.clock.advance(LEASE_S)
        office.dispatch()

    office.connections.meanwhile = end_lease

    office.dispatch()

    assert len(office.jobs.all) == 3
    assert {office.schedule(f"a{number}").skipped_runs for number in range(3)} == {0}


def test_what_fails_for_one_schedule_is_its_own(office: Office) -> None:
    for number in range(10):
        office.add(f"a{number}")
    office.let_an_hour_pass()
    office.connections.broken.add("a3")

    with capture_logs() as logs:
        counts = office.dispatcher(batch=100).dispatch()

    assert counts == RunCounts(started=9)
    assert "a3" not in {job.account_id for job in office.rung_for}
    assert [log["account_id"] for log in logs if log["event"] == "schedule_not_dispatched"] == ["a3"]


def test_and_it_is_started_once_that_is_mended(office: Office) -> None:
    office.add()
    at = office.let_an_hour_pass()
    office.connections.broken.add("a1")
    office.dispatch()
    office.connections.broken.clear()
    office.clock.advance(LEASE_S + 1)

    assert office.dispatch() == RunCounts(started=1)

    assert [job.sync.scheduled_for for job in office.jobs.all if job.sync is not None] == [at]


def test_a_timetable_that_no_program_of_ours_has_written_stops_no_other(office: Office) -> None:
    office.add("a1", timetable=Timetable(cron="0 * * * *", timezone="Mars/Olympus"))
    office.add("a2")
    office.let_an_hour_pass()

    assert office.dispatch() == RunCounts(started=1)


def test_a_run_of_an_account_over_its_storage_limit_is_started_and_logged(office: Office) -> None:
    told: list[Level] = []
    for account_id in ("full", "empty"):
        office.add(account_id)
    ended = replace(new_job(account_id="full"), status=JobStatus.SUCCEEDED, totals=ExportTotals(bytes=1000))
    office.jobs.add(ended)
    office.let_an_hour_pass()

    storage = StoredBytesCap(jobs=office.jobs, most=1000, tell=told.append)
    with capture_logs() as logs:
        assert office.dispatcher(storage=storage).dispatch() == RunCounts(started=2)

    assert told == ["full"]
    assert [each["account_id"] for each in logs if each["event"] == "storage_full"] == ["full"]
