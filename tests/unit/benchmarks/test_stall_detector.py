"""How long jobs stand still, from looks at them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from benchmarks.soak.database import snapshot_of
from benchmarks.soak.stall_detector import Activity, JobSnapshot, Stall, StallDetector

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def look(job_id: str = "a", activity: Activity = Activity.LEASED, pages: int = 1) -> JobSnapshot:
    return JobSnapshot(job_id=job_id, activity=activity, pages=pages)


def test_a_job_that_moves_on_at_every_look_never_stands_still() -> None:
    stalls = StallDetector()
    for second in range(10):
        stalls.observe([look(pages=second)], at_s=second)

    assert stalls.longest == {Activity.LEASED: Stall(seconds=0, job_id="a")}


def test_a_stop_lasts_from_the_first_look_that_shows_it_to_the_last() -> None:
    stalls = StallDetector()
    for second, pages in enumerate((1, 2, 2, 2, 3)):
        stalls.observe([look(pages=pages)], at_s=100 + second)

    assert stalls.longest[Activity.LEASED].seconds == 2


def test_looks_that_were_missed_count_when_the_job_is_found_unmoved() -> None:
    stalls = StallDetector()
    stalls.observe([look()], at_s=0)
    stalls.observe([look()], at_s=30)

    assert stalls.longest[Activity.LEASED].seconds == 30


def test_the_longest_stop_of_all_jobs_is_kept_for_each_standing() -> None:
    stalls = StallDetector()
    for second in (0, 5):
        stalls.observe([look("a"), look("b", Activity.DUE)], at_s=second)
    stalls.observe([look("a")], at_s=9)
    stalls.observe([], at_s=60)

    assert stalls.longest == {Activity.LEASED: Stall(seconds=9, job_id="a"), Activity.DUE: Stall(seconds=5, job_id="b")}


def test_a_job_that_was_finished_and_is_retried_starts_anew() -> None:
    stalls = StallDetector()
    stalls.observe([look()], at_s=0)
    stalls.observe([], at_s=1)
    stalls.observe([look()], at_s=50)

    assert stalls.longest[Activity.LEASED].seconds == 0


@pytest.mark.parametrize(
    ("lease", "resume_in_s", "activity"),
    [
        ({"owner": "worker"}, None, Activity.LEASED),
        (None, None, Activity.DUE),
        (None, -1, Activity.DUE),
        (None, 1, Activity.WAITING),
    ],
)
def test_a_job_stands_as_its_document_says(
    lease: dict[str, str] | None, resume_in_s: int | None, activity: Activity
) -> None:
    resume_at = None if resume_in_s is None else NOW + timedelta(seconds=resume_in_s)
    document = {"_id": "a", "lease": lease, "resume_at": resume_at, "progress": {"pages": 3}}

    assert snapshot_of(document, now=NOW) == look(activity=activity, pages=3)
