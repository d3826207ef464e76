"""Rate: `calls/seconds`."""

from __future__ import annotations

import pytest

from worker.rates import Rate


def test_calls_and_seconds_are_read() -> None:
    assert Rate.parse(" 190 / 10 ") == Rate(calls=190, seconds=10)


def test_zero_is_no_limit() -> None:
    assert Rate.parse("0") is None


@pytest.mark.parametrize("text", ["", "110", "110/0", "0/10", "-1/10", "1.5/1", "110/10/1", "\u0661/\u0662"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="calls/seconds"):
        Rate.parse(text)
