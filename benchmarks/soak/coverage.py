"""Checks that a run covered all planned faults, because what did not happen proves nothing. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from benchmarks.soak.chaos_plan import REPAIRS, ChaosEvent

LONGEST_LEASED_S = 60.0  # a lease of 20 s, a sweep, the start of a worker, a hanging answer, and a loaded machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What was planned, what happened, and the longest time that a leased job stored no page.

    `in_lanes` is the number of exports that used lanes.
    """

    planned: Collection[ChaosEvent]
    events: Mapping[ChaosEvent, int]
    takeovers: int
    in_lanes: int
    pages_read: int
    longest_leased_s: float
    broker_away_s: float = 0.0


def complaints_about_coverage(coverage: Coverage) -> Iterable[str]:
    """Yield what the run did not cover, and what took longer than it may."""
    for event in ChaosEvent:
        if event in coverage.planned and event not in REPAIRS and not coverage.events.get(event):
            yield f"never happened: {event}"
    if coverage.takeovers <= 0:
        yield "no job was taken over from a dead worker"
    if not coverage.in_lanes:
        yield "no export was read in lanes"
    if not coverage.pages_read:
        yield "no synchronous GET was answered with a page"
    most_s = LONGEST_LEASED_S + coverage.broker_away_s  # without a broker an abandoned job cannot be published
    if coverage.longest_leased_s > most_s:
        yield f"a leased job made no progress for {coverage.longest_leased_s:.1f} s, of {most_s:.0f} s at most"
