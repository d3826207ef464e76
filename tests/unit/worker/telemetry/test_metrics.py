"""Metrics of a worker: after known events, on a registry of the test's own, the numbers are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import pytest
import responses
import structlog
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from structlog.testing import capture_logs
from structlog.typing import EventDict

from sandbox.fake_hubspot.faults.plan import RecipeName
from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.transport.mounting import mount
from tests.contract.stores import new_job
from tests.fakes.clock import ManualClock
from tests.fakes.queue import HoldingJobQueue
from tests.unit.worker.export.test_runner import Waits
from tests.unit.worker.workshop import HUB, PAGES, RECORDS, Interrupted, News, Workshop
from worker.errors import (
    BrokerUnavailableError,
    HubSpotError,
    ListGoneError,
    ReconnectRequiredError,
    RetryableHubSpotError,
)
from worker.export.api_choice import ApiChoice
from worker.export.interfaces import ChosenApi
from worker.hubspot.instrumented import MeasuredRenewals, WatchedCalls
from worker.hubspot.oauth.grants import Grant
from worker.hubspot.transport import Sessions, Transport
from worker.instrumented.metrics import (
    MeasuredChooser,
    MeasuredLimiter,
    MeasuredNotifier,
    MeasuredQueue,
    MeasuredSender,
    MeasuredSource,
)
from worker.instrumented.tasks import Instruments, count_slice, observed
from worker.jobs.copy_progress import CopyProgress
from worker.jobs.request import Origin, SyncRequest
from worker.jobs.status import JobStatus
from worker.jobs.sync import new_sync
from worker.jobs.webhook import DeliveryResult
from worker.rate_limit.interfaces import Reservation
from worker.records.crm_api import CrmApi
from worker.records.enabled_types import EnabledTypes
from worker.records.types import ExportType
from worker.telemetry.metrics import ExportMetrics, JobMetrics, new_registry
from worker.telemetry.tracing import NoTraces

OF_CONTACTS = {"type": "contacts", "api": "legacy"}


class Bench:
    """A registry, the metrics on it, and access to their values."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.exports = ExportMetrics(self.registry)
        self.jobs = JobMetrics(self.registry)

    def value(self, name: str, **labels: str) -> float:
        """Return a sample's value; a missing one counts as 0."""
        return self.registry.get_sample_value(f"hubspot_export_{name}", labels) or 0.0


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def shop(bench: Bench) -> Iterator[Workshop]:
    """Yield a workshop whose calls and pages are measured."""
    clock = ManualClock()
    hubspot = HubSpot(clock=lambda: clock().timestamp())
    hubspot.add_account(HUB, records={"contacts": RECORDS}, rate_limit=0)
    calls = WatchedCalls(Sessions().send, metrics=bench.exports, traces=NoTraces())
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocked:
        mount(hubspot, mocked)
        shop = Workshop(hubspot, clock, transport=Transport(calls.send))
        shop.source = MeasuredSource(shop.source, bench.exports)
        yield shop


def run(shop: Workshop, bench: Bench, job_id: str) -> None:
    """Run a slice as the task does."""
    instruments = Instruments(metrics=bench.exports, traces=NoTraces(), headers=dict)
    observe = observed(
        lambda: instruments,
        unavailable="slice_given_up",
        count=count_slice,
        monotonic=lambda: shop.clock().timestamp(),
    )
    observe(shop.exporter().run_slice)(job_id)


# An export


def test_pages_records_and_calls_of_an_export_are_those_that_hubspot_gave(shop: Workshop, bench: Bench) -> None:
    run(shop, bench, shop.add_job())

    assert bench.value("pages_total", **OF_CONTACTS) == PAGES
    assert bench.value("records_total", **OF_CONTACTS) == RECORDS
    assert bench.value("hubspot_calls_total", api="legacy", status="200") == PAGES
    assert bench.value("hubspot_calls_total", api="oauth", status="200") == 1
    assert bench.value("hubspot_call_duration_seconds_count", api="legacy") == PAGES


