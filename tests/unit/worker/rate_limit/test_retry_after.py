"""Retry-After: both of its forms, and everything that is neither."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from worker.rate_limit.retry_after import LONGEST_S, retry_after_s

NOW = datetime(2026, 10, 21, 7, 27, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 120 ", 120),
        ("0", 0),
        ("1.5", 1.5),
        ("-5", 0),
        ("+5", 5),
        ("864000", LONGEST_S),
        ("9" * 5_000, LONGEST_S),
        ("-" + "9" * 5_000, 0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 60),
        ("Wednesday, 21-Oct-26 07:28:00 GMT", 60),
        ("Wed Oct 21 07:28:00 2026", 60),
        ("Wed, 21 Oct 2026 09:28:00 +0200", 60),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_S),
    ],
)
def test_seconds_and_dates_are_read(value: str, seconds: float) -> None:
    assert retry_after_s(value, clock=lambda: NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "soon",
        "1e3",
        "0x10",
        "١٢",
        "12 s",
        "Wed, 32 Oct 2026 07:28:00 GMT",
        "Wed, 21 Oct 2026 07:28:00 GMT" + " " * 100 + "x",
        "nan",
        "inf",
    ],
)
def test_anything_else_is_no_advice(value: str | None) -> None:
    assert retry_after_s(value, clock=lambda: NOW) is None


def test_a_date_is_compared_with_the_clock_that_made_it() -> None:
    ahead = "Wed, 21 Oct 2026 07:58:00 GMT"
    assert retry_after_s("Wed, 21 Oct 2026 08:00:00 GMT", date=ahead, clock=lambda: NOW) == 120
    assert retry_after_s("Wed, 21 Oct 2026 07:28:00 GMT", date="no date", clock=lambda: NOW) == 60
    assert retry_after_s("Wed, 21 Oct 2026 07:28:00 GMT") is None
    assert retry_after_s("30", date=ahead, clock=lambda: NOW - timedelta(days=1)) == 30
