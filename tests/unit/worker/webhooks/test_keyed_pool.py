"""KeyedThreadPool: work that hangs holds up only its own groups."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue

import pytest
from structlog.testing import capture_logs

from tests.patience import PATIENCE_S
from worker.webhooks.keyed_pool import KeyedThreadPool


class Site:
    """A KeyedThreadPool with work that ends when a test says so."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.began: SimpleQueue[str] = SimpleQueue()
        self.ended: SimpleQueue[str] = SimpleQueue()
        self._may_end = threading.Event()
        self.pool = KeyedThreadPool(
            threads=4,
            waiting=2,
            stopping=self.stopping,
            name="test",
        )

    def hang(self, key: str, *groups: str) -> bool:
        """Submit work that begins and does not end before `let_go`."""
        return self.pool.submit(dict.fromkeys(groups, 2), key, lambda: self._hang(key))

    def run(self, key: str, *groups: str) -> bool:
        """Submit work that ends at once."""
        return self.pool.submit(dict.fromkeys(groups, 2), key, lambda: self.ended.put(key))

    def let_go(self) -> None:
        self._may_end.set()

    def _hang(self, key: str) -> None:
        self.began.put(key)
        self._may_end.wait(PATIENCE_S)
        self.ended.put(key)


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.stopping.set()
    site.let_go()


def taken(queue: SimpleQueue[str], count: int) -> list[str]:
    return [queue.get(timeout=PATIENCE_S) for _ in range(count)]


def until(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.001)


def test_work_in_one_line_is_begun_in_its_order(site: Site) -> None:
    for number in range(3):
        site.hang(f"a{number}", "a")

    assert set(taken(site.began, 2)) == {"a0", "a1"}
    site.let_go()
    assert taken(site.began, 1) == ["a2"]


def test_a_line_that_hangs_takes_its_share_of_the_threads_and_no_more(site: Site) -> None:
    for number in range(4):
        site.hang(f"slow{number}", "slow")
    taken(site.began, 2)

    for number in range(20):
        until(lambda number=number: site.run(f"quick{number}", f"quick{number % 4}"))  # type: ignore[misc]

    assert sorted(taken(site.ended, 20)) == sorted(f"quick{number}" for number in range(20))
    with pytest.raises(Empty):
        site.began.get_nowait()


def test_work_in_two_lines_needs_room_in_both(site: Site) -> None:
    for number in range(2):
        site.hang(f"a{number}", "account 1", f"host {number}")
    taken(site.began, 2)

    site.run("same account", "account 1", "host 2")
    site.run("same host", "account 2", "host 0")

    assert taken(site.ended, 1) == ["same host"]
    with pytest.raises(Empty):
        site.ended.get(timeout=0.05)
    site.let_go()
    assert sorted(taken(site.ended, 3)) == ["a0", "a1", "same account"]


def test_no_more_is_begun_than_there_are_threads(site: Site) -> None:
    for number in range(6):
        site.hang(f"x{number}", f"line{number}")

    taken(site.began, 4)

    with pytest.raises(Empty):
        site.began.get(timeout=0.05)
    site.let_go()
    assert len(taken(site.ended, 6)) == 6


def test_a_key_that_waits_or_runs_is_not_queued_again(site: Site) -> None:
    for number in range(3):
        site.hang(f"a{number}", "a")
    taken(site.began, 2)

    assert all(site.hang(f"a{number}", "a") for number in range(3))
    site.let_go()

    assert sorted(taken(site.ended, 3)) == ["a0", "a1", "a2"]
    with pytest.raises(Empty):
        site.ended.get(timeout=0.05)
    until(lambda: site.run("a0", "a") and not site.ended.empty())  # once it is done it may come again


def test_a_full_line_takes_no_more_and_does_so_again_later(site: Site) -> None:
    accepted = [site.hang(f"a{number}", "a") for number in range(8)]

    assert accepted == [True] * 6 + [False] * 2  # two at work, and for each of them two that wait
    assert not site.hang("both", "b", "a")
    assert site.hang("b0", "b")
    site.let_go()
    taken(site.ended, 7)
    assert site.run("a6", "a")
    assert taken(site.ended, 1) == ["a6"]


def test_work_that_breaks_is_logged_and_the_next_is_done(site: Site) -> None:
    def broken() -> None:
        raise RuntimeError("a bug")

    with capture_logs() as logs:
        site.pool.submit({"a": 2}, "broken", broken)
        site.run("next", "a")
        assert taken(site.ended, 1) == ["next"]
        until(lambda: [(each["event"], each["key"]) for each in logs] == [("work_broke", "broken")])


def test_what_has_not_been_begun_when_the_process_stops_never_is(site: Site) -> None:
    for number in range(3):
        site.hang(f"a{number}", "a")
    taken(site.began, 2)

    site.stopping.set()
    site.run("b0", "b")
    site.let_go()

    assert set(taken(site.ended, 2)) == {"a0", "a1"}
    with pytest.raises(Empty):
        site.ended.get(timeout=0.05)
    assert site.began.empty()
