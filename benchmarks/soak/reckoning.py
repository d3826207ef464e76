"""The end of a run: what became of every promise, and of HubSpot's limits, put together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.soak.audit import Auditor
from benchmarks.soak.client import Client
from benchmarks.soak.conditions import Conditions
from benchmarks.soak.database import Stored, read_stored
from benchmarks.soak.hubspot_faults import FaultCount
from benchmarks.soak.ledger import Ledger
from benchmarks.soak.load import ExpectedIds
from benchmarks.soak.plan import Size
from benchmarks.soak.reach import Reach, complaints_about_reach
from benchmarks.soak.report import CallCount, Outcome
from benchmarks.soak.settling import Settling
from benchmarks.soak.stillness import Standing, Stop
from benchmarks.soak.strikes import Strike
from benchmarks.soak.verdict import (
    Crowd,
    Evidence,
    Excess,
    RecordCount,
    complaints_about_job,
    complaints_about_limits,
    count_records,
    crowds,
)
from sandbox.control import HubSpotControl
from sandbox.portal.census import TYPES
from sandbox.stack import Stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known when all jobs have ended or their time is over; `work_s` is how long that took.

    `started_at` is in seconds since 1970, `asked_for` how many exports were to be asked for.
    """

    size: Size
    conditions: Conditions
    ledger: Ledger
    settling: Settling
    expected: ExpectedIds
    asked_for: int
    planned: frozenset[Strike]
    strikes: Mapping[Strike, int]
    broker_away_s: float
    faults: Sequence[FaultCount]
    longest: Mapping[Standing, Stop]
    started_at: float
    work_s: float


def title_of(size: Size, conditions: Conditions) -> str:
    """Say on one line what was run: enough to run it again."""
    return (
        f"seed {size.seed}: {size.accounts} accounts, {size.exports} exports of about {size.pages} pages, "
        f"{conditions.workers} workers, {conditions.mongo_members} MongoDB members, {size.seconds:g} s"
        + (f", a flood of {size.flood} exports" if size.flood else "")
        + (", by RabbitMQ" if conditions.broker == "rabbitmq" else "")
        + (", clocks an hour off" if conditions.shifted_clocks else "")
    )


def reckon(facts: Facts, *, client: Client, stack: Stack, check: Callable[[], None]) -> Outcome:
    """Read everything back and compare. `check` is called between jobs and may raise to end it."""
    stored = read_stored(stack)
    records, about_jobs = _audit(
        facts, Auditor(client, jobs=facts.settling.ended, stored=stored, expected=facts.expected), check
    )
    accounts = stack.hubspot_control.stats()["accounts"]
    jobs = list(facts.settling.ended.values())
    takeovers = sum(job["resumes"] for job in jobs) - len(facts.settling.retried)
    return Outcome(
        title=title_of(facts.size, facts.conditions),
        planned=facts.planned,
        strikes=facts.strikes,
        faults=facts.faults,
        small=facts.ledger.small,
        statuses=Counter(str(job["status"]) for job in jobs),
        submissions=facts.ledger.submissions,
        reads=facts.ledger.reads,
        read_seconds=facts.ledger.read_seconds,
        records=records,
        calls=_calls(facts, accounts),
        takeovers=takeovers,
        in_lanes=len(stored.in_lanes),
        retried=len(facts.settling.retried),
        longest=facts.longest,
        work_s=facts.work_s,
        settled_s=facts.work_s - facts.size.seconds,
        complaints=[
            *facts.ledger.complaints,
            *facts.settling.complaints,
            *_complaints_about_submissions(facts, stored),
            *about_jobs,
            *complaints_about_limits(_excesses(facts, stack.hubspot_control, accounts)),
            *complaints_about_reach(
                Reach(
                    planned=facts.planned,
                    strikes=facts.strikes,
                    takeovers=takeovers,
                    in_lanes=len(stored.in_lanes),
                    pages_read=facts.ledger.reads.get("200", 0),
                    longest_leased_s=_longest_s(facts, Standing.HELD),
                    broker_away_s=facts.broker_away_s,
                )
            ),
        ],
    )


def _longest_s(facts: Facts, standing: Standing) -> float:
    stop = facts.longest.get(standing)
    return stop.seconds if stop is not None else 0.0


def _audit(facts: Facts, auditor: Auditor, check: Callable[[], None]) -> tuple[RecordCount, list[str]]:
    records, complaints = RecordCount(), list[str]()
    ended = [promise for promise in facts.ledger.promises if promise.job_id in facts.settling.ended]
    for evidence in auditor.evidence(ended):
        check()
        if isinstance(evidence, Evidence):
            records += count_records(evidence)
            complaints += complaints_about_job(evidence)
        else:
            complaints.append(str(evidence))
    return records, complaints


def _complaints_about_submissions(facts: Facts, stored: Stored) -> list[str]:
    """Compare what was asked for, accepted and stored."""
    promised = {promise.job_id for promise in facts.ledger.promises}
    missing, unknown = facts.asked_for - len(stored.exports & promised), len(stored.exports - promised)
    return [
        *([f"{missing} exports were never accepted, or given the job of another"] if missing else []),
        *([f"{unknown} exports are stored that nobody was told of"] if unknown else []),
    ]


def _excesses(facts: Facts, control: HubSpotControl, accounts: Mapping[str, Mapping[str, Any]]) -> list[Excess]:
    return [
        Excess(
            hub_id=hub_id,
            peak=seen["peak_calls"],
            allowed=seen["rate_limit"],
            crowds=_crowds(facts, control, int(hub_id)),
        )
        for hub_id, seen in accounts.items()
        if seen["peak_calls"] > seen["rate_limit"]
    ]


def _crowds(facts: Facts, control: HubSpotControl, hub_id: int) -> list[Crowd]:
    """Look for them in the calls that HubSpot's stand-in remembers: the last ones of all accounts."""
    instants = [call["at"] - facts.started_at for call in control.calls(account=hub_id) if call["type"] in TYPES]
    return crowds(instants, calls=facts.conditions.calls, interval_s=facts.conditions.interval_s)


def _calls(facts: Facts, accounts: Mapping[str, Mapping[str, Any]]) -> CallCount:
    """Count calls for pages; of those needed, each brought a page of a job or of a synchronous read."""
    pages = sum(job["progress"]["pages"] for job in facts.settling.ended.values())
    return CallCount(
        needed=pages + facts.ledger.reads.get("200", 0),
        made=sum(seen["by_type"].get(name, 0) for seen in accounts.values() for name in TYPES),
        peak=max(seen["peak_calls"] for seen in accounts.values()),
        limit=facts.conditions.calls,
        interval_s=facts.conditions.interval_s,
        refused=sum(seen["refused"] for seen in accounts.values()),
    )
