"""Rate: parsing `calls/seconds`, and keeping to HubSpot's limit as well."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.rate_limit.quota import Quota, Rate


def test_calls_and_seconds_are_read() -> None:
    assert Rate.parse(" 190 / 10 ") == Rate(calls=190, seconds=10)


def test_zero_is_no_limit() -> None:
    assert Rate.parse("0") is None


@pytest.mark.parametrize("text", ["", "110", "110/0", "0/10", "-1/10", "1.5/1", "110/10/1", "\u0661/\u0662"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="calls/seconds"):
        Rate.parse(text)


@pytest.mark.parametrize(
    ("own", "calls", "seconds", "result"),
    [
        (Rate(110, 10), 110, 10, Rate(110, 10)),
        (Rate(110, 10), 100, 10, Rate(100, 10)),
        (Rate(110, 10), 250, 10, Rate(110, 10)),
        (Rate(110, 10), 11, 1, Rate(11, 1)),
        (Rate(50, 10), 20, 1, Rate(5, 1)),
        (Rate(5, 1), 110, 10, Rate(5, 1)),
        (Rate(20, 1), 110, 10, Rate(11, 1)),
        (Rate(3, 10), 11, 1, Rate(3, 10)),
    ],
)
def test_the_lower_limit_counts_and_in_windows_of_either_length(
    own: Rate, calls: int, seconds: float, result: Rate
) -> None:
    assert own.under(Quota(calls=calls, remaining=0, seconds=seconds)) == result


@given(*(st.integers(1, 300) for _ in range(2)), *(st.integers(1, 60) for _ in range(2)))
def test_the_densest_calls_that_are_left_keep_both_limits(
    own_calls: int, quota_calls: int, own_seconds: int, quota_seconds: int
) -> None:
    rate = Rate(own_calls, own_seconds).under(Quota(calls=quota_calls, remaining=0, seconds=quota_seconds))

    bursts = [number * rate.seconds for number in range(120)]
    for calls, seconds in ((own_calls, own_seconds), (quota_calls, quota_seconds)):
        assert 1 <= rate.calls * sum(at < seconds for at in bursts) <= calls


@pytest.mark.parametrize(("remaining", "counted"), [(110, 0), (108, 2), (0, 110), (111, 0)])
def test_what_is_not_left_has_been_counted(remaining: int, counted: int) -> None:
    assert Quota(calls=110, remaining=remaining, seconds=10).counted == counted
