"""Checks that a run covered all planned faults, because what did not happen proves nothing. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from benchmarks.soak.strikes import REPAIRS, Strike

LONGEST_LEASED_S = 60.0  # a lease of 20 s, a sweep, the start of a worker, a hanging answer, and a loaded machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What was planned, what happened, and the longest time that a leased job stored no page.

    `in_lanes` is the number of exports that used lanes.
    """

    planned: Collection[Strike]
    strikes: Mapping[Strike, int]
    takeovers: int
    in_lanes: int
    pages_read: int
    longest_leased_s: float
    broker_away_s: float = 0.0


def complaints_about_reach(reach: Reach) -> Iterable[str]:
    """Yield what the run did not cover, and what took longer than it may."""
    for strike in Strike:
        if strike in reach.planned and strike not in REPAIRS and not reach.strikes.get(strike):
            yield f"never happened: {strike}"
    if reach.takeovers <= 0:
        yield "no job was taken over from a dead worker"
    if not reach.in_lanes:
        yield "no export was read in lanes"
    if not reach.pages_read:
        yield "no synchronous GET was answered with a page"
    most_s = LONGEST_LEASED_S + reach.broker_away_s  # without a broker an abandoned job cannot be published
    if reach.longest_leased_s > most_s:
        yield f"a leased job made no progress for {reach.longest_leased_s:.1f} s, of {most_s:.0f} s at most"
