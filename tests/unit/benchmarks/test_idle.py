"""What the measurement of an idle deployment makes of two readings of counters."""

from __future__ import annotations

from benchmarks.idle import Counters, rates


def test_rates_leave_out_what_did_not_come_and_what_the_measurement_asks() -> None:
    before = Counters(mongo={"find": 10, "hello": 5, "insert": 3}, redis={"brpop": 100}, connections=7)
    after = Counters(mongo={"find": 40, "hello": 50, "insert": 3}, redis={"brpop": 110, "llen": 40}, connections=27)

    found = rates(before, after, seconds=10)

    assert found.mongo == {"find": 3.0}
    assert list(found.redis.items()) == [("llen", 4.0), ("brpop", 1.0)]
    assert list(found.against_aims().values()) == [3.0, 5.0, 2.0]
