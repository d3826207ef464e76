"""Cursors lead back to the place they were written for, and nothing else passes for one."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from api_shim.requests.cursors import CursorFormat, KeyInstant, KeyNumber
from worker.errors import InvalidRequestError

CURSORS = CursorFormat(TypeAdapter(tuple[KeyInstant, str]))
INSTANTS = st.datetimes(timezones=st.just(UTC))


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@given(INSTANTS, st.text())
def test_a_cursor_leads_to_the_place_it_was_written_for(at: datetime, name: str) -> None:
    assert CURSORS.read(CURSORS.write((at, name))) == (at, name)


def test_a_cursor_needs_no_quoting_in_a_query() -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]+", CURSORS.write((datetime.now(UTC), "é?ÿ/\x00😀")))


def test_an_instant_may_be_of_any_zone_and_stays_the_same() -> None:
    at = datetime(2026, 11, 23, 15, 0, 0, 123000, tzinfo=UTC)

    assert CURSORS.read(encoded('["2026-11-23T16:00:00.123+01:00","x"]')) == (at, "x")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "!",
        "é",
        "\ud83d",
        "\x00",
        "A",
        "AAAA",
        "x" * 1001,
        encoded(""),
        encoded("null"),
        encoded("{}"),
        encoded("[]"),
        encoded('["2026-11-23T15:00:00Z"]'),
        encoded('["2026-11-23T15:00:00Z",1]'),
        encoded('["2026-11-23T15:00:00Z","x",1]'),
        encoded('["2026-11-23T15:00:00","x"]'),
        encoded('["soon","x"]'),
        encoded('["0000-01-01T00:00:00Z","x"]'),
        encoded('[1e400,"x"]'),
        encoded('["0001-01-01T00:00:00+14:00","x"]'),
        encoded('["9999-12-31T23:59:59-14:00","x"]'),
        encoded('["2026-11-23T15:00:00Z","\\ud83d"]'),
        encoded("[" * 500),
    ],
)
def test_anything_else_is_refused_by_name(cursor: str) -> None:
    with pytest.raises(InvalidRequestError, match="cursor: is none that this list has given"):
        CURSORS.read(cursor)


def test_a_cursor_of_another_list_is_none() -> None:
    numbers = CursorFormat(TypeAdapter(tuple[KeyNumber, KeyNumber]))

    with pytest.raises(InvalidRequestError):
        numbers.read(CURSORS.write((datetime.now(UTC) + timedelta(days=1), "x")))


@pytest.mark.parametrize("number", [-1, 2**63, 10**30])
def test_a_number_is_one_that_the_database_can_be_asked_for(number: int) -> None:
    numbers = CursorFormat(TypeAdapter(tuple[KeyNumber]))

    assert numbers.read(encoded("[9223372036854775807]")) == (2**63 - 1,)
    with pytest.raises(InvalidRequestError):
        numbers.read(encoded(f"[{number}]"))
