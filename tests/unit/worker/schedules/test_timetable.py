"""Timetable: every instant once and in order, through every change of the clocks; and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import InvalidRequestError
from worker.schedules.timetable import LEAST_MINUTES, Timetable

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
CHATHAM, KOLKATA, BEIRUT, UTC_ZONE = "Pacific/Chatham", "Asia/Kolkata", "Asia/Beirut", "UTC"

zones = st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE, CHATHAM, KOLKATA, BEIRUT, UTC_ZONE, "America/Sao_Paulo"])
crons = st.sampled_from(
    [
        *("30 2 * * *", "0 2,3 * * *", "15 1 * * *", "*/30 * * * *", "5 */2 * * *", "0 0 * * *", "45 1,2 * * SUN"),
        *("0 3 1 * *", "0 0 29 2 *", "30 0 * 3,10,11 *", "0 12 * * MON#1", "0 0 L * *", "0 9-17/2 * * 1-5"),
    ]
)
instants = st.datetimes(datetime(2025, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - as it asks
near_changes = st.builds(
    lambda at, minutes: at + timedelta(minutes=minutes),
    st.sampled_from([datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)]),
    st.integers(-180, 180),
)


def runs(cron: str, zone: str, day: str, count: int = 3) -> list[str]:
    """Return the first runs of a day in local time, with its offset from UTC."""
    start = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    found = Timetable.parse(cron, zone).after(start.astimezone(UTC) - timedelta(seconds=1))
    return [at.astimezone(ZoneInfo(zone)).strftime("%d %H:%M%z") for at in islice(found, count)]


@pytest.mark.parametrize(
    ("cron", "zone", "day", "expected"),
    [
        # 02:00 -> 03:00: right after the hour that there is not, and once
        ("30 2 * * *", BERLIN, "2026-03-28", ["28 02:30+0100", "29 03:00+0200", "30 02:30+0200"]),
        ("30 2 * * *", NEW_YORK, "2026-03-07", ["07 02:30-0500", "08 03:00-0400", "09 02:30-0400"]),
        ("0,30 2 * * *", BERLIN, "2026-03-29", ["29 03:00+0200", "30 02:00+0200", "30 02:30+0200"]),
        ("0 2,3 * * *", BERLIN, "2026-03-29", ["29 03:00+0200", "30 02:00+0200", "30 03:00+0200"]),
        # 03:00 -> 02:00: in the first of the two hours, and once
        ("30 2 * * *", BERLIN, "2026-10-24", ["24 02:30+0200", "25 02:30+0200", "26 02:30+0100"]),
        ("30 1 * * *", NEW_YORK, "2026-10-31", ["31 01:30-0400", "01 01:30-0400", "02 01:30-0500"]),
        # a run at an interval happens in both
        ("30 */1 * * *", BERLIN, "2026-10-25", ["25 00:30+0200", "25 01:30+0200", "25 02:30+0200"]),
        ("15 * * 10 *", BERLIN, "2026-10-25", ["25 00:15+0200", "25 01:15+0200", "25 02:15+0200"]),
        # half an hour: 02:00 -> 02:30 and 02:00 -> 01:30
        ("15 2 * * *", LORD_HOWE, "2026-10-03", ["03 02:15+1030", "04 02:30+1100", "05 02:15+1100"]),
        ("45 1 * * *", LORD_HOWE, "2026-04-04", ["04 01:45+1100", "05 01:45+1100", "06 01:45+1030"]),
        # at midnight, and at a quarter to three
        ("0 0 * * *", BEIRUT, "2026-03-28", ["28 00:00+0200", "29 01:00+0300", "30 00:00+0300"]),
        ("0 3 * * *", CHATHAM, "2026-09-26", ["26 03:00+1245", "27 03:45+1345", "28 03:00+1345"]),
        # zones whose clocks are never changed
        ("30 2 * * *", KOLKATA, "2026-03-28", ["28 02:30+0530", "29 02:30+0530", "30 02:30+0530"]),
        ("30 2 * * *", UTC_ZONE, "2026-03-28", ["28 02:30+0000", "29 02:30+0000", "30 02:30+0000"]),
    ],
)
def test_a_run_happens_once_on_days_on_which_the_clocks_change(
    cron: str, zone: str, day: str, expected: list[str]
) -> None:
    assert runs(cron, zone, day) == expected


def test_what_is_to_happen_every_half_hour_happens_in_both_of_the_hours_that_are_there_twice() -> None:
    assert runs("*/30 * * * *", BERLIN, "2026-10-25", 8)[4:] == [
        *("25 02:00+0200", "25 02:30+0200"),
        *("25 02:00+0100", "25 02:30+0100"),
    ]


@pytest.mark.parametrize("minutes", range(0, 130, 10))
def test_no_past_run_is_returned_within_an_hour_that_occurs_twice(minutes: int) -> None:
    at = datetime(2026, 10, 25, 0, 0, tzinfo=UTC) + timedelta(minutes=minutes)

    found = Timetable.parse("30 2 * * *", BERLIN).next_after(at)

    first, tomorrow = datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 26, 1, 30, tzinfo=UTC)
    assert found == (first if at < first else tomorrow)


@given(crons, zones, instants | near_changes)
def test_the_runs_are_later_each_time_and_after_what_was_asked_for(cron: str, zone: str, at: datetime) -> None:
    found = list(islice(Timetable.parse(cron, zone).after(at), 6))

    assert len(found) == 6
    assert [at, *found] == sorted({at, *found})
    assert {instant.tzinfo for instant in found} == {UTC}


@given(crons, zones, instants | near_changes)
def test_it_makes_no_difference_where_one_begins_to_count(cron: str, zone: str, at: datetime) -> None:
    timetable = Timetable.parse(cron, zone)
    first, second, third = islice(timetable.after(at), 3)

    assert [timetable.next_after(instant) for instant in (at, first, second)] == [first, second, third]
    assert timetable.next_after(first - timedelta(seconds=1)) == first


@given(crons, zones, instants | near_changes)
def test_a_run_matches_the_cron_unless_the_clocks_changed_over_it(cron: str, zone: str, at: datetime) -> None:
    minutes, hours, *_ = cron.split()
    found = Timetable.parse(cron, zone).next_after(at)
    assert found is not None
    local = found.astimezone(ZoneInfo(zone))

    before = (found - timedelta(hours=2)).astimezone(ZoneInfo(zone))
    if local.utcoffset() == before.utcoffset():
        assert {str(local.minute), "*/30"} & set(minutes.split(","))
        assert {str(local.hour), "*", "*/2", "9-17/2"} & set(hours.split(","))


@pytest.mark.parametrize(
    ("cron", "message"),
    [
        *[(text, "must have five fields: minute, hour, day of month, month, day of week") for text in ("", "0 3 * *")],
        ("0 0 3 * * *", "must have five fields: minute, hour, day of month, month, day of week"),
        ("@daily", "must have five fields: minute, hour, day of month, month, day of week"),
        ("٣ 3 * * *", "must have five fields: minute, hour, day of month, month, day of week"),
        ("60 3 * * *", "bad minute"),
        ("0 24 * * *", "bad hour"),
        ("0 3 0 * *", "bad day-of-month"),
        ("0 3 * 13 *", "bad month"),
        ("0 3 * * 8", "bad day-of-week"),
        ("*/0 3 * * *", "bad minute"),
        ("5-1 3 * * *", "bad minute"),
        ("0 0 31 2 *", "bad day-of-month"),
        ("0 0 */31 2 1#5", "never fires"),
        ("* * * * *", "must leave at least 5 minutes between two runs"),
        ("0,4 3 * * *", "must leave at least 5 minutes between two runs"),
        ("*/7 * * * *", "must leave at least 5 minutes between two runs"),
        ("59,0 23,0 31,1 * *", "must leave at least 5 minutes between two runs"),
        ("1," * 100 + "1 * * * *", "must have at most 200 characters"),
    ],
)
def test_a_cron_that_is_no_good_is_refused_with_the_reason(cron: str, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"^cron: {message}$"):
        Timetable.parse(cron, BERLIN)


@pytest.mark.parametrize(
    "name", ["", "Europe", "Europe/Atlantis", "europe/berlin", "CEST+1", "../etc/passwd", "localtime", "Factory", "\0"]
)
def test_what_is_not_a_zone_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"^timezone: must be the name of a time zone"):
        Timetable.parse("0 3 * * *", name)


def test_a_cron_is_kept_with_single_spaces() -> None:
    assert Timetable.parse("  0\t3  * * mon ", BERLIN).cron == "0 3 * * mon"


@pytest.mark.parametrize(
    ("cron", "gap"),
    [
        (f"*/{LEAST_MINUTES} * * * *", timedelta(minutes=5)),
        ("0 3 * * *", timedelta(days=1)),
        ("0 3,4 * * MON", timedelta(hours=1)),
        ("0 0 1 * *", timedelta(days=28)),
        ("0 0 29 2 *", timedelta(days=4 * 365 + 1)),
    ],
)
def test_the_shortest_gap_is_known(cron: str, gap: timedelta) -> None:
    assert Timetable.parse(cron, BERLIN).shortest_gap == gap
