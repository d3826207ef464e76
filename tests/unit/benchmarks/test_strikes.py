"""The timetable of what is killed when."""

from __future__ import annotations

from benchmarks.soak.strikes import REPAIRS, Strike, TimedStrike, timetable

RUN = timetable(seconds=300, kill_every_s=10)


def times_of(strike: Strike, table: tuple[TimedStrike, ...] = RUN) -> list[float]:
    return [timed.at_s for timed in table if timed.strike is strike]


def test_a_worker_is_killed_at_every_interval_before_the_end() -> None:
    assert times_of(Strike.WORKER_KILLED) == [float(at_s) for at_s in range(10, 300, 10)]


def test_strikes_come_in_the_order_of_their_time() -> None:
    assert [timed.at_s for timed in RUN] == sorted(timed.at_s for timed in RUN)


def test_every_strike_comes_in_a_run_of_any_length() -> None:
    for seconds in (30, 300, 3600):
        table = timetable(seconds=seconds, kill_every_s=10)
        assert {timed.strike for timed in table} == set(Strike)


def test_a_server_that_was_killed_comes_back_before_the_next_one_goes() -> None:
    for seconds in (30, 300, 3600):
        away: list[Strike] = []
        for timed in timetable(seconds=seconds, kill_every_s=10):
            if timed.strike in REPAIRS:
                away.pop()
            elif timed.strike in {Strike.REDIS_KILLED, Strike.MONGO_KILLED}:
                assert away == []
                away.append(timed.strike)
        assert away == []


def test_redis_is_emptied_while_it_runs() -> None:
    for seconds in (30, 300, 3600):
        strikes = [timed.strike for timed in timetable(seconds=seconds, kill_every_s=1000)]
        before = strikes[: strikes.index(Strike.REDIS_EMPTIED)]
        assert before.count(Strike.REDIS_KILLED) == before.count(Strike.REDIS_STARTED)
