"""How long jobs stand still, from looks at them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from benchmarks.soak.database import look_at
from benchmarks.soak.stillness import Look, Standing, Stillness, Stop

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def look(job_id: str = "a", standing: Standing = Standing.HELD, pages: int = 1) -> Look:
    return Look(job_id=job_id, standing=standing, pages=pages)


def test_a_job_that_moves_on_at_every_look_never_stands_still() -> None:
    stillness = Stillness()
    for second in range(10):
        stillness.see([look(pages=second)], at_s=second)

    assert stillness.longest == {Standing.HELD: Stop(seconds=0, job_id="a")}


def test_a_stop_lasts_from_the_first_look_that_shows_it_to_the_last() -> None:
    stillness = Stillness()
    for second, pages in enumerate((1, 2, 2, 2, 3)):
        stillness.see([look(pages=pages)], at_s=100 + second)

    assert stillness.longest[Standing.HELD].seconds == 2


def test_looks_that_were_missed_count_when_the_job_is_found_unmoved() -> None:
    stillness = Stillness()
    stillness.see([look()], at_s=0)
    stillness.see([look()], at_s=30)

    assert stillness.longest[Standing.HELD].seconds == 30


def test_the_longest_stop_of_all_jobs_is_kept_for_each_standing() -> None:
    stillness = Stillness()
    for second in (0, 5):
        stillness.see([look("a"), look("b", Standing.DUE)], at_s=second)
    stillness.see([look("a")], at_s=9)
    stillness.see([], at_s=60)

    assert stillness.longest == {Standing.HELD: Stop(seconds=9, job_id="a"), Standing.DUE: Stop(seconds=5, job_id="b")}


def test_a_job_that_was_finished_and_is_retried_starts_anew() -> None:
    stillness = Stillness()
    stillness.see([look()], at_s=0)
    stillness.see([], at_s=1)
    stillness.see([look()], at_s=50)

    assert stillness.longest[Standing.HELD].seconds == 0


@pytest.mark.parametrize(
    ("lease", "resume_in_s", "standing"),
    [
        ({"owner": "worker"}, None, Standing.HELD),
        (None, None, Standing.DUE),
        (None, -1, Standing.DUE),
        (None, 1, Standing.PATIENT),
    ],
)
def test_a_job_stands_as_its_document_says(
    lease: dict[str, str] | None, resume_in_s: int | None, standing: Standing
) -> None:
    resume_at = None if resume_in_s is None else NOW + timedelta(seconds=resume_in_s)
    document = {"_id": "a", "lease": lease, "resume_at": resume_at, "progress": {"pages": 3}}

    assert look_at(document, now=NOW) == look(standing=standing, pages=3)
