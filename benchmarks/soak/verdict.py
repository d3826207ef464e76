"""Checks the evidence about a job: pure comparisons, each with a sentence for what is wrong."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.soak.database import StoredPage


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known about one job at the end. `found` are the ids in its results, in order; None: not read.

    `wants_all`: all records were requested, so that its receipt has to be complete.
    """

    name: str
    job: Mapping[str, Any]
    expected: Sequence[int]
    found: Sequence[int] | None
    pages: Sequence[StoredPage]
    epoch: int
    wants_all: bool


@dataclass(frozen=True, slots=True)
class RecordCount:
    """Numbers of records: expected, stored, missing, and duplicates."""

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
    """Compare a job's records with those in HubSpot."""
    found = evidence.found or ()
    return RecordCount(
        expected=len(evidence.expected),
        stored=len(found),
        missing=len(set(evidence.expected).difference(found)),
        doubled=len(found) - len(set(found)),
    )


def complaints_about_job(evidence: Evidence) -> list[str]:
    """Return what is wrong with a job: it must have succeeded, with every record once and in HubSpot's order."""
    if evidence.job["status"] != "succeeded":
        return [f"{evidence.name}: has {evidence.job['status']}: {_reason(evidence.job)}"]
    complaints = (*_about_records(evidence), *_about_pages(evidence), *_about_receipt(evidence))
    return [f"{evidence.name}: {complaint}" for complaint in complaints]


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
            f"{counted.missing} missing, {counted.doubled} duplicated, {foreign} of another account"
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
        yield f"counts {evidence.job['progress']['pages']} pages, {len(numbers)} are stored, duplicates: {doubled}"
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
        yield f"its receipt describes other records: {receipt}"


def _proven_by(receipt: Mapping[str, Any]) -> tuple[int, int, str]:
    return receipt["records"], receipt["distinct_ids"], receipt["checksum"]


def _proof_of(ids: Sequence[int]) -> tuple[int, int, str]:
    """Compute the figures of a receipt, as docs/reference/exports.md defines them."""
    total = sum(int.from_bytes(hashlib.sha256(str(each).encode()).digest(), "big") for each in ids)
    return len(ids), len(set(ids)), f"sha256-sum:{total % 2**256:064x}"
