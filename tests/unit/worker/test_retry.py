"""RetryPolicy: the arithmetic of waiting."""

from __future__ import annotations

import pytest

from worker.errors import RetryableHubSpotError
from worker.jobs import JobKind
from worker.retry import RETRY_POLICIES, RetryPolicy

POLICY = RetryPolicy(most_attempts=5, first_s=1.0, longest_s=6.0, patience_s=60.0)


def failed(retry_after_s: float | None = None) -> RetryableHubSpotError:
    return RetryableHubSpotError("HubSpot answered with status 502", status=502, retry_after_s=retry_after_s)


def test_the_delay_doubles_up_to_its_ceiling() -> None:
    delays = [POLICY.delay_s(failed(), attempt=attempt, jitter=1.0) for attempt in (1, 2, 3, 4)]
    assert delays == [1.0, 2.0, 4.0, 6.0]


def test_jitter_stays_in_the_upper_half() -> None:
    assert POLICY.delay_s(failed(), attempt=3, jitter=0.0) == 2.0


def test_the_last_attempt_gives_up() -> None:
    assert POLICY.delay_s(failed(), attempt=5, jitter=0.5) is None


def test_hubspots_advice_outranks_the_arithmetic() -> None:
    assert POLICY.delay_s(failed(30), attempt=1, jitter=0.5) == 30


def test_advice_beyond_our_patience_gives_up() -> None:
    assert POLICY.delay_s(failed(61), attempt=1, jitter=0.5) is None


@pytest.mark.parametrize("kind", JobKind)
def test_every_kind_of_job_has_a_policy_that_ends(kind: JobKind) -> None:
    policy = RETRY_POLICIES[kind]
    assert policy.delay_s(failed(), attempt=policy.most_attempts, jitter=0.0) is None
    assert policy.delay_s(failed(), attempt=10**6, jitter=0.0) is None
