"""Intervals as callers write them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from worker.jobs.intervals import interval, valid_interval


@pytest.mark.parametrize(
    ("text", "length"),
    [("1h", timedelta(hours=1)), ("36h", timedelta(hours=36)), ("7d", timedelta(days=7)), ("2w", timedelta(weeks=2))],
)
def test_an_interval_is_a_number_of_hours_days_or_weeks(text: str, length: timedelta) -> None:
    assert interval(text) == length
    assert valid_interval(text) == text


@pytest.mark.parametrize("text", ["", "0h", "7", "d", "7 d", "7m", "-1d", "1.5d", "7d\n", "\u0667d", "99999w"])
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="12h, 7d or 2w"):
        valid_interval(text)


def test_none_may_be_wanted() -> None:
    assert valid_interval(None) is None
