"""JobWaiter: announcements reach who waits, whatever Redis and others on its channel do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager

import fakeredis
import pytest

from api_shim.services import job_waiter
from api_shim.services.job_waiter import Hint, JobWaiter, Signal, Watch
from tests.contract.stores import new_job
from tests.patience import PATIENCE_S
from worker.errors import StoreUnavailableError
from worker.jobs.job import Job
from worker.jobs.status import JobStatus
from worker.messaging.notifier import CHANNEL, Arrival


class Wire:
    """The Redis between them."""

    def __init__(self) -> None:
        self.server = fakeredis.FakeServer()

    def say(self, text: str | bytes) -> None:
        fakeredis.FakeRedis(server=self.server).publish(CHANNEL, text)

    def cut(self) -> None:
        """Let one more announcement through, so that whoever listens looks up, and finds nobody."""
        self.say("last words")
        self.server.connected = False

    def mend(self) -> None:
        self.server.connected = True


@asynccontextmanager
async def listening(wire: Wire) -> AsyncIterator[JobWaiter]:
    waiter = JobWaiter(fakeredis.FakeAsyncRedis(server=wire.server))
    task = asyncio.create_task(waiter.listen())
    try:
        yield waiter
        assert not task.done()
    finally:
        while not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=0.02)


def nothing_known(_: Sequence[str]) -> Mapping[str, JobStatus | None]:
    return {}


async def heard(watch: Watch, wire: Wire, text: str) -> Signal:
    """Publish until it arrives: nobody knows when a subscription begins."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            wire.say(text)
            if (status := await watch.next_signal(timeout_s=0.02)) is not None:
                return status


def run(scenario: Callable[[Wire], Coroutine[None, None, None]]) -> None:
    asyncio.run(scenario(Wire()))


def test_a_new_state_reaches_everyone_who_waits_for_the_job_and_nobody_else() -> None:
    async def scenario(wire: Wire) -> None:
        async with listening(wire) as waiter:
            with (
                waiter.watch("a", nothing_known) as first,
                waiter.watch("a", nothing_known) as second,
                waiter.watch("b", nothing_known) as other,
            ):
                assert await heard(first, wire, "a succeeded") is JobStatus.SUCCEEDED
                assert await second.next_signal(timeout_s=PATIENCE_S) is JobStatus.SUCCEEDED
                assert await other.next_signal(timeout_s=0.02) is None

    run(scenario)


def test_who_has_stopped_waiting_is_not_told_and_disturbs_nobody() -> None:
    async def scenario(wire: Wire) -> None:
        async with listening(wire) as waiter:
            with waiter.watch("a", nothing_known) as gone:
                pass
            with waiter.watch("a", nothing_known) as watch:
                assert await heard(watch, wire, "a running") is JobStatus.RUNNING
            assert await gone.next_signal(timeout_s=0.02) is None

    run(scenario)


def test_the_arrival_of_a_page_is_told_besides_states() -> None:
    async def scenario(wire: Wire) -> None:
        async with listening(wire) as waiter:
            with waiter.watch("a", nothing_known) as watch:
                assert await heard(watch, wire, "a page") is Arrival.PAGE

    run(scenario)


@pytest.mark.parametrize("noise", [b"\xff\xfe", b"", b"a", b"a dancing", b"succeeded", b"a succeeded "])
def test_what_is_no_announcement_makes_nobody_deaf(noise: bytes) -> None:
    async def scenario(wire: Wire) -> None:
        async with listening(wire) as waiter:
            with waiter.watch("a", nothing_known) as watch, waiter.watch("b", nothing_known) as other:
                await heard(other, wire, "b running")
                wire.say(noise)
                assert await heard(watch, wire, "a failed") is JobStatus.FAILED

    run(scenario)


def test_a_redis_that_is_not_there_yet_is_waited_for() -> None:
    async def scenario(wire: Wire) -> None:
        wire.server.connected = False
        async with listening(wire) as waiter:
            with waiter.watch("a", nothing_known) as watch:
                assert await watch.next_signal(timeout_s=0.1) is None
                wire.mend()
                assert await heard(watch, wire, "a succeeded") is JobStatus.SUCCEEDED

    run(scenario)


def test_a_redis_that_goes_away_is_listened_to_again_when_it_is_back() -> None:
    async def scenario(wire: Wire) -> None:
        async with listening(wire) as waiter:
            with waiter.watch("a", nothing_known) as watch:
                await heard(watch, wire, "a running")
                wire.cut()
                assert await watch.next_signal(timeout_s=0.1) in {None, JobStatus.RUNNING}
                wire.mend()
                assert await heard(watch, wire, "a succeeded") is not None

    run(scenario)


class Store:
    """What is stored, and every query for it."""

    def __init__(self) -> None:
        self.states: dict[str, JobStatus | None] = {}
        self.asked: list[list[str]] = []
        self.fault: Exception | None = None

    def look(self, ids: Sequence[str]) -> Mapping[str, JobStatus | None]:
        self.asked.append(sorted(ids))
        if self.fault is not None:
            raise self.fault
        return {each: self.states.get(each) for each in ids}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(job_waiter, "_POLL_EVERY_S", 0.01)
    return Store()


