"""The timetable of what is killed when."""

from __future__ import annotations

import pytest

from benchmarks.soak.strikes import REPAIRS, SECOND_HALVES, Strike, TimedStrike, timetable

RUN = timetable(seconds=300, kill_every_s=10)


def times_of(strike: Strike, table: tuple[TimedStrike, ...] = RUN) -> list[float]:
    return [timed.at_s for timed in table if timed.strike is strike]


def test_a_worker_is_killed_at_every_interval_before_the_end() -> None:
    assert times_of(Strike.WORKER_KILLED) == [float(at_s) for at_s in range(10, 300, 10)]


def test_strikes_come_in_the_order_of_their_time() -> None:
    assert [timed.at_s for timed in RUN] == sorted(timed.at_s for timed in RUN)


@pytest.mark.parametrize("seconds", [30, 300, 3600])
def test_every_strike_comes_in_a_run_of_any_length(seconds: float) -> None:
    table = timetable(seconds=seconds, kill_every_s=10, members=3, has_rabbitmq=True)

    assert {timed.strike for timed in table} == set(Strike)
    assert all(0 <= timed.at_s < seconds for timed in table)


def test_one_member_does_not_step_down_and_redis_alone_is_no_rabbitmq() -> None:
    assert {timed.strike for timed in RUN}.isdisjoint({Strike.STEPPED_DOWN, Strike.RABBITMQ_KILLED})


@pytest.mark.parametrize("seconds", [30, 300, 3600])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_of_the_servers_one_is_away_at_a_time(seconds: float, seed: int) -> None:
    away: list[Strike] = []
    for timed in timetable(seconds=seconds, kill_every_s=10, members=3, has_rabbitmq=True, seed=seed):
        if timed.strike in REPAIRS:
            away.remove(timed.strike)
        elif timed.strike in SECOND_HALVES:
            assert away == []
            away.append(SECOND_HALVES[timed.strike])
    assert away == []


def test_the_seed_decides_how_long_processes_are_stopped() -> None:
    assert timetable(seconds=300, kill_every_s=10, seed=2) == timetable(seconds=300, kill_every_s=10, seed=2)
    assert timetable(seconds=300, kill_every_s=10, seed=2) != RUN


def test_redis_is_emptied_while_it_runs() -> None:
    for seconds in (30, 300, 3600):
        strikes = [timed.strike for timed in timetable(seconds=seconds, kill_every_s=1000)]
        before = strikes[: strikes.index(Strike.REDIS_EMPTIED)]
        assert before.count(Strike.REDIS_KILLED) == before.count(Strike.REDIS_STARTED)
