"""Finding: what one check of the doctor found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a check came out."""

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
    """Find nothing wrong."""
    return Finding(Verdict.OK, subject, text)


def wrong(subject: str, text: str) -> Finding:
    """Find something that has to be put right."""
    return Finding(Verdict.WRONG, subject, text)


def skipped(subject: str, text: str) -> Finding:
    """Find nothing, because it could not be looked for."""
    return Finding(Verdict.SKIPPED, subject, text)


def verdict_on(subject: str, text: str, *, sound: bool, advice: str) -> Finding:
    """Report what is, and what to do about it where it is not sound."""
    return ok(subject, text) if sound else wrong(subject, f"{text}; {advice}")


def completed(findings: Iterable[Finding], *, subjects: Iterable[str], reason: str) -> Iterator[Finding]:
    """Pass findings on, then name the subjects that none of them was about."""
    left = list(subjects)
    for finding in findings:
        left = [subject for subject in left if subject != finding.subject]
        yield finding
    yield from (skipped(subject, reason) for subject in left)


def one_line(error: Exception) -> str:
    """Give an error's own words, or its kind where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
