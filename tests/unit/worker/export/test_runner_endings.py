"""Exporter: cancelling, going on after a retry, and the receipt that every ending leaves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from pydantic import SecretStr

from tests.fakes.stores import InMemoryPageStore
from tests.unit.worker.workshop import HUB, LEASE_S, PAGES, RECORDS, Interrupted, Workshop
from worker.export.context import SliceLimits
from worker.export.interfaces import CrmSource, FetchedPage, PageQuery
from worker.jobs.job import Job
from worker.jobs.page_runs import PageRun
from worker.jobs.receipt import Receipt
from worker.jobs.status import JobKind, JobStatus
from worker.lifecycle.actions import JobActions
from worker.records.page import Page, split_records


def control(shop: Workshop) -> JobActions:
    return JobActions(
        jobs=shop.jobs, pages=shop.pages, queue=shop.queue, result_ttl=timedelta(days=30), clock=shop.clock
    )


def cancel(shop: Workshop) -> Job:
    return control(shop).cancel("j1", account_id="a1")


def retry(shop: Workshop) -> Job:
    return control(shop).retry("j1", account_id="a1")


def receipt(shop: Workshop) -> Receipt:
    found = shop.job().receipt
    assert found is not None
    return found


# Cancelling


def test_a_running_job_stops_at_its_next_page_with_its_pages_kept(shop: Workshop) -> None:
    source = Interrupted(shop.source, after_call=2, happening=lambda: cancel(shop))
    shop.exporter(source=source).run_slice(shop.add_job())
    asked_for_meanwhile = 1  # the third page, while the second one was being stored
    assert (shop.job().status, shop.job().progress.pages) == (JobStatus.CANCELLED, 2 + asked_for_meanwhile)
    assert shop.calls() == shop.job().progress.pages
    assert shop.pages.expiries("j1") == {shop.job().expires_at}
    assert shop.stored_ids() == shop.ids_in_hubspot()[:300]
    assert shop.news.told[-1] is JobStatus.CANCELLED


def test_a_job_that_nobody_works_on_is_cancelled_at_once(shop: Workshop) -> None:
    job_id = shop.add_job()
    shop.exporter(limits=SliceLimits(pages=2)).run_slice(job_id)
    assert cancel(shop) == shop.job()
    assert shop.job().status is JobStatus.CANCELLED
    assert shop.pages.expiries("j1") == {shop.job().expires_at}
    shop.exporter().run_slice(job_id)
    assert shop.calls() == 2


def test_a_cancel_that_the_holder_did_not_live_to_see_is_done_by_the_next(shop: Workshop) -> None:
    def die() -> None:
        cancel(shop)
        raise SystemExit

    job_id = shop.add_job()
    with pytest.raises(SystemExit):
        shop.exporter(source=Interrupted(shop.source, after_call=2, happening=die)).run_slice(job_id)
    shop.clock.advance(LEASE_S + 1)
    shop.exporter().run_slice(job_id)
    assert (shop.job().status, shop.job().progress.pages, shop.calls()) == (JobStatus.CANCELLED, 1, 2)


# Going on


def test_a_cancelled_job_goes_on_from_its_last_stored_page(shop: Workshop) -> None:
    source = Interrupted(shop.source, after_call=2, happening=lambda: cancel(shop))
    shop.exporter(source=source).run_slice(shop.add_job())
    assert retry(shop).status is JobStatus.QUEUED
    assert len(shop.queue.published) == 1
    shop.exporter(limits=SliceLimits(pages=1)).run_slice("j1")
    assert shop.pages.expiries("j1") == {None}
    shop.run_until_finished("j1")
    assert (shop.job().status, shop.job().resumes, shop.calls()) == (JobStatus.SUCCEEDED, 1, PAGES)
    assert shop.stored_ids() == shop.ids_in_hubspot()
    assert receipt(shop).complete


def test_a_failed_job_goes_on_with_fresh_patience(shop: Workshop) -> None:
    shop.hubspot.fail_next("bad_gateway", type="contacts", after=3, times=12)
    shop.run_until_finished(shop.add_job())
    assert shop.job().status is JobStatus.FAILED
    retry(shop)
    shop.run_until_finished("j1")
    assert (shop.job().status, shop.job().error, shop.calls()) == (JobStatus.SUCCEEDED, None, PAGES + 12)
    assert shop.stored_ids() == shop.ids_in_hubspot()


def test_a_job_whose_pages_are_going_already_fetches_all_of_them_anew(shop: Workshop) -> None:
    source = Interrupted(shop.source, after_call=3, happening=lambda: cancel(shop))
    shop.exporter(source=source).run_slice(shop.add_job())
    calls_before = shop.calls()
    retry(shop)
    shop.pages.lose("j1", 1)
    shop.run_until_finished("j1")
    assert (shop.job().status, shop.job().progress.pages) == (JobStatus.SUCCEEDED, PAGES)
    assert shop.calls() == calls_before + PAGES
    assert shop.stored_ids() == shop.ids_in_hubspot()
    assert receipt(shop).complete


# Receipts


def test_an_export_of_everything_proves_that_it_is_whole(shop: Workshop) -> None:
    shop.hubspot.fail_next("bad_gateway", type="contacts", after=1)
    shop.hubspot.fail_next("reset", type="contacts", after=3)
    shop.run_until_finished(shop.add_job(params=(("property", "email"),)))
    ids, proof = shop.ids_in_hubspot(), receipt(shop)
    assert (proof.complete, proof.incomplete_because) == (True, None)
    assert (proof.pages, proof.records, proof.distinct_ids, proof.duplicates) == (PAGES, RECORDS, RECORDS, 0)
    assert (proof.first_id, proof.last_id) == (ids[0], ids[-1])
    assert (proof.offsets.start, proof.offsets.closed) == (None, True)
    assert (proof.calls, proof.retries) == ({"200": PAGES, "502": 1, "none": 1}, {"502": 1, "none": 1})
    assert (proof.api, proof.properties, proof.refetched_pages) == (("legacy",), ("email",), 0)


def test_the_checksum_is_the_same_however_the_pages_were_cut(shop: Workshop) -> None:
    shop.run_until_finished(shop.add_job())
    first = receipt(shop).checksum
    other = Workshop(shop.hubspot, shop.clock)
    other.run_until_finished(other.add_job(page_size=33))
    assert receipt(other).checksum == first


@pytest.mark.parametrize(
    ("request_", "word"), [({"limit": 250}, "limit"), ({"offset": 3}, "offset 3"), ({"limit": 1, "offset": 9}, "; ")]
)
def test_an_export_of_a_part_says_so(shop: Workshop, request_: dict[str, Any], word: str) -> None:
    shop.run_until_finished(shop.add_job(**request_))
    assert shop.job().status is JobStatus.SUCCEEDED
    assert not receipt(shop).complete
    assert word in (receipt(shop).incomplete_because or "")


def test_a_page_that_was_fetched_twice_is_counted_as_that(shop: Workshop) -> None:
    class DyingStore(InMemoryPageStore):
        """It takes the third page, and the worker dies before it hears of it."""

        def add(self, job: Job, page: Page, **told: Any) -> bool:  # noqa: ANN401 - the seam's
            was_there = super().add(job, page, **told)
            if job.progress.pages == 2 and not was_there:
                raise SystemExit
            return was_there

    shop.pages = DyingStore()
    job_id = shop.add_job()
    with pytest.raises(SystemExit):
        shop.exporter().run_slice(job_id)
    shop.clock.advance(LEASE_S + 1)
    shop.run_until_finished(job_id)
    under_way = 1  # the page after it
    assert (receipt(shop).refetched_pages, receipt(shop).complete) == (1, True)
    assert shop.calls() == PAGES + 1 + under_way


@dataclass
class Shuffled:
    """A CrmSource that gives each page's records in another order, and some of them twice."""

    source: CrmSource
    twice: int = 0

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:
        fetched = self.source.fetch_page(query, access_token)
        records = [msgspec.Raw(record) for record in split_records(query.export_type, fetched.page.body)]
        changed = msgspec.json.encode({"contacts": [*reversed(records), *records[: self.twice]]})
        page = replace(fetched.page, body=changed, records=len(records) + self.twice, ids=None)
        return replace(fetched, page=page)


