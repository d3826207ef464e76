"""The timetable of what is killed when."""

from __future__ import annotations

import pytest

from benchmarks.soak.chaos_plan import REPAIRED_BY, REPAIRS, ChaosEvent, TimedEvent, make_chaos_plan

RUN = make_chaos_plan(seconds=300, kill_every_s=10)


def times_of(event: ChaosEvent, table: tuple[TimedEvent, ...] = RUN) -> list[float]:
    return [timed.at_s for timed in table if timed.event is event]


def test_a_worker_is_killed_at_every_interval_before_the_end() -> None:
    assert times_of(ChaosEvent.WORKER_KILLED) == [float(at_s) for at_s in range(10, 300, 10)]


def test_events_come_in_the_order_of_their_time() -> None:
    assert [timed.at_s for timed in RUN] == sorted(timed.at_s for timed in RUN)


@pytest.mark.parametrize("seconds", [30, 300, 3600])
def test_every_event_comes_in_a_run_of_any_length(seconds: float) -> None:
    table = make_chaos_plan(seconds=seconds, kill_every_s=10, members=3, has_rabbitmq=True)

    assert {timed.event for timed in table} == set(ChaosEvent)
    assert all(0 <= timed.at_s < seconds for timed in table)


def test_one_member_does_not_step_down_and_redis_alone_is_no_rabbitmq() -> None:
    assert {timed.event for timed in RUN}.isdisjoint({ChaosEvent.STEPPED_DOWN, ChaosEvent.RABBITMQ_KILLED})


@pytest.mark.parametrize("seconds", [30, 300, 3600])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_of_the_servers_one_is_away_at_a_time(seconds: float, seed: int) -> None:
    away: list[ChaosEvent] = []
    for timed in make_chaos_plan(seconds=seconds, kill_every_s=10, members=3, has_rabbitmq=True, seed=seed):
        if timed.event in REPAIRS:
            away.remove(timed.event)
        elif timed.event in REPAIRED_BY:
            assert away == []
            away.append(REPAIRED_BY[timed.event])
    assert away == []


def test_the_seed_decides_how_long_processes_are_stopped() -> None:
    assert make_chaos_plan(seconds=300, kill_every_s=10, seed=2) == make_chaos_plan(
        seconds=300, kill_every_s=10, seed=2
    )
    assert make_chaos_plan(seconds=300, kill_every_s=10, seed=2) != RUN


def test_redis_is_emptied_while_it_runs() -> None:
    for seconds in (30, 300, 3600):
        events = [timed.event for timed in make_chaos_plan(seconds=seconds, kill_every_s=1000)]
        before = events[: events.index(ChaosEvent.REDIS_EMPTIED)]
        assert before.count(ChaosEvent.REDIS_KILLED) == before.count(ChaosEvent.REDIS_STARTED)
