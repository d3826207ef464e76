"""Whether a run has shown anything: what did not happen proves nothing. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from benchmarks.soak.strikes import REPAIRS, Strike

LONGEST_LEASED_S = 60.0  # a lease of 20 s, a sweep, the start of a worker, an answer that hangs, and a busy machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What was planned, what has happened, and how long a job stood longest with a lease and without a page.

    `in_lanes` is how many exports were read in several places at once.
    """

    planned: Collection[Strike]
    strikes: Mapping[Strike, int]
    takeovers: int
    in_lanes: int
    pages_read: int
    longest_leased_s: float
    broker_away_s: float = 0.0


def complaints_about_reach(reach: Reach) -> Iterable[str]:
    """Name what the run cannot vouch for, and what took longer than is promised."""
    for strike in Strike:
        if strike in reach.planned and strike not in REPAIRS and not reach.strikes.get(strike):
            yield f"it never happened: {strike}"
    if reach.takeovers <= 0:
        yield "no job was taken over from a dead worker: the run shows nothing about that"
    if not reach.in_lanes:
        yield "no export was read in lanes"
    if not reach.pages_read:
        yield "no synchronous GET was answered with a page"
    most_s = LONGEST_LEASED_S + reach.broker_away_s  # without a broker nobody hears that a lease has lapsed
    if reach.longest_leased_s > most_s:
        yield f"a job stood still for {reach.longest_leased_s:.1f} s with a lease, of {most_s:.0f} s at most"