def test_ids_that_come_in_no_order_are_counted_one_by_one(shop: Workshop) -> None:
    shop.exporter(source=Shuffled(shop.source)).run_slice(shop.add_job())
    assert (receipt(shop).complete, receipt(shop).distinct_ids) == (True, RECORDS)


def test_a_count_that_breaks_costs_the_proof_and_not_the_job(shop: Workshop) -> None:
    class Rotten(InMemoryPageStore):
        def all(self, job_id: str, *, counted: Sequence[PageRun] | None = None) -> Iterator[Page]:
            raise ValueError(f"a page of {job_id} in {counted} cannot be read")

    shop.pages = Rotten()
    shop.exporter(source=Shuffled(shop.source)).run_slice(shop.add_job())
    assert (shop.job().status, receipt(shop).complete, receipt(shop).distinct_ids) == (JobStatus.SUCCEEDED, False, None)


def test_records_that_came_twice_are_reported(shop: Workshop) -> None:
    shop.exporter(source=Shuffled(shop.source, twice=2)).run_slice(shop.add_job())
    proof = receipt(shop)
    assert (proof.complete, proof.distinct_ids, proof.duplicates) == (False, RECORDS, 2 * PAGES)


def test_a_failed_job_says_how_far_its_proof_goes(shop: Workshop) -> None:
    shop.hubspot.fail_next("missing_scopes", type="contacts", after=2)
    shop.exporter().run_slice(shop.add_job())
    proof = receipt(shop)
    assert (proof.complete, proof.records, proof.offsets.closed) == (False, 200, False)
    assert "failed" in (proof.incomplete_because or "")
    assert proof.calls == {"200": 2, "403": 1}


def test_a_page_that_someone_waited_for_has_a_receipt_too(shop: Workshop) -> None:
    shop.exporter().run_slice(shop.add_job(kind=JobKind.PAGE, limit=10, page_size=10))
    assert (receipt(shop).records, receipt(shop).complete) == (10, False)
    assert shop.hubspot.accounts[HUB].records["contacts"].ids()[0] == receipt(shop).first_id
