"""Webhook: what an attempt leads to, when the next one is made, and what is kept of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fakes.clock import START
from worker.jobs.webhook import MOST_ATTEMPTS, Delivery, DeliveryResult, Webhook, WebhookStatus

DAY_S = 86_400.0
FIRST = Webhook(url="https://hooks.example/", run_number=0, attempts=1)
LAST = replace(FIRST, attempts=MOST_ATTEMPTS)


def after(webhook: Webhook, reply: DeliveryResult) -> Webhook:
    return webhook.after(reply, event_id="evt_1", at=START, seconds=0.12345)


def pauses(jitter: float) -> list[float]:
    """Return the pauses between attempts that all fail."""
    tried = (
        after(replace(FIRST, attempts=number), DeliveryResult(status=500)) for number in range(1, MOST_ATTEMPTS + 1)
    )
    found = [each.retry_in_s(advised_s=None, jitter=jitter) for each in tried]
    assert found.pop() is None
    return [each for each in found if each is not None]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_success_is_the_end(status: int) -> None:
    told = after(FIRST, DeliveryResult(status=status))

    assert told.outcome is WebhookStatus.DELIVERED
    assert told.retry_in_s(advised_s=60, jitter=0) is None
    assert told.deliveries == (
        Delivery(at=START, event_id="evt_1", attempt=1, status=status, seconds=0.123, error=None),
    )


@pytest.mark.parametrize("status", [101, 300, 301, 302, 307, 400, 401, 403, 404, 422, 429, 500, 503])
def test_any_other_answer_is_tried_again_and_a_redirect_is_one_of_them(status: int) -> None:
    told = after(FIRST, DeliveryResult(status=status))

    assert told.outcome is WebhookStatus.PENDING
    assert told.retry_in_s(advised_s=None, jitter=0) == 10
    assert (told.deliveries[0].status, told.deliveries[0].error) == (status, f"The answer was {status}")


def test_no_answer_is_tried_again_and_says_why() -> None:
    told = after(FIRST, DeliveryResult(error="No answer came in time"))

    assert told.outcome is WebhookStatus.PENDING
    assert (told.deliveries[0].status, told.deliveries[0].error) == (None, "No answer came in time")


def test_gone_is_final() -> None:
    told = after(FIRST, DeliveryResult(status=410))

    assert told.outcome is WebhookStatus.FAILED
    assert told.retry_in_s(advised_s=60, jitter=0) is None


def test_the_last_attempt_is_the_last_one_whatever_comes_of_it() -> None:
    assert after(LAST, DeliveryResult(status=500)).outcome is WebhookStatus.FAILED
    assert after(LAST, DeliveryResult(error="x")).outcome is WebhookStatus.FAILED
    assert after(LAST, DeliveryResult(status=200)).outcome is WebhookStatus.DELIVERED


def test_the_pauses_grow_fourfold_and_lie_in_the_upper_half_of_their_range() -> None:
    shortest, longest = pauses(0.0), pauses(0.999999)

    assert shortest == [10, 40, 160, 640, 2560, 10_240, 40_960]
    assert all(low < high < 2 * low for low, high in zip(shortest, longest, strict=True))


def test_all_of_them_together_are_about_a_day() -> None:
    assert 0.6 * DAY_S < sum(pauses(0.0)) < sum(pauses(0.5)) < DAY_S < sum(pauses(0.999999)) < 1.3 * DAY_S


def test_a_destination_may_ask_for_a_longer_pause_but_not_for_ever() -> None:
    refused = after(FIRST, DeliveryResult(status=503))

    assert refused.retry_in_s(advised_s=120, jitter=0) == 120
    assert refused.retry_in_s(advised_s=1, jitter=0) == 10
    assert refused.retry_in_s(advised_s=999_999, jitter=0) == DAY_S


def test_the_log_keeps_the_newest_attempts() -> None:
    webhook = FIRST
    for number in range(40):
        webhook = after(replace(webhook, attempts=number), DeliveryResult(status=500))

    assert [each.attempt for each in webhook.deliveries] == list(range(24, 40))
