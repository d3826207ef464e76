"""Estimate: how many records, calls and seconds, from what is known."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from worker.jobs.call_costs import Reading
from worker.jobs.estimate import Basis, Count, Estimate, Extent, least_seconds, seconds_together
from worker.rate_limit.quota import Rate

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
RATE = Rate(110, 10)
BY_PAGES = Reading(page_size=100)


def count(records: int, basis: Basis = Basis.HUBSPOT) -> Count:
    return Count(records=records, basis=basis, as_of=NOW)


def extent(*, limit: int | None = None, reading: Reading = BY_PAGES, is_from_start: bool = True) -> Extent:
    return Extent(limit=limit, reading=reading, is_from_start=is_from_start)


def estimated(
    known: Count | None, wanted: Extent, *, call_s: float | None = None, rate: Rate | None = None
) -> Estimate:
    found = Estimate.of(wanted, count=known, call_s=call_s, rate=rate)
    assert found is not None
    return found


@pytest.mark.parametrize(("records", "calls"), [(0, 1), (1, 1), (100, 1), (101, 2), (10_000, 100)])
def test_every_page_is_a_call_and_there_is_at_least_one(records: int, calls: int) -> None:
    found = estimated(count(records), extent())

    assert (found.records, found.calls, found.basis, found.as_of) == (records, calls, Basis.HUBSPOT, NOW)


def test_what_nobody_has_counted_nobody_knows() -> None:
    assert Estimate.of(extent(), count=None, call_s=0.1, rate=RATE) is None
    assert Estimate.of(extent(is_from_start=False), count=count(50), call_s=0.1, rate=RATE) is None


@pytest.mark.parametrize(
    ("limit", "known", "records", "basis"),
    [
        (500, None, 500, Basis.LIMIT),
        (500, count(900), 500, Basis.HUBSPOT),
        (500, count(300, Basis.LAST_EXPORT), 300, Basis.LAST_EXPORT),
    ],
)
def test_a_limit_is_the_most_there_can_be(limit: int, known: Count | None, records: int, basis: Basis) -> None:
    found = estimated(known, extent(limit=limit))

    assert (found.records, found.basis) == (records, basis)


def test_after_an_offset_only_the_limit_is_known() -> None:
    found = estimated(count(90), extent(limit=500, is_from_start=False))

    assert (found.records, found.calls, found.basis, found.as_of) == (500, 5, Basis.LIMIT, None)


def test_the_time_is_that_of_the_calls_as_they_were_measured() -> None:
    assert estimated(count(1000), extent(), call_s=0.2, rate=RATE).seconds == 2.0


def test_where_nothing_was_measured_a_call_takes_half_a_second() -> None:
    assert estimated(count(1000), extent()).seconds == 5.0


def test_the_limit_of_calls_takes_its_time_whatever_the_calls_do() -> None:
    assert estimated(count(22_100), extent(), call_s=0.01, rate=RATE).seconds == 20.0


@pytest.mark.parametrize(("calls", "seconds"), [(0, 0), (1, 0), (110, 0), (111, 10), (220, 10), (221, 20)])
def test_a_windows_calls_may_all_go_at_once(calls: int, seconds: float) -> None:
    assert least_seconds({"list": calls - calls // 2, "batch": calls // 2}, RATE) == seconds
    assert least_seconds({"list": calls}, None) == 0


def test_exports_side_by_side_take_as_long_as_the_longest_or_as_their_shared_limit() -> None:
    each = [estimated(count(8000), extent(), call_s=0.1, rate=RATE) for _ in range(4)]

    assert seconds_together(each[:1], RATE) == 8.0
    assert seconds_together(each, None) == 8.0
    assert seconds_together(each, RATE) == 20.0
    assert seconds_together([], RATE) == 0.0


def test_a_part_of_the_records_takes_that_part_of_the_time() -> None:
    assert estimated(count(1000), extent()).seconds_for(250) == 1.25
    assert estimated(count(0), extent()).seconds_for(0) == 0.5


@pytest.mark.parametrize(
    ("reading", "calls"),
    [
        (Reading(page_size=100), {"list": 10_000}),
        (Reading(page_size=100, batch_size=100), {"list": 10_000, "batch": 10_000}),
        (Reading(page_size=50), {"list": 20_000}),
        (Reading(page_size=100, batch_size=50), {"list": 10_000, "batch": 20_000}),
        (Reading(page_size=250, parts=3), {"list": 12_000}),
        (Reading(page_size=100, lists=5), {"list": 10_004}),
        (Reading(page_size=100, searches=True), {"search": 5_000, "list": 1}),
        (
            Reading(page_size=100, associated=1, definitions=1),
            {"list": 10_000, "associations": 10_000, "definitions": 1},
        ),
        (
            Reading(page_size=100, searches=True, batch_size=100, associated=4),
            {"search": 5_000, "list": 1, "batch": 10_000, "associations": 20_000},
        ),
    ],
)
def test_a_million_records_take_the_calls_of_how_they_are_read(reading: Reading, calls: dict[str, int]) -> None:
    found = estimated(count(1_000_000), extent(reading=reading))

    assert (found.calls_by_kind, found.calls) == (calls, sum(calls.values()))


def test_each_merged_list_is_asked_at_least_once() -> None:
    assert estimated(count(0), extent(reading=Reading(page_size=100, lists=5))).calls == 5


def test_searches_have_a_limit_of_their_own_which_no_setting_turns_off() -> None:
    searched = extent(reading=Reading(page_size=100, searches=True))

    assert estimated(count(200_000), searched, call_s=0.001).seconds == 199.0
    assert least_seconds({"search": 5, "list": 110}, RATE) == 0
    assert least_seconds({"search": 6, "list": 110}, RATE) == 1


def test_exports_that_run_side_by_side_add_up_their_calls_by_kind() -> None:
    parts = [
        estimated(count(1_000), extent(reading=Reading(page_size=100, batch_size=50))),
        estimated(count(300), extent()),
    ]

    assert Estimate.together(parts).calls_by_kind == {"list": 13, "batch": 20}
