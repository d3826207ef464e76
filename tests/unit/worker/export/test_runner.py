"""Exporter: what one slice does, and what comes of it when something goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from tests.unit.worker.workshop import LEASE_S, PAGES, RECORDS, Interrupted, News, Workshop
from worker.errors import ExportError, LeaseLostError, PermitExpiredError, StoreUnavailableError
from worker.export.context import SliceLimits
from worker.export.interfaces import CrmSource, FetchedPage, PageQuery
from worker.jobs.estimate import Basis, Estimate
from worker.jobs.job import Job
from worker.jobs.progress import Patience
from worker.jobs.status import JobKind, JobStatus
from worker.rate_limit.interfaces import Reservation
from worker.rate_limit.quota import Quota


class PowerCutError(BaseException):
    """The process is gone at this very moment; nothing of ours catches it."""


@dataclass
class Waits:
    """A RateLimiter that asks for these waits, then lets everything through; it remembers what it was told."""

    seconds: list[float] = field(default_factory=list)
    learnt: list[Quota] = field(default_factory=list)
    blocked: list[float] = field(default_factory=list)
    granted: int = 0

    def reserve(
        self,
        _account_id: str,
        *,
        hub_id: int | None = None,  # noqa: ARG002 - the seam's
        within_s: float,
        low_priority: bool = False,  # noqa: ARG002 - the seam's
    ) -> Reservation:
        wait_s = self.seconds.pop(0) if self.seconds else 0.0
        self.granted += wait_s <= within_s
        return Reservation(wait_s=wait_s, is_granted=wait_s <= within_s)

    def learn(self, _account_id: str, quota: Quota, *, hub_id: int | None = None) -> None:  # noqa: ARG002 - the seam's
        self.learnt.append(quota)

    def block(self, _account_id: str, *, hub_id: int | None = None, seconds: float) -> None:  # noqa: ARG002 - the seam's
        self.blocked.append(seconds)


def test_a_job_is_paged_to_its_end_and_every_record_is_stored_once(shop: Workshop) -> None:
    shop.exporter().run_slice(shop.add_job())
    job = shop.job()
    assert job.status is JobStatus.SUCCEEDED
    assert (job.progress.pages, job.progress.records, job.progress.has_more) == (PAGES, RECORDS, False)
    assert shop.stored_ids() == shop.ids_in_hubspot()
    assert shop.calls() == PAGES
    assert job.finished_at is not None
    assert job.expires_at == job.finished_at + timedelta(days=30)
    assert shop.news.told == [JobStatus.RUNNING, JobStatus.SUCCEEDED]


def test_a_job_notes_what_it_is_thought_to_come_to_when_it_begins(shop: Workshop) -> None:
    estimate = Estimate(records=RECORDS, calls=PAGES, seconds=9.0, basis=Basis.LAST_EXPORT, as_of=shop.clock())
    shop.forecasts.estimate = estimate
    shop.exporter(limits=SliceLimits(pages=2)).run_slice(shop.add_job())
    shop.forecasts.estimate = None

    shop.run_until_finished("j1")

    assert shop.job().estimate == estimate


def test_a_forecast_with_a_bug_in_it_costs_no_job(shop: Workshop) -> None:
    shop.forecasts.failure = RuntimeError("a bug")

    with capture_logs() as logs:
        shop.exporter().run_slice(shop.add_job())

    assert (shop.job().status, shop.job().estimate) == (JobStatus.SUCCEEDED, None)
    assert [event["event"] for event in logs if event["log_level"] == "error"] == ["no_forecast"]


def test_who_waits_for_a_page_waits_for_no_forecast(shop: Workshop) -> None:
    shop.forecasts.failure = RuntimeError("was asked")

    with capture_logs() as logs:
        shop.exporter().run_slice(shop.add_job(kind=JobKind.PAGE, limit=10, page_size=10))

    assert "no_forecast" not in {event["event"] for event in logs}


def test_a_page_job_fetches_one_page_and_says_so_once(shop: Workshop) -> None:
    shop.exporter().run_slice(shop.add_job(kind=JobKind.PAGE, limit=10, page_size=10))
    assert (shop.job().status, shop.job().progress.records, shop.calls()) == (JobStatus.SUCCEEDED, 10, 1)
    assert shop.news.told == [JobStatus.SUCCEEDED]


@dataclass
class Attentive(News):
    """News that looks at what is stored when it hears of a page."""

    shop: Workshop | None = None
    found: list[tuple[int, JobStatus]] = field(default_factory=list)

    def notify_page(self, job: Job) -> None:
        assert self.shop is not None
        self.found.append((self.shop.pages.get(job.job_id, 0).records, self.shop.job(job.job_id).status))


def test_a_page_that_someone_waits_for_is_announced_as_soon_as_it_is_stored(shop: Workshop) -> None:
    shop.news = Attentive(shop=shop)
    shop.exporter().run_slice(shop.add_job(kind=JobKind.PAGE, limit=10, page_size=10))
    shop.exporter().run_slice(shop.add_job(job_id="j2"))
    assert shop.news.found == [(10, JobStatus.RUNNING)]


def test_the_last_call_asks_only_for_what_is_left_of_the_limit(shop: Workshop) -> None:
    shop.exporter().run_slice(shop.add_job(limit=250))
    assert shop.stored_ids() == shop.ids_in_hubspot()[:250]
    assert [dict(call.query)["count"] for call in shop.hubspot.journal.calls if call.type == "contacts"] == [
        "100",
        "100",
        "50",
    ]


def test_a_job_knows_how_many_bytes_its_pages_hold(shop: Workshop) -> None:
    shop.exporter(limits=SliceLimits(pages=2)).run_slice(shop.add_job())
    shop.run_until_finished("j1")

    stored = sum(len(page.body) for page in shop.pages.all("j1"))
    assert shop.job().stored_bytes == stored > 0
    assert shop.jobs.stored_bytes_of(["a1"]) == {"a1": stored}


def test_a_second_delivery_does_nothing(shop: Workshop) -> None:
    job_id = shop.add_job()
    twice = Interrupted(shop.source, after_call=2, happening=lambda: shop.exporter(worker="w2").run_slice(job_id))
    shop.exporter(source=twice).run_slice(job_id)
    shop.exporter().run_slice(job_id)
    assert (shop.job().status, shop.calls()) == (JobStatus.SUCCEEDED, PAGES)
    shop.exporter().run_slice("a job that was deleted")
    assert shop.calls() == PAGES


def test_a_slice_ends_and_the_job_goes_back_to_the_queue(shop: Workshop) -> None:
    job_id = shop.add_job()
    limits = SliceLimits(pages=2)
    shop.exporter(limits=limits).run_slice(job_id)
    assert (shop.job().status, shop.job().lease, shop.job().progress.pages) == (JobStatus.RUNNING, None, 2)
    assert [job.job_id for job in shop.queue.published] == [job_id]
    for _ in range(2):
        shop.exporter(worker="w2", limits=limits).run_slice(job_id)
    assert (shop.job().status, shop.job().resumes, shop.calls()) == (JobStatus.SUCCEEDED, 0, PAGES)
    assert shop.stored_ids() == shop.ids_in_hubspot()


def test_a_worker_that_stops_hands_the_job_back_after_the_page_at_hand(shop: Workshop) -> None:
    stopping = Interrupted(shop.source, after_call=1, happening=shop.stopping.set)
    shop.exporter(source=stopping).run_slice(shop.add_job())
    assert (shop.job().status, shop.job().progress.pages, shop.calls()) == (JobStatus.RUNNING, 1, 1)
    assert len(shop.queue.published) == 1


def test_a_hand_back_that_the_broker_refuses_is_left_to_the_next_sweep(shop: Workshop) -> None:
    shop.queue.is_away = True
    shop.exporter(limits=SliceLimits(pages=1)).run_slice(shop.add_job())
    assert [job.job_id for job in shop.jobs.take_due(limit=9)] == ["j1"]


def test_a_failing_call_is_tried_again_and_its_tries_are_counted_per_page(shop: Workshop) -> None:
    shop.hubspot.fail_next("bad_gateway", type="contacts", times=1, after=1)
    shop.hubspot.fail_next("reset", type="contacts", times=1, after=3)
    shop.run_until_finished(shop.add_job())
    assert (shop.job().status, shop.job().attempts, shop.calls()) == (JobStatus.SUCCEEDED, 1, PAGES + 2)
    assert shop.stored_ids() == shop.ids_in_hubspot()
    assert [0.5 <= wait <= 1.0 for wait in shop.alarms.seconds] == [True, True]
    assert shop.stopping.waits == []


def test_a_short_wait_leaves_the_worker_free_and_the_job_running(shop: Workshop) -> None:
    shop.hubspot.fail_next("ten_secondly", type="contacts", after=1)
    job_id = shop.add_job()
    shop.exporter().run_slice(job_id)
    paused = shop.job()
    assert (paused.status, paused.lease, paused.attempts) == (JobStatus.RUNNING, None, 1)
    assert paused.resume_at == shop.clock() + timedelta(seconds=10)
    assert (shop.alarms.seconds, shop.stopping.waits) == ([10], [])
    assert shop.jobs.take_due(limit=9) == []

    shop.exporter().run_slice(job_id)
    assert shop.calls() == 2

    shop.clock.advance(10)
    assert [job.job_id for job in shop.jobs.take_due(limit=9)] == [job_id]
    shop.exporter().run_slice(job_id)
    assert (shop.job().status, shop.job().resumes, shop.calls()) == (JobStatus.SUCCEEDED, 0, PAGES + 1)


def test_patience_for_longer_than_a_slice_shows_as_waiting(shop: Workshop) -> None:
    shop.hubspot.fail_next("migrating", type="contacts", after=1, retry_after_s=3600)
    job_id = shop.add_job()
    shop.exporter().run_slice(job_id)
    waiting = shop.job()
    assert (waiting.status, waiting.lease, waiting.attempts) == (JobStatus.WAITING, None, 1)
    assert waiting.resume_at == shop.clock() + timedelta(seconds=3600)
    assert shop.news.told[-1] is JobStatus.WAITING
    shop.run_until_finished(job_id)
    assert shop.stored_ids() == shop.ids_in_hubspot()


def test_after_the_daily_limit_a_job_waits_until_a_day_may_turn(shop: Workshop) -> None:
    shop.hubspot.fail_next("daily", type="contacts", after=1)
    shop.clock.advance(60)
    shop.exporter().run_slice(shop.add_job())
    assert shop.job().status is JobStatus.WAITING
    assert shop.job().resume_at == shop.clock() + timedelta(minutes=14, seconds=1)


def test_a_call_that_never_works_ends_the_job_in_hubspots_words_with_its_pages_kept(shop: Workshop) -> None:
    shop.hubspot.fail_next("bad_gateway", type="contacts", after=2, times=None)
    shop.run_until_finished(shop.add_job())
    failed = shop.job()
    assert (failed.status, failed.attempts, failed.progress.records) == (JobStatus.FAILED, 12, 200)
    assert failed.error is not None
    assert failed.error.hubspot is not None
    assert (failed.error.code, failed.error.retryable, failed.error.hubspot.status) == ("hubspot_error", True, 502)
    assert shop.stored_ids() == shop.ids_in_hubspot()[:200]


def test_patience_that_hubspot_asks_for_is_no_failure_however_often(shop: Workshop) -> None:
    shop.hubspot.fail_next("ten_secondly", type="contacts", after=1, times=30)
    shop.run_until_finished(shop.add_job())
    assert (shop.job().status, shop.calls()) == (JobStatus.SUCCEEDED, PAGES + 30)


def test_patience_has_an_end(shop: Workshop) -> None:
    shop.hubspot.fail_next("migrating", type="contacts", after=1, times=None, retry_after_s=80_000)
    began_at = shop.clock()
    shop.run_until_finished(shop.add_job())
    assert shop.job().status is JobStatus.FAILED
    assert shop.job().error is not None
    assert shop.job().error.retryable  # type: ignore[union-attr]  # asserted above
    assert timedelta(days=1) < shop.clock() - began_at < timedelta(days=2)


def test_pages_that_hubspot_cannot_answer_are_asked_for_in_smaller_ones(shop: Workshop) -> None:
    shop.hubspot.fail_next("internal_json", type="contacts", page_size_over=30, times=None)
    shop.run_until_finished(shop.add_job())
    assert (shop.job().status, shop.job().page_size_cap) == (JobStatus.SUCCEEDED, 25)
    assert shop.stored_ids() == shop.ids_in_hubspot()


def test_a_limit_that_hubspot_names_holds_every_worker_back(shop: Workshop) -> None:
    shop.hubspot.fail_next("ten_secondly", type="contacts", after=1)
    limiter = Waits()
    shop.exporter(limiter=limiter).run_slice(shop.add_job())
    assert limiter.blocked == [10]


def test_each_call_has_its_own_place_in_the_limit(shop: Workshop) -> None:
    asked: list[float] = []

    class Counting(Waits):
        def reserve(
            self,
            _account_id: str,
            *,
            hub_id: int | None = None,  # noqa: ARG002 - the seam's
            within_s: float,
            low_priority: bool = False,  # noqa: ARG002 - the seam's
        ) -> Reservation:
            asked.append(within_s)
            return Reservation(wait_s=0.0, is_granted=True)

    early = Interrupted(shop.source, after_call=2, happening=shop.end_access_tokens)
    shop.exporter(source=early, limiter=Counting()).run_slice(shop.add_job())
    assert (shop.job().status, shop.calls()) == (JobStatus.SUCCEEDED, PAGES + 1)
    assert len(asked) == PAGES + 1


def test_a_bug_of_ours_ends_the_job_once_and_for_all_with_its_pages_kept(shop: Workshop) -> None:
    def stumble() -> None:
        raise ZeroDivisionError

    shop.exporter(source=Interrupted(shop.source, after_call=3, happening=stumble)).run_slice(shop.add_job())
    failed = shop.job()
    assert failed.error is not None
    assert (failed.status, failed.error.code, failed.progress.pages) == (JobStatus.FAILED, "internal", 2)
    assert shop.stored_ids() == shop.ids_in_hubspot()[:200]


def test_a_job_that_ends_every_worker_that_takes_it_is_given_up(shop: Workshop) -> None:
    def cut() -> None:
        raise PowerCutError

    job_id = shop.add_job()
    for _ in range(3):
        with pytest.raises(PowerCutError):
            shop.exporter(source=Interrupted(shop.source, after_call=1, happening=cut)).run_slice(job_id)
        shop.clock.advance(LEASE_S + 1)
    shop.exporter().run_slice(job_id)
    failed = shop.job()
    assert failed.error is not None
    assert (failed.status, failed.error.code, failed.resumes, shop.calls()) == (JobStatus.FAILED, "internal", 3, 3)
    assert failed.error.retryable


def test_workers_that_end_after_some_progress_are_not_counted_together(shop: Workshop) -> None:
    def cut() -> None:
        raise PowerCutError

    job_id = shop.add_job()
    for _ in range(4):
        with pytest.raises(PowerCutError):
            shop.exporter(source=Interrupted(shop.source, after_call=2, happening=cut)).run_slice(job_id)
        shop.clock.advance(LEASE_S + 1)
    shop.exporter().run_slice(job_id)
    assert (shop.job().status, shop.job().resumes) == (JobStatus.SUCCEEDED, 4)
    assert shop.stored_ids() == shop.ids_in_hubspot()


@pytest.mark.parametrize("request_", [{}, {"kind": JobKind.PAGE, "limit": 10, "page_size": 10}])
def test_pages_are_removed_with_their_job(shop: Workshop, request_: dict[str, Any]) -> None:
    shop.exporter(limits=SliceLimits(pages=2)).run_slice(shop.add_job(**request_))
    while not shop.job().status.is_terminal:
        assert shop.pages.expiries("j1") == {None}
        shop.exporter(limits=SliceLimits(pages=2)).run_slice("j1")
    assert shop.pages.expiries("j1") == {shop.job().expires_at}
    assert shop.job().expires_at is not None


def test_the_pages_of_a_failed_job_are_removed_with_it_too(shop: Workshop) -> None:
    shop.hubspot.fail_next("missing_scopes", type="contacts", after=2)
    shop.exporter().run_slice(shop.add_job())
    assert shop.pages.expiries("j1") == {shop.job().expires_at}


def test_no_more_records_count_than_were_asked_for_whatever_hubspot_sends(shop: Workshop) -> None:
    @dataclass
    class Generous:
        source: CrmSource

        def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:
            return self.source.fetch_page(replace(query, count=100), access_token)

    shop.exporter(source=Generous(shop.source)).run_slice(shop.add_job(limit=130, page_size=30))
    assert (shop.job().status, shop.job().progress.records) == (JobStatus.SUCCEEDED, 130)
    assert shop.stored_ids() == shop.ids_in_hubspot()[:130]


def test_who_waits_for_a_page_is_not_kept_waiting_for_long(shop: Workshop) -> None:
    shop.hubspot.fail_next("unavailable", type="contacts", times=None)
    began_at = shop.clock()
    shop.run_until_finished(shop.add_job(kind=JobKind.PAGE, limit=10, page_size=10))
    assert (shop.job().status, shop.calls()) == (JobStatus.FAILED, 3)
    assert shop.clock() - began_at < timedelta(seconds=3)


def test_an_access_token_that_ends_in_the_middle_is_renewed(shop: Workshop) -> None:
    early = Interrupted(shop.source, after_call=2, happening=shop.end_access_tokens)
    shop.exporter(source=early).run_slice(shop.add_job())
    assert (shop.job().status, shop.calls("token")) == (JobStatus.SUCCEEDED, 2)
    assert shop.stored_ids() == shop.ids_in_hubspot()


def test_a_token_is_renewed_before_its_end_without_a_refused_call(shop: Workshop) -> None:
    later = Interrupted(shop.source, after_call=2, happening=lambda: shop.clock.advance(1745))
    shop.exporter(source=later).run_slice(shop.add_job())
    shop.run_until_finished("j1")
    assert (shop.job().status, shop.calls("token"), shop.calls()) == (JobStatus.SUCCEEDED, 2, PAGES)


@pytest.mark.parametrize("kind", [JobKind.EXPORT, JobKind.PAGE])
@pytest.mark.parametrize("refusals", [1, 2, 3])
def test_a_token_that_is_refused_for_moments_is_renewed_once(shop: Workshop, refusals: int, kind: JobKind) -> None:
    shop.hubspot.fail_next("unauthenticated", type="contacts", times=refusals)
    shop.run_until_finished(shop.add_job(kind=kind))
    assert (shop.job().status, shop.calls("token")) == (JobStatus.SUCCEEDED, 2)


def test_a_token_that_is_refused_again_and_again_is_renewed_once_a_minute_and_ends_the_job(shop: Workshop) -> None:
    began_at = shop.clock.now
    shop.hubspot.fail_next("unauthenticated", type="contacts", times=None)
    shop.run_until_finished(shop.add_job())
    minutes = (shop.clock.now - began_at).total_seconds() / 60
    error = shop.job().error
    assert error is not None
    assert (shop.job().status, error.retryable, shop.calls()) == (JobStatus.FAILED, True, 10)
    assert 1 < minutes < 4
    assert 3 <= shop.calls("token") <= 2 + minutes


def test_who_waits_for_a_page_is_told_of_a_refusal_within_seconds(shop: Workshop) -> None:
    began_at = shop.clock.now
    shop.hubspot.fail_next("unauthenticated", type="contacts", times=None)
    shop.run_until_finished(shop.add_job(kind=JobKind.PAGE))
    assert (shop.job().status, shop.calls("token")) == (JobStatus.FAILED, 2)
    assert (shop.clock.now - began_at).total_seconds() < 6


@pytest.mark.parametrize("kind", [JobKind.EXPORT, JobKind.PAGE])
@pytest.mark.parametrize("recipe", ["silent", "gateway_timeout", "cloudflare_timeout"])
def test_what_takes_too_long_is_asked_for_in_smaller_pages(shop: Workshop, recipe: str, kind: JobKind) -> None:
    shop.hubspot.fail_next(recipe, type="contacts", page_size_over=25, times=None)  # type: ignore[arg-type]
    shop.run_until_finished(shop.add_job(kind=kind))
    assert shop.job().status is JobStatus.SUCCEEDED
    assert shop.job().page_size_cap == 25
    if kind is JobKind.EXPORT:
        assert shop.stored_ids() == shop.ids_in_hubspot()


@pytest.mark.parametrize(
    ("recipe", "type_", "code"),
    [
        ("missing_scopes", "contacts", "hubspot_error"),
        ("uri_too_long", "contacts", "hubspot_error"),
        ("bad_refresh_token", "token", "reconnect_required"),
        ("stuck_cursor", "contacts", "cursor_stuck"),
    ],
)
def test_what_will_never_work_is_asked_once(shop: Workshop, recipe: str, type_: str, code: str) -> None:
    shop.hubspot.fail_next(recipe, type=type_, times=None)  # type: ignore[arg-type]  # a recipe's name
    shop.exporter().run_slice(shop.add_job())
    error = shop.job().error
    assert error is not None
    assert (shop.job().status, error.code, error.retryable, shop.calls(type_)) == (JobStatus.FAILED, code, False, 1)


def test_an_app_that_hubspot_does_not_know_is_asked_about_once(shop: Workshop) -> None:
    shop.hubspot.fail_next(status=401, type="token", body={"message": "unknown client"}, times=None)
    shop.exporter().run_slice(shop.add_job())
    error = shop.job().error
    assert error is not None
    assert (shop.job().status, error.message, shop.calls("token")) == (JobStatus.FAILED, "unknown client", 1)


def test_a_token_that_is_refused_again_and_again_ends_the_job_though_other_waits_lie_between(shop: Workshop) -> None:
    shop.hubspot.fail_next("unauthenticated", type="contacts", times=None)
    job_id, limiter = shop.add_job(), Waits([0.0, 9.0] * 50)
    while not shop.job().status.is_terminal:
        shop.exporter(limiter=limiter).run_slice(job_id)
        shop.clock.advance(9)
    assert (shop.job().status, shop.calls()) == (JobStatus.FAILED, 10)


def test_who_waits_for_a_page_is_told_of_a_limit_that_lasts(shop: Workshop) -> None:
    shop.exporter(limiter=Waits([600.0])).run_slice(shop.add_job(kind=JobKind.PAGE, limit=10, page_size=10))
    error = shop.job().error
    assert error is not None
    assert error.hubspot is not None
    assert (shop.job().status, error.hubspot.status, error.retry_after_s) == (JobStatus.FAILED, 429, 600)
    assert shop.calls() == 0


def test_a_daily_limit_that_a_page_meets_holds_the_account_back_as_well(shop: Workshop) -> None:
    shop.hubspot.fail_next("daily", type="contacts")
    limiter = Waits()
    shop.exporter(limiter=limiter).run_slice(shop.add_job(kind=JobKind.PAGE, limit=10, page_size=10))
    assert shop.job().status is JobStatus.FAILED
    assert [0 < seconds <= 901 for seconds in limiter.blocked] == [True]


def test_a_page_that_the_database_can_never_take_is_not_fetched_for_ever(shop: Workshop) -> None:
    job_id = shop.add_job()
    shop.jobs.change(shop.job(), replace(shop.job(), patience=Patience(attempts=51)))
    shop.exporter().run_slice(job_id)
    error = shop.job().error
    assert error is not None
    assert (shop.job().status, error.code, error.retryable, shop.calls()) == (JobStatus.FAILED, "unavailable", True, 0)


def test_an_error_of_the_token_endpoint_makes_no_page_smaller(shop: Workshop) -> None:
    shop.hubspot.fail_next(status=500, type="token", times=3)
    shop.run_until_finished(shop.add_job())
    assert (shop.job().status, shop.calls()) == (JobStatus.SUCCEEDED, PAGES)


def test_a_token_that_was_removed_meanwhile_ends_the_job(shop: Workshop) -> None:
    shop.lose_the_tokens()
    shop.exporter().run_slice(shop.add_job())
    assert shop.job().error is not None
    assert (shop.job().status, shop.calls()) == (JobStatus.FAILED, 0)


class Permits(Waits):
    """It notes what becomes of permits; those whose numbers it is given expire."""

    def __init__(self, *expired: int) -> None:
        super().__init__()
        self.given: list[NotedPermit] = []
        self._expired = expired

    def reserve(
        self, account_id: str, *, hub_id: int | None = None, within_s: float, low_priority: bool = False
    ) -> Reservation:
        place = super().reserve(account_id, hub_id=hub_id, within_s=within_s, low_priority=low_priority)
        self.given.append(NotedPermit(is_expired=len(self.given) in self._expired))
        return replace(place, permit=self.given[-1])


@dataclass
class NotedPermit:
    """A Permit that keeps what it was told."""

    is_expired: bool
    told: list[str] = field(default_factory=list)

    def leave(self) -> None:
        self.told.append("leave")
        if self.is_expired:
            raise PermitExpiredError

    def settle(self) -> None:
        self.told.append("settle")

    def close(self) -> None:
        self.told.append("close")


@dataclass
class Leaving:
    """A CrmSource that uses the permit as a connection does; then it does what a test asks for."""

    shop: Workshop
    meanwhile: Callable[[], None] = lambda: None

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:
        query.permit.leave()
        self.meanwhile()
        return self.shop.source.fetch_page(query, access_token)


def test_a_call_whose_permit_has_expired_is_made_with_another_one(shop: Workshop) -> None:
    limiter = Permits(1, 2)
    shop.exporter(limiter=limiter, source=Leaving(shop)).run_slice(shop.add_job())

    job = shop.job()
    assert (job.status, shop.calls(), len(limiter.given)) == (JobStatus.SUCCEEDED, PAGES, PAGES + 2)
    assert [permit.told for permit in limiter.given if permit.is_expired] == [["leave", "close"]] * 2
    assert (job.attempts, job.receipt.calls if job.receipt else None) == (1, {"200": PAGES})


def test_every_permit_is_settled_by_the_answer_and_closed(shop: Workshop) -> None:
    limiter = Permits()
    shop.exporter(limiter=limiter, source=Leaving(shop)).run_slice(shop.add_job())

    assert [permit.told for permit in limiter.given] == [["leave", "settle", "close"]] * PAGES


@pytest.mark.parametrize("error", [LeaseLostError("gone"), StoreUnavailableError()])
def test_whatever_keeps_a_call_from_its_answer_closes_its_permit(shop: Workshop, error: ExportError) -> None:
    def fail() -> None:
        raise error

    limiter = Permits()
    with suppress(ExportError):
        shop.exporter(limiter=limiter, source=Leaving(shop, fail)).run_slice(shop.add_job(limit=10, page_size=10))

    assert limiter.given
    assert {tuple(permit.told) for permit in limiter.given} == {("leave", "close")}


def test_a_worker_that_stops_while_it_waits_for_its_place_closes_its_permit(shop: Workshop) -> None:
    class Stopping(Permits):
        def reserve(
            self, account_id: str, *, hub_id: int | None = None, within_s: float, low_priority: bool = False
        ) -> Reservation:
            shop.stopping.set()
            place = super().reserve(account_id, hub_id=hub_id, within_s=within_s, low_priority=low_priority)
            return replace(place, wait_s=0.2)

    limiter = Stopping()
    shop.exporter(limiter=limiter).run_slice(shop.add_job())

    assert ([permit.told for permit in limiter.given], shop.calls()) == ([["close"]], 0)


def test_a_booked_place_is_waited_for_and_any_other_is_not(shop: Workshop) -> None:
    shop.exporter(limiter=Waits([0.0, 0.2, 9.0])).run_slice(shop.add_job())
    assert (shop.job().status, shop.job().reason, shop.job().attempts) == (JobStatus.RUNNING, "rate_limit", 1)
    assert (shop.stopping.waits, shop.alarms.seconds, shop.calls()) == ([0.2], [9.0], 2)


@pytest.mark.parametrize("after_call", range(1, PAGES + 1))
def test_after_a_power_cut_another_worker_goes_on_where_the_last_page_was_stored(
    shop: Workshop, after_call: int
) -> None:
    def cut() -> None:
        raise PowerCutError

    job_id = shop.add_job()
    with pytest.raises(PowerCutError):
        shop.exporter(source=Interrupted(shop.source, after_call=after_call, happening=cut)).run_slice(job_id)
    shop.exporter(worker="w2").run_slice(job_id)
    assert shop.job().status is JobStatus.RUNNING

    shop.clock.advance(LEASE_S + 1)
    shop.exporter(worker="w2").run_slice(job_id)
    assert (shop.job().status, shop.job().resumes, shop.calls()) == (JobStatus.SUCCEEDED, 1, PAGES + 1)
    assert shop.stored_ids() == shop.ids_in_hubspot()


def test_a_worker_that_slept_past_its_lease_can_write_nothing_any_more(shop: Workshop) -> None:
    job_id = shop.add_job()

    def be_overtaken() -> None:
        shop.clock.advance(LEASE_S + 1)
        shop.exporter(worker="w2").run_slice(job_id)

    shop.exporter(source=Interrupted(shop.source, after_call=2, happening=be_overtaken)).run_slice(job_id)
    assert shop.job().status is JobStatus.SUCCEEDED
    assert shop.job().progress.records == RECORDS
    assert shop.stored_ids() == shop.ids_in_hubspot()
    assert shop.calls() == PAGES + 1


def test_a_database_that_is_away_is_said_and_the_job_is_found_again_later(shop: Workshop) -> None:
    job_id = shop.add_job()

    def lose_it() -> None:
        shop.pages.is_away = True

    with pytest.raises(StoreUnavailableError):
        shop.exporter(source=Interrupted(shop.source, after_call=3, happening=lose_it)).run_slice(job_id)
    shop.pages.is_away = False
    shop.clock.advance(LEASE_S + 1)
    assert len(shop.jobs.take_due(limit=9)) == 1
    shop.exporter().run_slice(job_id)
    assert shop.stored_ids() == shop.ids_in_hubspot()
