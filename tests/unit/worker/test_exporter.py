"""Exporter: what one slice does, and what comes of it when something goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
import responses
from pydantic import SecretStr

from sandbox.portal.hubspot import HubSpot
from sandbox.portal.mounting import mount
from tests.fakes.clock import ManualClock
from tests.unit.worker.workshop import HUB, Interrupted, Workshop
from worker.errors import StoreUnavailableError
from worker.exporter import SliceLimits
from worker.interfaces import CrmSource, PageQuery
from worker.jobs import JobKind, JobStatus
from worker.pages import Page

RECORDS = 450
PAGES = 5


@pytest.fixture
def shop() -> Iterator[Workshop]:
    clock = ManualClock()
    hubspot = HubSpot(clock=lambda: clock().timestamp())
    hubspot.add_account(HUB, records={"contacts": RECORDS}, rate_limit=0)
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocked:
        mount(hubspot, mocked)
        yield Workshop(hubspot, clock)


class PowerCutError(BaseException):
    """The process is gone at this very moment; nothing of ours catches it."""


@dataclass
class Waits:
    """A RateLimiter that asks for these waits, then lets everything through."""

    seconds: list[float]

    def reserve(self, _account_id: str) -> float:
        return self.seconds.pop(0) if self.seconds else 0.0


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


def test_a_page_job_fetches_one_page_and_says_so_once(shop: Workshop) -> None:
    shop.exporter().run_slice(shop.add_job(kind=JobKind.PAGE, limit=10, page_size=10))
    assert (shop.job().status, shop.job().progress.records, shop.calls()) == (JobStatus.SUCCEEDED, 10, 1)
    assert shop.news.told == [JobStatus.SUCCEEDED]


def test_the_last_call_asks_only_for_what_is_left_of_the_limit(shop: Workshop) -> None:
    shop.exporter().run_slice(shop.add_job(limit=250))
    assert shop.stored_ids() == shop.ids_in_hubspot()[:250]
    assert [dict(call.query)["count"] for call in shop.hubspot.journal.calls if call.type == "contacts"] == [
        "100",
        "100",
        "50",
    ]


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
    assert [job.job_id for job in shop.jobs.take_unpublished(quiet_s=60, limit=9)] == ["j1"]


def test_a_failing_call_is_tried_again_and_its_tries_are_counted_per_page(shop: Workshop) -> None:
    shop.hubspot.fail_next("bad_gateway", type="contacts", times=1, after=1)
    shop.hubspot.fail_next("reset", type="contacts", times=1, after=3)
    shop.exporter().run_slice(shop.add_job())
    assert (shop.job().status, shop.job().attempts, shop.calls()) == (JobStatus.SUCCEEDED, 1, PAGES + 2)
    assert shop.stored_ids() == shop.ids_in_hubspot()
    assert [0.5 <= wait <= 1.0 for wait in shop.stopping.waits] == [True, True]


def test_a_long_wait_leaves_the_worker_free_and_the_job_waiting(shop: Workshop) -> None:
    shop.hubspot.fail_next("ten_secondly", type="contacts", after=1)
    job_id = shop.add_job()
    shop.exporter().run_slice(job_id)
    waiting = shop.job()
    assert (waiting.status, waiting.lease, waiting.attempts) == (JobStatus.WAITING, None, 1)
    assert waiting.resume_at == shop.clock() + timedelta(seconds=10)
    assert shop.news.told[-1] is JobStatus.WAITING
    assert shop.jobs.take_unpublished(quiet_s=60, limit=9) == []

    shop.exporter().run_slice(job_id)
    assert shop.calls() == 2

    shop.clock.advance(10)
    assert [job.job_id for job in shop.jobs.take_unpublished(quiet_s=60, limit=9)] == [job_id]
    shop.exporter().run_slice(job_id)
    assert (shop.job().status, shop.job().resumes, shop.calls()) == (JobStatus.SUCCEEDED, 0, PAGES + 1)


def test_a_call_that_never_works_ends_the_job_in_hubspots_words_with_its_pages_kept(shop: Workshop) -> None:
    shop.hubspot.fail_next("internal_json", type="contacts", after=2, times=None)
    job_id = shop.add_job()
    while shop.job().status in {JobStatus.QUEUED, JobStatus.WAITING}:
        shop.clock.advance(600)
        shop.exporter().run_slice(job_id)
    failed = shop.job()
    assert (failed.status, failed.attempts, failed.progress.records) == (JobStatus.FAILED, 12, 200)
    assert failed.error is not None
    assert failed.error.hubspot is not None
    assert (failed.error.code, failed.error.retryable, failed.error.hubspot.status) == ("hubspot_error", True, 500)
    assert shop.stored_ids() == shop.ids_in_hubspot()[:200]


def test_patience_that_hubspot_asks_for_is_no_failure_however_often(shop: Workshop) -> None:
    shop.hubspot.fail_next("ten_secondly", type="contacts", after=1, times=30)
    job_id = shop.add_job()
    while not shop.job().status.is_terminal:
        shop.exporter().run_slice(job_id)
        shop.clock.advance(11)
    assert (shop.job().status, shop.calls()) == (JobStatus.SUCCEEDED, PAGES + 30)


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
        shop.clock.advance(91)
    shop.exporter().run_slice(job_id)
    failed = shop.job()
    assert failed.error is not None
    assert (failed.status, failed.error.code, failed.resumes, shop.calls()) == (JobStatus.FAILED, "internal", 3, 3)


def test_workers_that_end_after_some_progress_are_not_counted_together(shop: Workshop) -> None:
    def cut() -> None:
        raise PowerCutError

    job_id = shop.add_job()
    for _ in range(4):
        with pytest.raises(PowerCutError):
            shop.exporter(source=Interrupted(shop.source, after_call=2, happening=cut)).run_slice(job_id)
        shop.clock.advance(91)
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

        def fetch_page(self, query: PageQuery, access_token: SecretStr) -> Page:
            return self.source.fetch_page(replace(query, count=100), access_token)

    shop.exporter(source=Generous(shop.source)).run_slice(shop.add_job(limit=130, page_size=30))
    assert (shop.job().status, shop.job().progress.records) == (JobStatus.SUCCEEDED, 130)
    assert shop.stored_ids() == shop.ids_in_hubspot()[:130]


def test_who_waits_for_a_page_is_not_kept_waiting_for_long(shop: Workshop) -> None:
    shop.hubspot.fail_next("unavailable", type="contacts", times=None)
    shop.exporter().run_slice(shop.add_job(kind=JobKind.PAGE, limit=10, page_size=10))
    assert (shop.job().status, shop.calls()) == (JobStatus.FAILED, 3)
    assert sum(shop.stopping.waits) < 3


def test_an_access_token_that_ends_in_the_middle_is_renewed(shop: Workshop) -> None:
    early = Interrupted(shop.source, after_call=2, happening=shop.end_access_tokens)
    shop.exporter(source=early).run_slice(shop.add_job())
    assert (shop.job().status, shop.calls("token")) == (JobStatus.SUCCEEDED, 2)
    assert shop.stored_ids() == shop.ids_in_hubspot()


def test_a_token_is_renewed_before_its_end_without_a_refused_call(shop: Workshop) -> None:
    later = Interrupted(shop.source, after_call=2, happening=lambda: shop.clock.advance(1745))
    shop.exporter(source=later).run_slice(shop.add_job())
    assert (shop.job().status, shop.calls("token"), shop.calls()) == (JobStatus.SUCCEEDED, 2, PAGES)


def test_a_token_that_is_refused_twice_in_a_row_ends_the_job(shop: Workshop) -> None:
    shop.hubspot.fail_next("unauthenticated", type="contacts", times=None)
    shop.exporter().run_slice(shop.add_job())
    assert (shop.job().status, shop.calls(), shop.calls("token")) == (JobStatus.FAILED, 2, 2)


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


def test_a_token_that_was_removed_meanwhile_ends_the_job(shop: Workshop) -> None:
    shop.lose_the_tokens()
    shop.exporter().run_slice(shop.add_job())
    assert shop.job().error is not None
    assert (shop.job().status, shop.calls()) == (JobStatus.FAILED, 0)


def test_a_short_wait_for_the_limiter_is_sat_out_and_a_long_one_is_not(shop: Workshop) -> None:
    shop.exporter(limiter=Waits([0.0, 1.5, 9.0])).run_slice(shop.add_job())
    assert (shop.job().status, shop.job().reason, shop.job().attempts) == (JobStatus.WAITING, "rate_limit", 1)
    assert (shop.stopping.waits, shop.calls()) == ([1.5], 1)


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

    shop.clock.advance(91)
    shop.exporter(worker="w2").run_slice(job_id)
    assert (shop.job().status, shop.job().resumes, shop.calls()) == (JobStatus.SUCCEEDED, 1, PAGES + 1)
    assert shop.stored_ids() == shop.ids_in_hubspot()


def test_a_worker_that_slept_past_its_lease_can_write_nothing_any_more(shop: Workshop) -> None:
    job_id = shop.add_job()

    def be_overtaken() -> None:
        shop.clock.advance(91)
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
    shop.clock.advance(91)
    assert len(shop.jobs.take_unpublished(quiet_s=60, limit=9)) == 1
    shop.exporter().run_slice(job_id)
    assert shop.stored_ids() == shop.ids_in_hubspot()
