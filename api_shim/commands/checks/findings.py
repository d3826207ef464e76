"""Finding: the result of one check of the doctor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The outcome of a check."""

    OK = "ok"
    WRONG = "wrong"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report; `text` shows no secret."""

    verdict: Verdict
    subject: str
    text: str


def ok(subject: str, text: str) -> Finding:
    return Finding(Verdict.OK, subject, text)


def wrong(subject: str, text: str) -> Finding:
    return Finding(Verdict.WRONG, subject, text)


def skipped(subject: str, text: str) -> Finding:
    return Finding(Verdict.SKIPPED, subject, text)


def verdict_on(subject: str, text: str, *, sound: bool, advice: str) -> Finding:
    """Return ok, or wrong with advice if it is not `sound`."""
    return ok(subject, text) if sound else wrong(subject, f"{text}; {advice}")


def completed(findings: Iterable[Finding], *, subjects: Iterable[str], reason: str) -> Iterator[Finding]:
    """Yield the findings, then a skipped one for each subject that none of them was about."""
    missing = list(subjects)
    for finding in findings:
        missing = [subject for subject in missing if subject != finding.subject]
        yield finding
    yield from (skipped(subject, reason) for subject in missing)


def one_line(error: Exception) -> str:
    """Return an error's message in one line, or its class if it has none."""
    return " ".join(str(error).split()) or type(error).__name__
