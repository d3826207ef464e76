"""Whether a job and an account ended as was promised: pure comparisons, each with a sentence for what is wrong."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.soak.database import StoredPage

_WORST_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known about one job at the end. `found` are the ids in its results, in order; None: not to be read.

    `wants_all` is whether it was asked for all records there are: only then its receipt has to be complete.
    """

    name: str
    job: Mapping[str, Any]
    expected: Sequence[int]
    found: Sequence[int] | None
    pages: Sequence[StoredPage]
    epoch: int
    wants_all: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Calls that are one too many: the last one's instant, and within how many seconds all of them came."""

    at_s: float
    span_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Excess:
    """An account that was asked more often within one interval than its limit allows.

    `crowds` are the places of its calls where that is so, in seconds from the start; none when they are forgotten.
    """

    hub_id: str
    peak: int
    allowed: int
    crowds: Sequence[Crowd]


@dataclass(frozen=True, slots=True)
class RecordCount:
    """Records that should be there, that are, that are not, and that are there again."""

    expected: int = 0
    stored: int = 0
    missing: int = 0
    doubled: int = 0

    def __add__(self, other: RecordCount) -> RecordCount:
        return RecordCount(
            self.expected + other.expected,
            self.stored + other.stored,
            self.missing + other.missing,
            self.doubled + other.doubled,
        )


def count_records(evidence: Evidence) -> RecordCount:
    """Compare a job's records with HubSpot's."""
    found = evidence.found or ()
    return RecordCount(
        expected=len(evidence.expected),
        stored=len(found),
        missing=len(set(evidence.expected).difference(found)),
        doubled=len(found) - len(set(found)),
    )


def complaints_about_job(evidence: Evidence) -> list[str]:
    """List what is wrong with a job; nothing when it succeeded with every record once, in HubSpot's order."""
    if evidence.job["status"] != "succeeded":
        return [f"{evidence.name}: has {evidence.job['status']}: {_reason(evidence.job)}"]
    complaints = (*_about_records(evidence), *_about_pages(evidence), *_about_receipt(evidence))
    return [f"{evidence.name}: {complaint}" for complaint in complaints]


def complaints_about_limits(excesses: Sequence[Excess]) -> list[str]:
    """Say which accounts were asked more often than their limit allows, how closely, and when that began."""
    if not excesses:
        return []
    worst = sorted(excesses, key=lambda excess: excess.peak, reverse=True)[:_WORST_SHOWN]
    return [
        f"{len(excesses)} accounts were asked more often than allowed, most of all {', '.join(map(_excess, worst))}"
    ]


def crowds(instants: Sequence[float], *, calls: int, interval_s: float) -> list[Crowd]:
    """Find every call that has `calls` others in less than `interval_s` seconds before it; `instants` ascend."""
    pairs = zip(instants, instants[calls:], strict=False)
    return [Crowd(at_s=last, span_s=last - first) for first, last in pairs if last - first < interval_s]


def _excess(excess: Excess) -> str:
    calls = f"{excess.hub_id} ({excess.peak} instead of {excess.allowed}"
    if not excess.crowds:
        return f"{calls})"
    closest_s = min(crowd.span_s for crowd in excess.crowds)
    return f"{calls}, first after {excess.crowds[0].at_s:.1f} s, {excess.allowed + 1} calls within {closest_s:.3f} s)"


def _reason(job: Mapping[str, Any]) -> str:
    error = job.get("error")
    return f"{error['code']}: {error['message']}" if error else "no error is given"


def _about_records(evidence: Evidence) -> Iterable[str]:
    found, expected = evidence.found or (), evidence.expected
    counted = count_records(evidence)
    if counted.missing or counted.doubled or len(found) != len(expected):
        foreign = len(set(found).difference(expected))
        yield (
            f"{counted.expected} records expected, {counted.stored} stored: "
            f"{counted.missing} missing, {counted.doubled} doubled, {foreign} of someone else"
        )
    elif list(found) != list(expected):
        yield "the records are not in HubSpot's order"
    counted_by_job = evidence.job["progress"]["records"]
    if counted_by_job != len(expected):
        yield f"counts {counted_by_job} records where HubSpot holds {len(expected)}"


def _about_pages(evidence: Evidence) -> Iterable[str]:
    numbers = [page.number for page in evidence.pages]
    if not len(numbers) == len(set(numbers)) == evidence.job["progress"]["pages"]:
        doubled = [number for number, times in Counter(numbers).items() if times > 1]
        yield f"counts {evidence.job['progress']['pages']} pages, {len(numbers)} are stored, doubled: {doubled}"
    too_new = [page.number for page in evidence.pages if page.epoch > evidence.epoch]
    if too_new:
        yield f"pages {too_new} have a later epoch than the job, which has {evidence.epoch}"


def _about_receipt(evidence: Evidence) -> Iterable[str]:
    receipt: Mapping[str, Any] | None = evidence.job.get("receipt")
    if receipt is None:
        yield "has no receipt"
    elif evidence.wants_all and receipt["complete"] is not True:
        yield f"its receipt is not complete: {receipt}"
    elif evidence.wants_all and _proven_by(receipt) != _proof_of(evidence.expected):
        yield f"its receipt is about other records: {receipt}"


def _proven_by(receipt: Mapping[str, Any]) -> tuple[int, int, str]:
    return receipt["records"], receipt["distinct_ids"], receipt["checksum"]


def _proof_of(ids: Sequence[int]) -> tuple[int, int, str]:
    """Compute what README.md says a receipt proves."""
    total = sum(int.from_bytes(hashlib.sha256(str(each).encode()).digest(), "big") for each in ids)
    return len(ids), len(set(ids)), f"sha256-sum:{total % 2**256:064x}"
