"""A run in which nothing happened shows nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.soak.chaos_plan import REPAIRS, ChaosEvent
from benchmarks.soak.coverage import LONGEST_LEASED_S, Coverage, complaints_about_coverage

WHOLE = Coverage(
    planned=frozenset(ChaosEvent),
    events=dict.fromkeys(ChaosEvent, 1),
    takeovers=1,
    in_lanes=1,
    pages_read=1,
    longest_leased_s=LONGEST_LEASED_S,
)


def test_a_run_in_which_everything_happened_is_right() -> None:
    assert list(complaints_about_coverage(WHOLE)) == []


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (replace(WHOLE, events={**WHOLE.events, ChaosEvent.REDIS_EMPTIED: 0}), "FLUSHALL"),
        (replace(WHOLE, takeovers=0), "taken over"),
        (replace(WHOLE, in_lanes=0), "lanes"),
        (replace(WHOLE, pages_read=0), "GET"),
        (replace(WHOLE, longest_leased_s=LONGEST_LEASED_S + 1), "61.0 s"),
    ],
)
def test_what_did_not_happen_or_took_too_long_is_named(run: Coverage, words: str) -> None:
    (complaint,) = complaints_about_coverage(run)
    assert words in complaint


def test_the_second_half_of_a_restart_is_not_asked_for() -> None:
    events = {event: 1 for event in ChaosEvent if event not in REPAIRS}
    assert list(complaints_about_coverage(replace(WHOLE, events=events))) == []


def test_a_lease_may_stand_for_as_long_as_the_broker_was_away_besides() -> None:
    late = replace(WHOLE, longest_leased_s=LONGEST_LEASED_S + 30)
    assert list(complaints_about_coverage(replace(late, broker_away_s=31))) == []
    assert len(list(complaints_about_coverage(replace(late, broker_away_s=29)))) == 1


def test_what_was_not_planned_is_not_asked_for() -> None:
    planned = frozenset(ChaosEvent) - {ChaosEvent.RABBITMQ_KILLED}
    events = dict.fromkeys(planned, 1)
    assert list(complaints_about_coverage(replace(WHOLE, planned=planned, events=events))) == []
