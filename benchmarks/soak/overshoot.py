"""Finds overshoots: accounts that were called more often than their rate limit allows. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_WORST_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """One call more than the limit allows: the time of the last call, and the span of all of them."""

    at_s: float
    span_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Overshoot:
    """An account whose calls exceeded its limit in some interval.

    `bursts` are in seconds from the start; empty if the calls are no longer in the log.
    """

    hub_id: str
    peak: int
    allowed: int
    bursts: Sequence[Burst]


def complaints_about_limits(overshoots: Sequence[Overshoot]) -> list[str]:
    """Return a sentence that names the worst overshoots, with their first and their closest burst."""
    if not overshoots:
        return []
    worst = sorted(overshoots, key=lambda overshoot: overshoot.peak, reverse=True)[:_WORST_SHOWN]
    return [f"{len(overshoots)} accounts exceeded their rate limit, most of all {', '.join(map(_described, worst))}"]


def bursts(instants: Sequence[float], *, calls: int, interval_s: float) -> list[Burst]:
    """Find every call with at least `calls` others in less than `interval_s` seconds before it; `instants` ascend."""
    pairs = zip(instants, instants[calls:], strict=False)
    return [Burst(at_s=last, span_s=last - first) for first, last in pairs if last - first < interval_s]


def _described(overshoot: Overshoot) -> str:
    calls = f"{overshoot.hub_id} ({overshoot.peak} instead of {overshoot.allowed}"
    if not overshoot.bursts:
        return f"{calls})"
    first_s, closest_s = overshoot.bursts[0].at_s, min(burst.span_s for burst in overshoot.bursts)
    return f"{calls}, first after {first_s:.1f} s, {overshoot.allowed + 1} calls within {closest_s:.3f} s)"
