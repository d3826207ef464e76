"""Deliverer and publish_due: every end is delivered at least once, and retried for about a day."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from tests.contract.stores import new_job
from tests.contract.test_erasing_pages import erase_from, erasure_of
from tests.contract.test_page_store import page_of
from tests.fakes.clock import START, ManualClock
from tests.fakes.deliveries import InMemoryDeliveryStore
from tests.fakes.queue import HoldingDeliveryQueue
from tests.fakes.stores import InMemoryJobStore, InMemoryPageStore
from worker.errors import BrokerUnavailableError, ExportError, FatalHubSpotError, StoreUnavailableError
from worker.jobs.job import Job
from worker.jobs.view import view_of
from worker.jobs.webhook import MOST_ATTEMPTS, DeliveryResult, Webhook, WebhookStatus
from worker.pages.audit import receipt_of
from worker.webhooks.deliverer import CLAIM_S, Deliverer, publish_due
from worker.webhooks.interfaces import WebhookSender
from worker.webhooks.signature import Signer

URL = "https://hooks.example:8443/T0/B0?token=secret"
SIGNER = Signer([SecretStr("s" * 32)])
QUIET_S = 60.0
TTL = timedelta(days=30)


@dataclass
class Receiver:
    """A WebhookSender that is its own destination: it answers with `replies`, then with 200."""

    clock: ManualClock
    replies: deque[DeliveryResult] = field(default_factory=deque)
    took_s: float = 0.0
    meanwhile: Callable[[], object] = lambda: None
    got: list[tuple[str, Mapping[str, str], bytes]] = field(default_factory=list)

    def send(self, url: str, *, headers: Mapping[str, str], body: bytes) -> DeliveryResult:
        self.got.append((url, headers, body))
        self.clock.advance(self.took_s)
        self.meanwhile()
        return self.replies.popleft() if self.replies else DeliveryResult(status=200)

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for _, headers, _ in self.got]


class ImmediatePool:
    """A DeliveryPool that runs work at once, in the caller's thread, unless it is full."""

    def __init__(self) -> None:
        self.is_full = False
        self.used: dict[str, int] = {}

    def submit(self, limits: Mapping[str, int], key: str, work: Callable[[], None]) -> bool:  # noqa: ARG002 - the seam's
        if self.is_full:
            return False
        self.used |= limits
        work()
        return True


