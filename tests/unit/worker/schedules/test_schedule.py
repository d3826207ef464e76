"""Schedule: runs that are due, late, overlapping, or stopped."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.records.types import DEALS
from worker.schedules.schedule import CATCH_UP, Overlap, RunCounts, Schedule, Turn, jitter_of
from worker.schedules.timetable import Timetable

CREATED = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
THREE = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)  # 03:00 in Berlin
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NIGHTLY = Timetable(cron="0 3 * * *", timezone="Europe/Berlin")
HOURLY = Timetable(cron="0 * * * *", timezone="UTC")


def schedule(
    timetable: Timetable = NIGHTLY, *, overlap: Overlap = Overlap.SKIP, jitter_s: int = 0, is_enabled: bool = True
) -> Schedule:
    made = Schedule(
        schedule_id="s1",
        account_id="a1",
        owner="u1",
        timetable=timetable,
        types=(DEALS,),
        overlap=overlap,
        jitter_s=jitter_s,
        is_enabled=is_enabled,
        created_at=CREATED,
        updated_at=CREATED,
    )
    return made.planned(at=CREATED)


def turn(schedule: Schedule, at: datetime, *, is_busy: bool = False, is_stopped: bool = False) -> Turn:
    return schedule.take_turn(at=at, is_busy=is_busy, is_stopped=is_stopped)


def counts(schedule: Schedule) -> tuple[int, int]:
    return schedule.skipped_runs, schedule.missed_runs


def test_the_next_run_is_the_first_after_now_and_its_jitter_later() -> None:
    assert schedule().next_run_at == THREE
    assert schedule(jitter_s=300).next_run_at == THREE + timedelta(minutes=5)
    assert schedule(is_enabled=False).next_run_at is None


@pytest.mark.parametrize("seconds", [0, 299, 300, 301])
def test_a_run_whose_hour_has_passed_but_not_its_jitter_is_still_to_come(seconds: int) -> None:
    planned = schedule(jitter_s=300).planned(at=THREE + timedelta(seconds=seconds))

    today = seconds < 300
    assert planned.next_run_at == THREE + timedelta(minutes=5) + (timedelta() if today else DAY)


def test_a_run_that_is_due_is_started_and_the_next_one_planned() -> None:
    at = THREE + timedelta(seconds=301)
    done = turn(schedule(jitter_s=300), at)

    after = done.schedule
    assert (done.run_for, after.last_run_at, after.last_job_id) == (THREE, at, schedule().run_id(THREE))
    assert after.next_run_at == THREE + DAY + timedelta(minutes=5)
    assert counts(after) == (0, 0)


def test_the_id_of_a_run_is_always_the_same_and_anothers_is_another() -> None:
    one = schedule()

    assert one.run_id(THREE) == replace(one, timetable=HOURLY, jitter_s=9).run_id(THREE)
    assert len({one.run_id(THREE), one.run_id(THREE + DAY), replace(one, schedule_id="s2").run_id(THREE)}) == 3


def test_a_schedule_that_is_not_due_does_nothing() -> None:
    assert turn(schedule(), THREE - timedelta(seconds=1)) == Turn(schedule=schedule())


def test_after_an_outage_one_run_is_started_late_and_the_others_are_counted() -> None:
    hourly = schedule(HOURLY)
    done = turn(hourly, CREATED + timedelta(hours=20, minutes=30))

    assert done.run_for == CREATED + timedelta(hours=20)
    assert counts(done.schedule) == (0, 19)
    assert done.schedule.next_run_at == CREATED + timedelta(hours=21)


@pytest.mark.parametrize(("late", "is_made_up_for"), [(CATCH_UP, True), (CATCH_UP + timedelta(seconds=1), False)])
def test_a_run_is_made_up_for_within_some_hours_and_missed_after_that(late: timedelta, is_made_up_for: bool) -> None:  # noqa: FBT001 - a parameter of the test
    done = turn(schedule(jitter_s=60), THREE + timedelta(seconds=60) + late)

    assert done.run_for == (THREE if is_made_up_for else None)
    assert counts(done.schedule) == (0, 0 if is_made_up_for else 1)
    assert done.schedule.next_run_at == THREE + DAY + timedelta(seconds=60)


def test_a_time_out_of_all_proportion_is_counted_up_to_a_thousand_runs() -> None:
    done = turn(schedule(HOURLY), CREATED + timedelta(days=365))

    assert done.run_for == CREATED + timedelta(days=365)
    assert counts(done.schedule) == (0, 1000)


def test_a_run_that_is_due_while_the_sync_before_is_going_is_skipped_and_counted() -> None:
    done = turn(schedule(), THREE, is_busy=True)

    assert (done.run_for, counts(done.schedule)) == (None, (1, 0))
    assert done.schedule.next_run_at == THREE + DAY


def test_or_it_waits_for_the_sync_before_and_one_run_is_enough() -> None:
    first = turn(schedule(HOURLY, overlap=Overlap.QUEUE), CREATED + HOUR, is_busy=True).schedule
    assert (first.queued_for, counts(first)) == (CREATED + HOUR, (0, 0))

    second = turn(first, CREATED + 2 * HOUR, is_busy=True).schedule
    assert (second.queued_for, counts(second)) == (CREATED + 2 * HOUR, (1, 0))

    still = turn(second, CREATED + 2 * HOUR + timedelta(minutes=1), is_busy=True).schedule
    assert still == second
    done = turn(still, CREATED + 2 * HOUR + timedelta(minutes=2))
    assert (done.run_for, done.schedule.queued_for, counts(done.schedule)) == (CREATED + 2 * HOUR, None, (1, 0))


def test_a_run_that_waits_gives_way_to_the_one_that_is_due() -> None:
    waits = turn(schedule(HOURLY, overlap=Overlap.QUEUE), CREATED + HOUR, is_busy=True).schedule

    done = turn(waits, CREATED + 2 * HOUR)

    assert (done.run_for, done.schedule.queued_for, counts(done.schedule)) == (CREATED + 2 * HOUR, None, (1, 0))


@pytest.mark.parametrize("overlap", Overlap)
@pytest.mark.parametrize("is_busy", [False, True])
def test_without_a_token_that_is_any_good_no_run_is_started_and_none_waits(overlap: Overlap, is_busy: bool) -> None:  # noqa: FBT001 - as above
    done = turn(schedule(overlap=overlap), THREE, is_busy=is_busy, is_stopped=True)

    assert (done.run_for, done.schedule.queued_for, counts(done.schedule)) == (None, None, (1, 0))
    assert done.schedule.next_run_at == THREE + DAY


def test_a_schedule_that_is_switched_off_forgets_the_run_that_waits() -> None:
    waits = replace(schedule(), queued_for=THREE)

    assert waits.planned(at=THREE).queued_for == THREE
    assert replace(waits, is_enabled=False).planned(at=THREE).queued_for is None


def test_what_came_of_many_runs_is_counted() -> None:
    due = schedule(HOURLY)
    started, skipped = turn(due, CREATED + HOUR), turn(due, CREATED + 3 * HOUR, is_busy=True)

    assert RunCounts().after(due, started).after(due, skipped) == RunCounts(started=1, skipped=1, missed=2)


@given(
    st.sampled_from([NIGHTLY, HOURLY, Timetable(cron="30 2 * * *", timezone="Australia/Lord_Howe")]),
    st.integers(0, 900),
    st.lists(st.integers(1, 5 * 86_400), min_size=1, max_size=30),
)
def test_no_run_is_started_twice_and_every_one_that_has_passed_is_accounted_for(
    timetable: Timetable, jitter_s: int, pauses: list[int]
) -> None:
    present, at, started = schedule(timetable, jitter_s=jitter_s), CREATED, []
    for pause_s in pauses:
        at += timedelta(seconds=pause_s)
        done = turn(present, at)
        present = done.schedule
        assert present.next_run_at is not None
        assert present.next_run_at > at
        started += [done.run_for] if done.run_for is not None else []

    passed = runs_until(timetable, at - timedelta(seconds=jitter_s), jitter_s)
    assert started == sorted(set(started))
    assert set(started) <= set(passed)
    assert len(started) + present.missed_runs == len(passed)


def runs_until(timetable: Timetable, until: datetime, jitter_s: int) -> list[datetime]:
    return list(takewhile(lambda run: run <= until, timetable.after(CREATED - timedelta(seconds=jitter_s))))


# Jitter


def test_the_jitter_of_an_account_is_always_the_same_and_within_the_window() -> None:
    offsets = [jitter_of(f"a{number}", "u1", window_s=900, timetable=NIGHTLY) for number in range(2000)]

    assert offsets == [jitter_of(f"a{number}", "u1", window_s=900, timetable=NIGHTLY) for number in range(2000)]
    assert (min(offsets) >= 0, max(offsets) <= 900) == (True, True)


def test_accounts_are_spread_evenly() -> None:
    offsets = [jitter_of(f"a{number}", "u1", window_s=899, timetable=NIGHTLY) for number in range(9000)]

    per_minute = [sum(1 for offset in offsets if offset // 60 == minute) for minute in range(15)]
    assert min(per_minute) > 500
    assert max(per_minute) < 700


def test_the_jitter_leaves_three_quarters_of_the_time_between_two_runs() -> None:
    often = Timetable(cron="*/5 * * * *", timezone="UTC")
    offsets = {jitter_of(f"a{number}", "u1", window_s=900, timetable=often) for number in range(1000)}

    assert max(offsets) == 75
    assert jitter_of("a1", "u1", window_s=0, timetable=NIGHTLY) == 0