def test_calls_are_counted_by_status(shop: Workshop, bench: Bench) -> None:
    shop.hubspot.fail_next("bad_gateway", type="contacts", times=2)
    shop.hubspot.fail_next("reset", type="contacts")
    shop.hubspot.fail_next("broken_json_200", type="contacts")
    shop.run_until_finished(shop.add_job())

    assert bench.value("hubspot_calls_total", api="legacy", status="502") == 2
    assert bench.value("hubspot_calls_total", api="legacy", status="none") == 1
    assert bench.value("hubspot_calls_total", api="legacy", status="200") == PAGES + 1
    assert bench.value("pages_total", **OF_CONTACTS) == PAGES


@pytest.mark.parametrize(("recipe", "limit"), [("ten_secondly", "short"), ("secondly", "short"), ("daily", "daily")])
def test_daily_limits_are_counted_apart_from_shorter_ones(
    shop: Workshop, bench: Bench, recipe: RecipeName, limit: str
) -> None:
    shop.hubspot.fail_next(recipe, type="contacts")
    run(shop, bench, shop.add_job())

    assert bench.value("rate_limited_total", limit=limit) == 1
    assert bench.value("hubspot_calls_total", api="legacy", status="429") == 1


# Slices


def test_a_slice_that_worked_is_timed(shop: Workshop, bench: Bench) -> None:
    shop.source = Interrupted(shop.source, after_call=1, happening=lambda: shop.clock.advance(3))

    run(shop, bench, shop.add_job())

    assert bench.value("slices_total", outcome="worked") == 1
    assert bench.value("slice_duration_seconds_sum") == 3


def test_a_second_delivery_counts_as_one_that_found_nothing(shop: Workshop, bench: Bench) -> None:
    job_id = shop.add_job()
    for _ in range(3):
        run(shop, bench, job_id)

    assert bench.value("slices_total", outcome="worked") == 1
    assert bench.value("slices_total", outcome="nothing_to_claim") == 2
    assert bench.value("slice_duration_seconds_count") == 1


def test_a_lease_that_went_to_another_worker_is_counted_as_lost(shop: Workshop, bench: Bench) -> None:
    job_id = shop.add_job()

    def taken_over() -> None:
        shop.clock.advance(100)
        shop.jobs.claim(job_id, worker="w2", lease_s=100, at=shop.clock())

    shop.source = Interrupted(shop.source, after_call=2, happening=taken_over)
    run(shop, bench, job_id)

    assert bench.value("slices_total", outcome="lease_lost") == 1


def test_a_slice_that_an_absent_database_ends_is_counted_as_such(shop: Workshop, bench: Bench) -> None:
    job_id = shop.add_job()
    shop.jobs.is_away = True

    run(shop, bench, job_id)

    assert bench.value("slices_total", outcome="unavailable") == 1


# What a worker shares with the shim


def test_every_end_of_a_job_is_counted_once_and_passed_on(bench: Bench) -> None:
    news = News()
    notifier = MeasuredNotifier(news, bench.jobs)
    told = [JobStatus.RUNNING, JobStatus.WAITING, JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.FAILED]
    for status in told:
        notifier.notify(replace(new_job(), status=status))

    ended = {
        status: bench.value("jobs_ended_total", status=status, type="contacts", kind="export") for status in JobStatus
    }
    assert {status: count for status, count in ended.items() if count} == {"succeeded": 1, "failed": 2}
    assert news.told == told


def test_custom_objects_are_counted_together(bench: Bench) -> None:
    notifier = MeasuredNotifier(News(), bench.jobs, EnabledTypes.parse("tickets,p_cars").kinds)
    for name in ("p1_cars", "p2_cars", "tickets"):
        notifier.notify(replace(new_job(), export_type=ExportType(name), status=JobStatus.SUCCEEDED))

    ended = {
        name: bench.value("jobs_ended_total", status="succeeded", type=name, kind="export")
        for name in ("custom_objects", "tickets")
    }
    assert ended == {"custom_objects": 2, "tickets": 1}


