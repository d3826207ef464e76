"""Puts the final report of a run together: every accepted job, and HubSpot's rate limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.soak.audit import Auditor
from benchmarks.soak.chaos_plan import ChaosEvent
from benchmarks.soak.client import Client
from benchmarks.soak.conditions import Conditions
from benchmarks.soak.coverage import Coverage, complaints_about_coverage
from benchmarks.soak.database import Stored, read_stored
from benchmarks.soak.hubspot_faults import FaultCount
from benchmarks.soak.ledger import Ledger
from benchmarks.soak.load import ExpectedIds
from benchmarks.soak.overshoot import Burst, Overshoot, bursts, complaints_about_limits
from benchmarks.soak.plan import Size
from benchmarks.soak.report import CallCount, Outcome
from benchmarks.soak.settling import Settling
from benchmarks.soak.stall_detector import Activity, Stall
from benchmarks.soak.verdict import Evidence, RecordCount, complaints_about_job, count_records
from sandbox.control import HubSpotControl
from sandbox.fake_hubspot.records.record_counts import TYPES
from sandbox.stack import Stack


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResults:
    """What is known when all jobs have ended or their time is over; `work_s` is the duration until then.

    `started_at` is in epoch seconds, `asked_for` the number of exports in the plan.
    """

    size: Size
    conditions: Conditions
    ledger: Ledger
    settling: Settling
    expected: ExpectedIds
    asked_for: int
    planned: frozenset[ChaosEvent]
    events: Mapping[ChaosEvent, int]
    broker_away_s: float
    faults: Sequence[FaultCount]
    longest: Mapping[Activity, Stall]
    started_at: float
    work_s: float


def title_of(size: Size, conditions: Conditions) -> str:
    """Return one line that describes the run well enough to repeat it."""
    return (
        f"seed {size.seed}: {size.accounts} accounts, {size.exports} exports of about {size.pages} pages, "
        f"{conditions.workers} workers, {conditions.mongo_members} MongoDB members, {size.seconds:g} s"
        + (f", a flood of {size.flood} exports" if size.flood else "")
        + (", by RabbitMQ" if conditions.broker == "rabbitmq" else "")
        + (", clocks an hour off" if conditions.shifted_clocks else "")
    )


def make_final_report(results: RunResults, *, client: Client, stack: Stack, check: Callable[[], None]) -> Outcome:
    """Read all results back and compare. `check` is called between jobs and may raise to abort."""
    stored = read_stored(stack)
    records, about_jobs = _audit(
        results, Auditor(client, jobs=results.settling.ended, stored=stored, expected=results.expected), check
    )
    accounts = stack.hubspot_control.stats()["accounts"]
    jobs = list(results.settling.ended.values())
    takeovers = sum(job["resumes"] for job in jobs) - len(results.settling.retried)
    return Outcome(
        title=title_of(results.size, results.conditions),
        planned=results.planned,
        events=results.events,
        faults=results.faults,
        small=results.ledger.small,
        statuses=Counter(str(job["status"]) for job in jobs),
        submissions=results.ledger.submissions,
        reads=results.ledger.reads,
        read_seconds=results.ledger.read_seconds,
        records=records,
        calls=_calls(results, accounts),
        takeovers=takeovers,
        in_lanes=len(stored.in_lanes),
        retried=len(results.settling.retried),
        longest=results.longest,
        work_s=results.work_s,
        settled_s=results.work_s - results.size.seconds,
        complaints=[
            *results.ledger.complaints,
            *results.settling.complaints,
            *_complaints_about_submissions(results, stored),
            *about_jobs,
            *complaints_about_limits(_overshoots(results, stack.hubspot_control, accounts)),
            *complaints_about_coverage(
                Coverage(
                    planned=results.planned,
                    events=results.events,
                    takeovers=takeovers,
                    in_lanes=len(stored.in_lanes),
                    pages_read=results.ledger.reads.get("200", 0),
                    longest_leased_s=_longest_s(results, Activity.LEASED),
                    broker_away_s=results.broker_away_s,
                )
            ),
        ],
    )


def _longest_s(results: RunResults, activity: Activity) -> float:
    stall = results.longest.get(activity)
    return stall.seconds if stall is not None else 0.0


def _audit(results: RunResults, auditor: Auditor, check: Callable[[], None]) -> tuple[RecordCount, list[str]]:
    records, complaints = RecordCount(), list[str]()
    ended = [promise for promise in results.ledger.promises if promise.job_id in results.settling.ended]
    for evidence in auditor.evidence(ended):
        check()
        if isinstance(evidence, Evidence):
            records += count_records(evidence)
            complaints += complaints_about_job(evidence)
        else:
            complaints.append(str(evidence))
    return records, complaints


def _complaints_about_submissions(results: RunResults, stored: Stored) -> list[str]:
    """Compare the exports that were planned, accepted and stored."""
    promised = {promise.job_id for promise in results.ledger.promises}
    missing, unknown = results.asked_for - len(stored.exports & promised), len(stored.exports - promised)
    return [
        *([f"{missing} exports were never accepted, or answered with the job of another"] if missing else []),
        *([f"{unknown} stored exports were never acknowledged to a client"] if unknown else []),
    ]


def _overshoots(
    results: RunResults, control: HubSpotControl, accounts: Mapping[str, Mapping[str, Any]]
) -> list[Overshoot]:
    return [
        Overshoot(
            hub_id=hub_id,
            peak=seen["peak_calls"],
            allowed=seen["rate_limit"],
            bursts=_bursts(results, control, int(hub_id)),
        )
        for hub_id, seen in accounts.items()
        if seen["peak_calls"] > seen["rate_limit"]
    ]


def _bursts(results: RunResults, control: HubSpotControl, hub_id: int) -> list[Burst]:
    """Find bursts in the fake HubSpot's log, which holds the last calls of all accounts only."""
    instants = [call["at"] - results.started_at for call in control.calls(account=hub_id) if call["type"] in TYPES]
    return bursts(instants, calls=results.conditions.calls, interval_s=results.conditions.interval_s)


def _calls(results: RunResults, accounts: Mapping[str, Mapping[str, Any]]) -> CallCount:
    """Count calls for pages; one is needed for each page of a job and for each synchronous read."""
    pages = sum(job["progress"]["pages"] for job in results.settling.ended.values())
    return CallCount(
        needed=pages + results.ledger.reads.get("200", 0),
        made=sum(seen["by_type"].get(name, 0) for seen in accounts.values() for name in TYPES),
        peak=max(seen["peak_calls"] for seen in accounts.values()),
        limit=results.conditions.calls,
        interval_s=results.conditions.interval_s,
        refused=sum(seen["refused"] for seen in accounts.values()),
    )
