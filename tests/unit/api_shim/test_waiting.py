"""JobWaiter: announcements reach who waits, whatever Redis and others on its channel do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

import fakeredis
import pytest

from api_shim.waiting import JobWaiter, Watch
from tests.patience import PATIENCE_S
from worker.jobs import JobStatus
from worker.wakeups import CHANNEL


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


async def heard(watch: Watch, wire: Wire, text: str) -> JobStatus:
    """Say something until it is heard: nobody knows when a subscription begins."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            wire.say(text)
            if (status := await watch.next_status(timeout_s=0.02)) is not None:
                return status


def run(scenario: Callable[[Wire], Coroutine[None, None, None]]) -> None:
    asyncio.run(scenario(Wire()))


def test_a_new_state_reaches_everyone_who_waits_for_the_job_and_nobody_else() -> None:
    async def scenario(wire: Wire) -> None:
        async with listening(wire) as waiter:
            with waiter.watch("a") as first, waiter.watch("a") as second, waiter.watch("b") as other:
                assert await heard(first, wire, "a succeeded") is JobStatus.SUCCEEDED
                assert await second.next_status(timeout_s=PATIENCE_S) is JobStatus.SUCCEEDED
                assert await other.next_status(timeout_s=0.02) is None

    run(scenario)


def test_who_has_stopped_waiting_is_not_told_and_disturbs_nobody() -> None:
    async def scenario(wire: Wire) -> None:
        async with listening(wire) as waiter:
            with waiter.watch("a") as gone:
                pass
            with waiter.watch("a") as watch:
                assert await heard(watch, wire, "a running") is JobStatus.RUNNING
            assert await gone.next_status(timeout_s=0.02) is None

    run(scenario)


@pytest.mark.parametrize("noise", [b"\xff\xfe", b"", b"a", b"a dancing", b"succeeded", b"a succeeded "])
def test_what_is_no_announcement_makes_nobody_deaf(noise: bytes) -> None:
    async def scenario(wire: Wire) -> None:
        async with listening(wire) as waiter:
            with waiter.watch("a") as watch, waiter.watch("b") as other:
                await heard(other, wire, "b running")
                wire.say(noise)
                assert await heard(watch, wire, "a failed") is JobStatus.FAILED

    run(scenario)


def test_a_redis_that_is_not_there_yet_is_waited_for() -> None:
    async def scenario(wire: Wire) -> None:
        wire.server.connected = False
        async with listening(wire) as waiter:
            with waiter.watch("a") as watch:
                assert await watch.next_status(timeout_s=0.1) is None
                wire.mend()
                assert await heard(watch, wire, "a succeeded") is JobStatus.SUCCEEDED

    run(scenario)


def test_a_redis_that_goes_away_is_listened_to_again_when_it_is_back() -> None:
    async def scenario(wire: Wire) -> None:
        async with listening(wire) as waiter:
            with waiter.watch("a") as watch:
                await heard(watch, wire, "a running")
                wire.cut()
                assert await watch.next_status(timeout_s=0.1) in {None, JobStatus.RUNNING}
                wire.mend()
                assert await heard(watch, wire, "a succeeded") is not None

    run(scenario)