def test_what_was_not_announced_is_found_by_looking(store: Store) -> None:
    async def scenario(wire: Wire) -> None:
        async with listening(wire) as waiter:
            store.states["a"] = JobStatus.QUEUED
            with waiter.watch("a", store.look) as watch:
                assert await watch.next_signal(timeout_s=PATIENCE_S) is JobStatus.QUEUED
                assert await watch.next_signal(timeout_s=0.1) is None
                store.states["a"] = JobStatus.RUNNING
                assert await watch.next_signal(timeout_s=PATIENCE_S) is JobStatus.RUNNING

    run(scenario)


def test_signals_end_with_the_time_and_not_before(store: Store) -> None:
    async def scenario(wire: Wire) -> None:
        async with listening(wire) as waiter:
            store.states["a"] = JobStatus.RUNNING
            with waiter.watch("a", store.look) as watch:
                assert [each async for each in watch.signals(within_s=0)] == []
                async for each in watch.signals(within_s=PATIENCE_S):
                    assert each is JobStatus.RUNNING
                    break
                assert [each async for each in watch.signals(within_s=0.05)] == []

    run(scenario)


def test_one_query_serves_all_who_wait(store: Store) -> None:
    async def scenario(wire: Wire) -> None:
        async with listening(wire) as waiter:
            with ExitStack() as watching:
                watches = [watching.enter_context(waiter.watch(f"job-{n % 3}", store.look)) for n in range(300)]
                store.states = dict.fromkeys(["job-0", "job-1", "job-2"], JobStatus.RUNNING)
                found = await asyncio.gather(*(each.next_signal(timeout_s=PATIENCE_S) for each in watches))
                assert set(found) == {JobStatus.RUNNING}

    run(scenario)
    assert store.asked
    assert {tuple(ids) for ids in store.asked} == {("job-0", "job-1", "job-2")}


def test_who_begins_to_wait_late_is_told_what_the_others_know(store: Store) -> None:
    async def scenario(wire: Wire) -> None:
        async with listening(wire) as waiter:
            store.states["a"] = JobStatus.RUNNING
            with waiter.watch("a", store.look) as first:
                assert await first.next_signal(timeout_s=PATIENCE_S) is JobStatus.RUNNING
                with waiter.watch("a", store.look) as second:
                    assert await second.next_signal(timeout_s=PATIENCE_S) is JobStatus.RUNNING
                assert await first.next_signal(timeout_s=0.05) is None

    run(scenario)


@pytest.mark.parametrize("fault", [None, StoreUnavailableError(), RuntimeError("a bug")])
def test_who_waits_looks_where_a_look_cannot_tell(store: Store, fault: Exception | None) -> None:
    async def scenario(wire: Wire) -> None:
        async with listening(wire) as waiter:
            store.fault = fault  # without one: the job is gone
            with waiter.watch("a", store.look) as watch:
                assert await watch.next_signal(timeout_s=PATIENCE_S) is Hint.READ
                assert await watch.next_signal(timeout_s=PATIENCE_S) is Hint.READ

    run(scenario)


def test_a_thousand_ids_at_most_are_looked_for_at_once(store: Store) -> None:
    async def scenario(wire: Wire) -> None:
        async with listening(wire) as waiter:
            with ExitStack() as watching:
                ids = [f"job-{number}" for number in range(2500)]
                watches = [watching.enter_context(waiter.watch(each, store.look)) for each in ids]
                await watches[-1].next_signal(timeout_s=PATIENCE_S)

    run(scenario)
    assert [len(ids) for ids in store.asked][:3] == [1000, 1000, 500]


def test_all_whom_the_same_news_has_woken_share_one_reading(store: Store) -> None:
    reads: list[Job] = []

    async def read() -> Job:
        await asyncio.sleep(0)
        reads.append(new_job())
        return reads[-1]

    async def follow(watch: Watch) -> Job:
        await watch.next_signal(timeout_s=PATIENCE_S)
        return await watch.read(read)

    async def scenario(wire: Wire) -> None:
        async with listening(wire) as waiter:
            with ExitStack() as watching:
                watches = [watching.enter_context(waiter.watch("a", store.look)) for _ in range(50)]
                store.states["a"] = JobStatus.RUNNING
                assert len({job.job_id for job in await asyncio.gather(*map(follow, watches))}) == 1
                store.states["a"] = JobStatus.SUCCEEDED
                assert len({job.job_id for job in await asyncio.gather(*map(follow, watches))}) == 1

    run(scenario)
    assert len(reads) == 2


def test_a_reading_that_fails_fails_for_all_and_is_done_anew_after_the_next_news(store: Store) -> None:
    async def fail() -> Job:
        raise StoreUnavailableError

    async def succeed() -> Job:
        return new_job()

    async def scenario(wire: Wire) -> None:
        async with listening(wire) as waiter:
            store.states["a"] = JobStatus.RUNNING
            with waiter.watch("a", store.look) as watch:
                await watch.next_signal(timeout_s=PATIENCE_S)
                found = await asyncio.gather(watch.read(fail), watch.read(succeed), return_exceptions=True)
                assert [type(each) for each in found] == [StoreUnavailableError] * 2
                store.states["a"] = JobStatus.SUCCEEDED
                await watch.next_signal(timeout_s=PATIENCE_S)
                assert isinstance(await watch.read(succeed), Job)

    run(scenario)
