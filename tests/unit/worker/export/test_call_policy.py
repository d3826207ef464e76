"""CallPolicy: every error of a call has one consequence, and the job has one writer."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

import worker.export
from tests.unit.worker.export.test_runner import Waits
from worker.accounts.gone_list import GoneList
from worker.errors import (
    AddressTooLongError,
    AnswerTooLargeError,
    CallAbandonedError,
    CodeRefusedError,
    CursorLostError,
    CursorStuckError,
    DailyLimitError,
    ExportError,
    FatalHubSpotError,
    FeedUnusableError,
    HubSpotError,
    ListGoneError,
    MissingScopesError,
    RateLimitedError,
    ReconnectRequiredError,
    RetryableHubSpotError,
    SecondlyLimitError,
    TimedOutError,
    TokenEndpointGoneError,
    TokenRefusedError,
)
from worker.export.call_policy import BeginAnew, CallPolicy, Decision, Fail, LeaveFeed, Retry, SwitchApi
from worker.export.interfaces import ChosenApi
from worker.jobs.copy_progress import CopyProgress, SyncMode
from worker.jobs.job import Job
from worker.jobs.progress import Patience
from worker.jobs.request import ExportRequest
from worker.jobs.status import JobKind
from worker.records.crm_api import CrmApi
from worker.records.types import CONTACTS

NOW = datetime(2026, 11, 23, 15, 7, tzinfo=UTC)
JOB = Job(
    job_id="j1",
    account_id="a1",
    owner="u1",
    export_type=CONTACTS,
    kind=JobKind.EXPORT,
    request=ExportRequest(page_size=100),
    created_at=NOW,
    updated_at=NOW,
    patience=Patience(attempts=1),
)
CONSEQUENCES: dict[type[HubSpotError], type[Decision]] = {
    AddressTooLongError: Retry,
    AnswerTooLargeError: Retry,
    CallAbandonedError: Retry,
    CodeRefusedError: Fail,
    CursorStuckError: Fail,
    DailyLimitError: Retry,
    FatalHubSpotError: Fail,
    FeedUnusableError: LeaveFeed,
    HubSpotError: Fail,
    ListGoneError: SwitchApi,
    MissingScopesError: Fail,
    RateLimitedError: Retry,
    ReconnectRequiredError: Fail,
    RetryableHubSpotError: Retry,
    SecondlyLimitError: Retry,
    TimedOutError: Retry,
    TokenEndpointGoneError: Retry,
    TokenRefusedError: Retry,
}


@dataclass
class Apis:
    """An ApiChooser that knows one way out of a list that is gone, or none."""

    other: CrmApi | None = CrmApi.DATED
    left: list[ListGoneError] = field(default_factory=list)

    def choose(self, job: Job) -> ChosenApi:
        raise NotImplementedError

    def leave(self, job: Job, error: ListGoneError) -> CrmApi | None:  # noqa: ARG002 - the seam's
        self.left.append(error)
        return self.other

    def retract(self, sighting: GoneList) -> None:
        raise NotImplementedError


def decide(
    error: ExportError,
    job: Job = JOB,
    *,
    apis: Apis | None = None,
    limiter: Waits | None = None,
    search_limiter: Waits | None = None,
) -> Decision:
    policy = CallPolicy(
        apis=apis or Apis(),
        limiter=limiter or Waits(),
        search_limiter=search_limiter or Waits(),
        clock=lambda: NOW,
        jitter=lambda: 0.0,
    )
    return policy.decide(error, job)


def _with_subclasses(error: type[HubSpotError]) -> Iterator[type[HubSpotError]]:
    yield error
    for each in error.__subclasses__():
        yield from _with_subclasses(each)


def test_every_error_of_hubspot_has_a_consequence() -> None:
    assert set(CONSEQUENCES) == set(_with_subclasses(HubSpotError))


@pytest.mark.parametrize("error", CONSEQUENCES, ids=lambda each: each.__name__)
def test_an_error_has_its_consequence(error: type[HubSpotError]) -> None:
    assert type(decide(error("no"))) is CONSEQUENCES[error]


def test_a_cursor_that_no_api_knows_begins_the_export_anew() -> None:
    assert decide(CursorLostError("nobody knows it")) == BeginAnew(because="nobody knows it")


def test_a_list_that_is_gone_fails_the_job_where_there_is_no_other_api() -> None:
    error = ListGoneError("no such list", status=404)
    assert decide(error, apis=Apis(other=None)) == Fail(error=error)


def test_a_refused_token_is_renewed_and_the_second_try_waits_for_nothing() -> None:
    error = TokenRefusedError("no", status=401)
    assert decide(error) == Retry(error=error, delay_s=0.0, counts=True, renews_token=True)


def test_a_limit_holds_all_of_the_account_back_and_counts_as_no_attempt() -> None:
    limiter, error = Waits(), RateLimitedError("slow down", status=429, retry_after_s=7.0)
    assert decide(error, limiter=limiter) == Retry(error=error, delay_s=7.0, counts=False, renews_token=False)
    assert limiter.blocked == [7.0]


def a_job_that_searches() -> Job:
    return replace(JOB, api=CrmApi.DATED, copying=CopyProgress(mode=SyncMode.INCREMENTAL, feed_since=NOW))


@pytest.mark.parametrize(
    ("error", "job", "is_of_searches"),
    [
        (SecondlyLimitError("slow down", status=429, retry_after_s=1.0), a_job_that_searches(), True),
        (RateLimitedError("slow down", status=429, retry_after_s=1.0), a_job_that_searches(), False),
        (SecondlyLimitError("slow down", status=429, retry_after_s=1.0), JOB, False),
    ],
    ids=["search", "another limit", "another job"],
)
def test_the_limit_of_a_second_holds_searches_alone_back(error: HubSpotError, job: Job, is_of_searches: bool) -> None:  # noqa: FBT001
    calls, searches = Waits(), Waits()
    decide(error, job, limiter=calls, search_limiter=searches)
    assert (calls.blocked, searches.blocked) == (([], [1.0]) if is_of_searches else ([1.0], []))


def test_a_limit_holds_the_account_back_even_where_the_job_gives_up() -> None:
    limiter, error = Waits(), RateLimitedError("slow down", status=429, retry_after_s=7.0)
    patient = replace(JOB, patience=Patience(backoff_s=2 * 86_400.0))
    assert decide(error, patient, limiter=limiter) == Fail(error=error)
    assert limiter.blocked == [7.0]


def test_what_was_tried_often_enough_fails_the_job() -> None:
    error = RetryableHubSpotError("still broken", status=502)
    assert decide(error, replace(JOB, patience=Patience(attempts=12))) == Fail(error=error)


def test_nothing_but_apply_writes_the_job_of_a_slice() -> None:
    rooms = Path(worker.export.__file__).parent.rglob("*.py")
    writers = {
        (room.name, function.name) for room in rooms for function in _writers_of_job(ast.parse(room.read_text()))
    }
    assert writers == {("leased_job.py", "__init__"), ("leased_job.py", "apply"), ("leases.py", "__init__")}


def _writers_of_job(module: ast.Module) -> Iterator[ast.FunctionDef]:
    for function in ast.walk(module):
        if isinstance(function, ast.FunctionDef) and any(map(_is_write_of_job, ast.walk(function))):
            yield function


def _is_write_of_job(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "job" and isinstance(node.ctx, ast.Store)