def test_withheld_deletions_are_counted_when_their_export_ends(bench: Bench) -> None:
    notifier = MeasuredNotifier(News(), bench.jobs)
    export = replace(new_job(), copying=CopyProgress(withheld=7))
    for status in (JobStatus.RUNNING, JobStatus.SUCCEEDED):
        notifier.notify(replace(export, status=status))
    notifier.notify(replace(new_job(), status=JobStatus.SUCCEEDED))
    assert bench.value("deletions_withheld_total", type="contacts") == 7
    assert bench.value("deletions_withheld_total", type="deals") == 0


def test_the_end_of_a_sync_may_be_notified_more_than_once_and_is_not_counted(bench: Bench) -> None:
    sync = new_sync("s1", account_id="a1", owner="u1", request=SyncRequest(types=()), at=new_job().created_at)
    MeasuredNotifier(News(), bench.jobs).notify(replace(sync, status=JobStatus.SUCCEEDED))

    assert bench.value("jobs_ended_total", status="succeeded", type="sync", kind="sync") == 0


def test_publications_are_counted_and_those_that_the_broker_refused(bench: Bench) -> None:
    broker = HoldingJobQueue()
    queue = MeasuredQueue(broker, bench.jobs)
    queue.publish(new_job())
    broker.is_away = True
    with pytest.raises(BrokerUnavailableError):
        queue.publish(new_job())

    assert (bench.value("publishes_total"), bench.value("publish_failures_total")) == (1, 1)
    assert len(broker.published) == 1


# The limit, tokens, webhooks


def test_granted_and_refused_permits_are_counted_with_their_seconds(bench: Bench) -> None:
    limiter = MeasuredLimiter(Waits(seconds=[0.0, 0.2, 7.0]), bench.exports)
    places = [limiter.reserve("a1", within_s=0.25) for _ in range(3)]

    assert places[2] == Reservation(wait_s=7.0, is_granted=False)
    assert bench.value("limiter_wait_seconds_count", place="booked") == 2
    assert bench.value("limiter_wait_seconds_sum", place="booked") == 0.2
    assert bench.value("limiter_wait_seconds_count", place="refused") == 1
    assert bench.value("limiter_wait_seconds_sum", place="refused") == 7


def test_changes_of_api_are_counted_whatever_the_cause(shop: Workshop, bench: Bench) -> None:
    chooser = MeasuredChooser(ApiChoice(setting="auto", lists=shop.gone_lists), bench.exports)
    fixed = MeasuredChooser(ApiChoice(setting="legacy", lists=shop.gone_lists), bench.exports)
    fresh, error = shop.jobs.find(shop.add_job()), ListGoneError("resource not found", status=404)
    assert fresh is not None
    to_dated, to_legacy = ({"type": "contacts", "api": api} for api in ("dated", "legacy"))

    assert chooser.choose(fresh) == ChosenApi(api=CrmApi.LEGACY)
    assert fixed.leave(fresh, error) is None
    assert bench.value("api_changes_total", **to_dated) == bench.value("api_changes_total", **to_legacy) == 0

    assert chooser.leave(fresh, error) is CrmApi.DATED
    assert fixed.choose(replace(fresh, api=CrmApi.DATED)) == ChosenApi(api=CrmApi.LEGACY)
    assert chooser.choose(replace(fresh, api=CrmApi.DATED)) == ChosenApi(api=CrmApi.DATED)
    assert bench.value("api_changes_total", **to_dated) == bench.value("api_changes_total", **to_legacy) == 1
    assert bench.registry.get_sample_value("hubspot_export_api_changes_total", {"type": "notes", "api": "dated"}) == 0


@dataclass
class Endpoint:
    """A Renewer that succeeds, or fails with a given error."""

    error: HubSpotError | None = None

    def renew(self, _refresh_token: SecretStr) -> Grant:
        if self.error is not None:
            raise self.error
        return Grant(access_token=SecretStr("new"))


