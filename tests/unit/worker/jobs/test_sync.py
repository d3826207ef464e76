"""Syncs: how the state of a sync is derived from its children, in every combination of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations_with_replacement

import pytest

from worker.errors import ExportError, FatalHubSpotError, ReconnectRequiredError, RetryableHubSpotError
from worker.jobs.estimate import Basis, Estimate
from worker.jobs.job import Job, Progress, child_id
from worker.jobs.progress import Patience, Retention
from worker.jobs.receipt import Receipt
from worker.jobs.receipt_inputs import Outcome, ReceiptInputs
from worker.jobs.request import Origin, SyncRequest
from worker.jobs.status import IllegalChangeError, JobError, JobKind, JobStatus
from worker.jobs.sync import follow, new_children, new_sync
from worker.jobs.totals import ExportTotals
from worker.jobs.view import eta_s, records_per_second
from worker.records.types import CONTACTS, DOCUMENTED_TYPES, NOTES, ExportType

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
Q, R, W = JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.WAITING
S, F, C = JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def sync(status: JobStatus = Q, *types: ExportType) -> Job:
    request = SyncRequest(types=types or tuple(DOCUMENTED_TYPES))
    made = new_sync("s1", account_id="a1", owner="u1", request=request, at=NOW, label="nightly")
    return replace(made, status=status, is_expanded=True)


def children(*statuses: JobStatus) -> list[Job]:
    made = new_children(sync(), at=NOW)
    return [replace(child, status=status) for child, status in zip(made, statuses, strict=False)]


def followed(children: Sequence[Job], before: Job | None = None) -> Job:
    """Return a sync of just these children with the state derived from them."""
    types = tuple(child.records_type for child in children)
    return follow(replace(before or sync(), sync=SyncRequest(types=types)), children)


def failed(child: Job, error: ExportError) -> Job:
    return replace(child, status=F, error=JobError.of(error), finished_at=NOW)


def receipt(outcome: Outcome = Outcome.SUCCEEDED, *ids: int) -> Receipt:
    totals = ExportTotals().after_call(200).after_page(ids, api="legacy", properties=("email",))
    facts = ReceiptInputs(
        totals=totals,
        outcome=outcome,
        pages=1,
        records=len(ids),
        start=None,
        end=None,
        has_more=outcome is not Outcome.SUCCEEDED,
        limit=None,
        stored_pages=1,
    )
    return Receipt.of(facts)


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((Q, Q), Q),
        ((Q, R), R),
        ((Q, W), R),
        ((R, W), R),
        ((W, W), W),
        ((W, S), W),
        ((W, F), W),
        ((R, S), R),
        ((R, F), R),
        ((S, S), S),
        ((S, F), F),
        ((F, F), F),
        ((C, F), F),
        ((S, C), C),
        ((C, C), C),
    ],
)
def test_the_state_follows_from_the_childrens(statuses: Sequence[JobStatus], expected: JobStatus) -> None:
    assert followed(children(*statuses)).status is expected
    assert followed(children(*reversed(statuses))).status is expected


def test_what_some_of_is_finished_does_not_look_unstarted_but_what_is_retried_does() -> None:
    assert followed(children(S, Q), sync(R)).status is R
    assert followed(children(S, Q), sync(F)).status is Q
    assert followed(children(S, Q)).status is Q


def test_a_sync_is_over_exactly_when_all_its_children_are() -> None:
    for statuses in combinations_with_replacement(JobStatus, 4):
        now = followed(children(*statuses), sync(R))

        assert now.status.is_terminal is all(each.is_terminal for each in statuses), statuses
        assert follow(now, children(*statuses)) == now, statuses


def test_a_sync_is_not_over_while_a_child_is_missing() -> None:
    assert follow(sync(R), children(S, S, S)).status is R


def test_a_sync_that_has_no_children_yet_stays_as_it_is() -> None:
    assert follow(sync(C), []) == sync(C)


def test_progress_is_added_up() -> None:
    first, second, *_ = children(S, R)
    first = replace(
        first, progress=Progress(pages=2, records=150, has_more=False), resumes=1, patience=Patience(attempts=1)
    )
    second = replace(
        second, progress=Progress(pages=3, records=300, offset=7), resumes=2, patience=Patience(attempts=4)
    )

    now = followed([first, second])

    assert now.progress == Progress(pages=5, records=450, offset=None, has_more=True)
    assert (now.resumes, now.attempts) == (3, 4)


def test_the_estimate_is_that_of_all_the_exports_together_and_none_where_one_is_missing() -> None:
    first, second, *_ = children(R, R)
    small = Estimate(records=100, calls=1, seconds=5.0, basis=Basis.LAST_EXPORT, as_of=after(5))
    large = Estimate(records=900, calls=9, seconds=45.0, basis=Basis.LAST_EXPORT, as_of=after(2))

    both = followed([replace(first, estimate=small), replace(second, estimate=large)])

    together = Estimate(
        records=1000, calls=10, seconds=45.0, basis=Basis.LAST_EXPORT, as_of=after(2), calls_by_kind={"list": 10}
    )
    assert (both.estimate, eta_s(both)) == (together, 45.0)
    assert followed([replace(first, estimate=small), second]).estimate is None


def test_the_times_are_those_of_the_first_to_start_and_the_last_to_end() -> None:
    first, second, *_ = children(S, S)
    first = replace(first, started_at=after(5), finished_at=after(9), updated_at=after(9))
    second = replace(second, started_at=after(2), finished_at=after(20), updated_at=after(20))

    over = followed([first, second], replace(sync(), retention=Retention(expires_at=after(99))))
    going_on = followed([first, replace(second, status=R, finished_at=None)], over)

    assert (over.started_at, over.finished_at, over.updated_at) == (after(2), after(20), after(20))
    assert (over.expires_at, records_per_second(over)) == (after(99), 0.0)
    assert (going_on.finished_at, going_on.expires_at) == (None, None)


def test_a_sync_waits_for_the_first_that_may_go_on() -> None:
    first, second, *_ = children(W, W)
    first = replace(first, resume_at=after(60), reason="hubspot_error")
    second = replace(second, resume_at=after(30), reason="rate_limit")

    assert (followed([first, second]).resume_at, followed([first, second]).reason) == (
        after(30),
        "rate_limit",
    )
    assert followed([first, replace(second, status=R, resume_at=None)]).resume_at is None


def test_a_partial_failure_names_the_types_that_failed_and_why() -> None:
    contacts, companies, deals, notes = children(S, S, F, F)
    deals = failed(deals, FatalHubSpotError("This app hasn't been granted all required scopes", details="deals.read"))
    notes = failed(notes, RetryableHubSpotError("HubSpot answered 502"))

    error = followed([contacts, companies, deals, notes]).error

    assert error == JobError(
        code="partial_failure",
        message="2 of 4 exports failed: deals: This app hasn't been granted all required scopes (hubspot_error); "
        "notes: HubSpot answered 502 (hubspot_error)",
        retryable=True,
        details="deals: deals.read",
    )


def test_a_failure_of_all_for_the_same_reason_has_that_reasons_code() -> None:
    all_refused = [failed(child, ReconnectRequiredError("refresh token is invalid")) for child in children(F, F, F, F)]
    first, *others = all_refused

    assert followed(all_refused).error is not None
    assert [error.code for error in [followed(all_refused).error] if error] == ["reconnect_required"]
    mixed = followed([failed(first, FatalHubSpotError("no")), *others]).error
    cancelled = followed([replace(first, status=C, error=None), *others]).error
    assert [error.code for error in (mixed, cancelled) if error] == ["partial_failure"] * 2


def test_nothing_has_failed_before_all_is_over() -> None:
    first, second, *_ = children(F, R)
    now = followed([failed(first, FatalHubSpotError("no")), second])

    assert (now.error, now.receipt) == (None, None)


def test_a_receipt_is_complete_only_if_all_the_childrens_are() -> None:
    first, second, *_ = children(S, F)
    first, broken = replace(first, receipt=receipt(Outcome.SUCCEEDED, 1, 2)), failed(second, FatalHubSpotError("no"))

    whole = followed([first, replace(second, status=S, receipt=receipt(Outcome.SUCCEEDED, 3))]).receipt
    partial = followed([first, replace(broken, receipt=receipt(Outcome.FAILED, 3))]).receipt

    assert whole is not None
    assert (whole.complete, whole.incomplete_because, whole.records, whole.distinct_ids) == (True, None, 3, 3)
    assert whole.checksum == receipt(Outcome.SUCCEEDED, 1, 2, 3).checksum
    assert (whole.calls, whole.api, whole.properties) == ({"200": 2}, ("legacy",), ("email",))
    assert partial is not None
    assert (partial.complete, partial.offsets.closed) == (False, False)
    assert partial.incomplete_because == "companies: the export failed before its end"


def test_there_is_no_receipt_before_every_child_has_one() -> None:
    first, second, *_ = children(S, C)

    assert followed([replace(first, receipt=receipt()), second]).receipt is None


def test_what_nobody_counted_of_one_type_is_not_known_of_all() -> None:
    known, unknown = receipt(Outcome.SUCCEEDED, 1), replace(receipt(), distinct_ids=None, duplicates=None)

    assert Receipt.of_parts({"contacts": known, "deals": unknown}).distinct_ids is None
    assert Receipt.of_parts({"contacts": known, "deals": unknown}).duplicates is None


def test_children_are_exports_of_all_there_is_with_the_largest_pages() -> None:
    made = new_children(sync(Q, CONTACTS, NOTES), at=after(1))

    assert [child.records_type for child in made] == [CONTACTS, NOTES]
    assert [child.request.page_size for child in made] == [100, 250]
    assert {(child.kind, child.status, child.parent_id, child.label) for child in made} == {
        (JobKind.EXPORT, Q, "s1", "nightly")
    }
    assert {(child.account_id, child.owner, child.created_at) for child in made} == {("a1", "u1", after(1))}


def test_the_ids_of_children_are_known_beforehand_and_differ() -> None:
    ids = {child_id(parent, each) for parent in ("s1", "s2") for each in DOCUMENTED_TYPES}

    assert len(ids) == 8
    assert new_children(sync(), at=NOW)[0].job_id == child_id("s1", CONTACTS)
    assert sync().children == tuple(child_id("s1", each) for each in DOCUMENTED_TYPES)
    assert replace(sync(), is_expanded=False).children == ()


def test_a_sync_has_no_records_of_its_own() -> None:
    assert sync().type_name == "sync"
    with pytest.raises(IllegalChangeError, match="read its children"):
        _ = sync().records_type


def test_endings_are_counted_on_when_a_sync_that_was_retried_gets_children() -> None:
    cancelled = replace(sync(C), is_expanded=False)
    retried = cancelled.retry(at=after(1))

    made = new_children(retried, at=after(2))

    assert follow(replace(retried, is_expanded=True), made).run_number > cancelled.run_number


def test_a_child_gets_no_end_of_its_own() -> None:
    child = replace(new_children(sync(), at=NOW)[0], status=S, finished_at=NOW)

    assert child.expire(after=timedelta(days=1)) == child
    assert set(sync().children) == set(child.siblings)
    assert replace(child, parent_id=None).siblings == (child.job_id,)


def test_children_come_from_the_request_that_their_sync_came_from() -> None:
    origin = Origin(request_id="r1")

    assert {child.origin for child in new_children(replace(sync(), origin=origin), at=NOW)} == {origin}