class PostOffice:
    """One job with a webhook, the sweeps that publish its deliveries, and the worker that makes them."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.jobs = InMemoryJobStore(self.clock)
        self.pages = InMemoryPageStore()
        self.deliveries = InMemoryDeliveryStore(self.jobs, self.clock)
        self.queue = HoldingDeliveryQueue()
        self.receiver = Receiver(self.clock)
        self.pool = ImmediatePool()
        self.jobs.add(replace(new_job(), job_id="j1", created_at=START, updated_at=START, webhook=Webhook(url=URL)))

    def deliverer(self, *, sender: WebhookSender | None = None, signer: Signer = SIGNER) -> Deliverer:
        return Deliverer(
            deliveries=self.deliveries,
            jobs=self.jobs,
            pages=self.pages,
            sender=sender or self.receiver,
            signer=signer,
            pool=self.pool,
            clock=self.clock,
            monotonic=lambda: self.clock().timestamp(),
        )

    @property
    def job(self) -> Job:
        return self.jobs.get("j1", account_id="a1")

    @property
    def webhook(self) -> Webhook:
        assert self.job.webhook is not None
        return self.job.webhook

    def end(self, error: ExportError | None = None) -> None:
        """Finish the job as its worker does."""
        self.clock.advance(1)
        mine = self.jobs.claim("j1", worker="w1", lease_s=20, at=self.clock())
        assert mine is not None
        ended = mine.fail(error, at=self.clock()) if error is not None else mine.succeed(at=self.clock())
        self.jobs.release(ended.expire(after=TTL))

    def retry(self) -> None:
        assert self.jobs.change(self.job, self.job.retry(at=self.clock()))

    def publish_due(self) -> int:
        return publish_due(self.deliveries, self.queue, quiet_s=QUIET_S)

    def go_round(self) -> int:
        """Do what a sweep and the workers do: publish what is due, and deliver it."""
        self.queue.published.clear()
        self.publish_due()
        for job_id in self.queue.published:
            self.deliverer().deliver(job_id)
        return len(self.queue.published)

    def wait_for_next(self) -> float:
        """Advance the clock to the next attempt, and return by how many seconds."""
        assert self.job.deliver_at is not None
        pause = self.job.deliver_at - self.clock()
        self.clock.now += pause
        return pause.total_seconds()


@pytest.fixture
def office() -> PostOffice:
    return PostOffice()


# What is delivered


def test_a_job_that_succeeds_is_delivered_once_as_the_api_shows_it(office: PostOffice) -> None:
    office.end()

    assert office.go_round() == 1

    ((url, headers, body),) = office.receiver.got
    assert url == URL
    assert json.loads(body) == {
        "id": "evt_j1_0",
        "type": "job.succeeded",
        "timestamp": "2026-11-23T15:00:01Z",
        "data": {name: value for name, value in shown(office.job).items() if name != "webhook"},
    }
    assert headers["Content-Type"] == "application/json"
    assert headers["webhook-id"] == "evt_j1_0"
    assert office.job.webhook_status is WebhookStatus.DELIVERED
    office.clock.advance(1_000_000)
    assert office.go_round() == 0


def test_a_receipt_is_delivered_without_what_was_erased_by_then(office: PostOffice) -> None:
    mine = office.jobs.claim("j1", worker="w1", lease_s=20, at=office.clock())
    assert mine is not None
    page = page_of([1, 2])
    office.pages.add(mine, page)
    erase_from(office.pages, erasure_of(2), "j1", 0)
    ended = mine.advance(page, at=office.clock()).succeed(at=office.clock())
    office.jobs.release(replace(ended.expire(after=TTL), receipt=receipt_of(ended, office.pages)))

    office.go_round()

    ((_, _, body),) = office.receiver.got
    assert json.loads(body)["data"]["receipt"]["erased"] == 1


def shown(job: Job) -> dict[str, object]:
    """Return a job as the API answers with it."""
    data: dict[str, object] = view_of(job).model_dump(mode="json")
    return data


def test_a_job_that_fails_or_is_cancelled_is_delivered_as_well(office: PostOffice) -> None:
    office.end(FatalHubSpotError("No scope", status=403))
    office.go_round()
    office.retry()
    office.jobs.change(office.job, office.job.cancel(at=office.clock()).expire(after=TTL))
    office.go_round()

    bodies = [json.loads(body) for _, _, body in office.receiver.got]
    assert [body["type"] for body in bodies] == ["job.failed", "job.cancelled"]
    assert bodies[0]["data"]["error"]["message"] == "No scope"


def test_a_job_that_has_not_ended_is_not_delivered(office: PostOffice) -> None:
    assert office.go_round() == 0
    office.deliverer().deliver("j1")
    assert office.receiver.got == []


# When it does not work


def test_every_attempt_has_the_same_id_and_body_and_its_own_signature(office: PostOffice) -> None:
    office.receiver.replies += [DeliveryResult(status=500), DeliveryResult(error="No answer came in time")]
    office.end()
    for _ in range(3):
        office.go_round()
        if office.job.deliver_at is not None:
            office.wait_for_next()

    assert office.receiver.ids == ["evt_j1_0"] * 3
    assert len({body for _, _, body in office.receiver.got}) == 1
    assert len({headers["webhook-signature"] for _, headers, _ in office.receiver.got}) == 3
    assert [(each.attempt, each.status, each.error) for each in office.webhook.deliveries] == [
        (1, 500, "The answer was 500"),
        (2, None, "No answer came in time"),
        (3, 200, None),
    ]


def test_it_is_tried_eight_times_in_about_a_day_and_then_given_up(office: PostOffice) -> None:
    office.receiver.replies.extend([DeliveryResult(status=503)] * 20)
    office.end()
    pauses: list[float] = []
    while office.go_round():
        if office.job.deliver_at is not None:
            pauses.append(office.wait_for_next())

    assert len(office.receiver.got) == MOST_ATTEMPTS
    assert pauses == sorted(pauses)
    assert 0.5 * 86_400 < sum(pauses) < 1.5 * 86_400
    assert (office.job.webhook_status, office.job.deliver_at) == (WebhookStatus.FAILED, None)


def test_no_attempt_is_made_before_the_pause_is_over(office: PostOffice) -> None:
    office.receiver.replies.append(DeliveryResult(status=429, retry_after_s=300))
    office.end()
    office.go_round()

    office.clock.advance(299)
    assert office.go_round() == 0
    office.deliverer().deliver("j1")
    assert len(office.receiver.got) == 1
    office.clock.advance(1)
    assert office.go_round() == 1
    assert len(office.receiver.got) == 2


def test_who_wants_no_more_gets_no_more(office: PostOffice) -> None:
    office.receiver.replies.append(DeliveryResult(status=410))
    office.end()
    office.go_round()

    assert (office.job.webhook_status, office.job.deliver_at) == (WebhookStatus.FAILED, None)


def test_how_long_an_attempt_took_is_kept(office: PostOffice) -> None:
    office.receiver.took_s = 2.5
    office.end()
    at = office.clock()
    office.go_round()

    assert [(each.at, each.seconds) for each in office.webhook.deliveries] == [(at, 2.5)]


def test_without_a_secret_nothing_is_sent_and_the_job_says_why(office: PostOffice) -> None:
    office.end()
    office.deliverer(signer=Signer([])).deliver("j1")

    assert office.receiver.got == []
    assert [each.error for each in office.webhook.deliveries] == ["This service has no secret to sign with any more"]
    assert office.job.webhook_status is WebhookStatus.PENDING


# Twice, too late, and in between


def test_a_doubled_message_does_nothing(office: PostOffice) -> None:
    office.receiver.meanwhile = lambda: office.deliverer().deliver("j1")
    office.end()
    office.go_round()
    office.deliverer().deliver("j1")

    assert office.receiver.ids == ["evt_j1_0"]


def test_an_attempt_whose_worker_dies_is_made_again_and_counts(office: PostOffice) -> None:
    class Killed(BaseException):
        """The end of a process."""

    def die() -> None:
        raise Killed

    office.end()
    office.receiver.meanwhile = die
    with pytest.raises(Killed):
        office.go_round()
    office.receiver.meanwhile = lambda: None
    assert office.go_round() == 0

    office.clock.advance(CLAIM_S + 1)

    assert office.go_round() == 1
    assert office.receiver.ids == ["evt_j1_0", "evt_j1_0"]
    assert [each.attempt for each in office.webhook.deliveries] == [2]
    assert office.job.webhook_status is WebhookStatus.DELIVERED


def test_an_attempt_that_ends_every_worker_is_given_up_in_the_end(office: PostOffice) -> None:
    office.end()
    for _ in range(MOST_ATTEMPTS):
        assert office.deliveries.claim("j1", lease_s=CLAIM_S) is not None
        office.clock.advance(CLAIM_S + 1)

    office.go_round()

    assert office.receiver.got == []
    assert (office.job.webhook_status, office.job.deliver_at) == (WebhookStatus.FAILED, None)


def test_the_next_end_of_a_retried_job_is_another_event(office: PostOffice) -> None:
    office.end(FatalHubSpotError("no"))
    office.go_round()
    office.retry()
    assert office.go_round() == 0
    assert office.job.webhook_status is WebhookStatus.PENDING

    office.end()
    office.go_round()

    assert office.receiver.ids == ["evt_j1_0", "evt_j1_1"]
    assert [(each.event_id, each.attempt) for each in office.webhook.deliveries] == [("evt_j1_0", 1), ("evt_j1_1", 1)]


def test_an_end_that_was_not_delivered_before_a_retry_is_dropped(office: PostOffice) -> None:
    office.receiver.replies.append(DeliveryResult(status=500))
    office.end(FatalHubSpotError("no"))
    office.go_round()
    office.retry()
    office.end()

    office.clock.advance(1_000_000)
    office.go_round()

    assert office.receiver.ids == ["evt_j1_0", "evt_j1_1"]


def test_an_answer_that_comes_when_the_job_has_moved_on_changes_nothing(office: PostOffice) -> None:
    office.receiver.meanwhile = office.retry
    office.end(FatalHubSpotError("no"))
    with capture_logs() as logs:
        office.go_round()

    assert office.job.webhook_status is WebhookStatus.PENDING
    assert office.job.deliver_at is None
    assert [each["event"] for each in logs] == ["webhook_overtaken"]


def test_a_deleted_job_is_not_delivered(office: PostOffice) -> None:
    office.receiver.replies.append(DeliveryResult(status=500))
    office.end()
    office.go_round()
    office.jobs.start_removal(office.job)

    office.clock.advance(1_000_000)

    assert office.go_round() == 0


# What is away


def test_a_broker_that_is_away_loses_nothing(office: PostOffice) -> None:
    office.end()
    office.queue.is_away = True
    with pytest.raises(BrokerUnavailableError):
        office.go_round()
    office.queue.is_away = False

    office.clock.advance(QUIET_S + 1)

    assert office.go_round() == 1
    assert len(office.receiver.got) == 1


def test_a_lost_message_is_made_up_for(office: PostOffice) -> None:
    office.end()
    assert office.publish_due() == 1
    assert office.go_round() == 0

    office.clock.advance(QUIET_S + 1)

    assert office.go_round() == 1
    assert office.job.webhook_status is WebhookStatus.DELIVERED


def test_a_database_that_goes_away_after_the_answer_costs_a_second_delivery(office: PostOffice) -> None:
    def lose_the_database() -> None:
        office.jobs.is_away = True

    office.receiver.meanwhile = lose_the_database
    office.end()
    with capture_logs() as logs:
        office.go_round()
    assert [each["event"] for each in logs] == ["delivery_given_up"]
    office.receiver.meanwhile = lambda: None
    with pytest.raises(StoreUnavailableError):
        office.go_round()

    office.jobs.is_away = False
    office.clock.advance(CLAIM_S + 1)
    office.go_round()

    assert office.receiver.ids == ["evt_j1_0", "evt_j1_0"]
    assert office.job.webhook_status is WebhookStatus.DELIVERED


def test_a_delivery_for_which_there_is_no_room_is_left_for_a_later_round(office: PostOffice) -> None:
    office.pool.is_full = True
    office.end()
    with capture_logs() as logs:
        office.go_round()
    assert [(each["event"], each["destination"]) for each in logs] == [("delivery_put_off", "hooks.example:8443")]
    assert office.webhook.attempts == 0

    office.pool.is_full = False
    office.clock.advance(QUIET_S + 1)
    office.go_round()

    assert len(office.receiver.got) == 1


def test_neither_an_account_nor_a_destination_can_keep_all_threads_to_itself(office: PostOffice) -> None:
    office.end()
    office.go_round()

    assert office.pool.used == {"account a1": 8, "destination hooks.example:8443": 4}


def test_a_log_names_the_destination_and_nothing_else_of_the_url(office: PostOffice) -> None:
    office.receiver.replies.append(DeliveryResult(status=500))
    office.end()
    with capture_logs() as logs:
        office.go_round()

    (line,) = logs
    assert (line["event"], line["outcome"], line["status"]) == ("webhook_tried", "pending", 500)
    assert line["destination"] == "hooks.example:8443"
    assert not any(part in repr(logs) for part in ("T0", "B0", "token", "secret"))


def test_an_instant_long_past_is_due_by_anybodys_clock(office: PostOffice) -> None:
    office.end()
    office.clock.now = datetime(2001, 1, 1, tzinfo=UTC)

    assert office.go_round() == 1