def test_renewals_are_counted_by_what_came_of_them(bench: Bench) -> None:
    for error in (None, RetryableHubSpotError("busy", status=503), ReconnectRequiredError("refused", status=400)):
        renewals = MeasuredRenewals(Endpoint(error), bench.exports)
        with suppress(HubSpotError):
            renewals.renew(SecretStr("refresh"))

    for outcome in ("renewed", "failed", "reconnect_required"):
        assert bench.value("token_renewals_total", outcome=outcome) == 1


@dataclass
class Replies:
    """A WebhookSender that gets these replies, each after a second and a half."""

    clock: ManualClock
    replies: list[DeliveryResult]

    def send(self, url: str, *, headers: Mapping[str, str], body: bytes) -> DeliveryResult:  # noqa: ARG002 - the seam's
        self.clock.advance(1.5)
        return self.replies.pop(0)


def test_attempts_at_webhooks_are_counted_by_what_came_of_them_and_timed(bench: Bench) -> None:
    clock = ManualClock()
    replies = [
        DeliveryResult(status=204),
        DeliveryResult(status=500),
        DeliveryResult(status=307),
        DeliveryResult(error="No answer came in time"),
    ]
    sender = MeasuredSender(Replies(clock, list(replies)), bench.exports, monotonic=lambda: clock().timestamp())

    assert [sender.send("https://hooks.example/", headers={}, body=b"") for _ in replies] == replies

    counted = {
        outcome: bench.value("webhook_attempts_total", outcome=outcome)
        for outcome in ("taken", "refused", "unanswered")
    }
    assert counted == {"taken": 1, "refused": 2, "unanswered": 1}
    assert bench.value("webhook_attempt_duration_seconds_sum") == 6


# Logs


def failed_lines(logs: list[EventDict], event: str) -> list[tuple[object, object]]:
    return [(line["hubspot_status"], line["hubspot_correlation_id"]) for line in logs if line["event"] == event]


def test_a_failed_call_is_logged_with_what_hubspots_support_asks_for(shop: Workshop) -> None:
    shop.hubspot.fail_next("bad_gateway", type="contacts")
    shop.hubspot.fail_next("missing_scopes", type="contacts")
    with capture_logs() as logs:
        shop.run_until_finished(shop.add_job())
    asked = [call for call in shop.hubspot.journal.calls if call.type == "contacts"]

    assert [status for status, _ in failed_lines(logs, "call_failed")] == [502]
    assert [status for status, _ in failed_lines(logs, "job_failed")] == [403]
    assert all(correlation_id for _, correlation_id in failed_lines(logs, "job_failed"))
    assert len(asked) == 2


def test_every_call_is_logged_at_debug_without_url_and_token(shop: Workshop) -> None:
    with capture_logs() as logs:
        shop.run_until_finished(shop.add_job())
    calls = [line for line in logs if line["event"] == "hubspot_called"]

    assert {line["log_level"] for line in calls} == {"debug"}
    assert [line["api"] for line in calls] == ["oauth", *["legacy"] * PAGES]
    assert all(line["hubspot_correlation_id"] for line in calls)
    assert not [line for line in calls if "http" in str(line.values())]


def test_every_line_about_a_job_names_the_request_that_it_came_from(shop: Workshop) -> None:
    job_id = shop.add_job()
    shop.jobs.change(shop.job(), replace(shop.job(), origin=Origin(request_id="r1")))
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        shop.exporter().run_slice(job_id)

    assert {(line["job_id"], line["account_id"], line["request_id"]) for line in logs} == {("j1", "a1", "r1")}


# The registry


def test_a_registry_has_the_metrics_of_the_process_and_shares_none() -> None:
    first, second = new_registry(), new_registry()
    JobMetrics(first).published.inc()
    JobMetrics(second)

    assert second.get_sample_value("hubspot_export_publishes_total") == 0
    assert first.get_sample_value("process_cpu_seconds_total")
