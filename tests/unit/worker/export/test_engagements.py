"""Engagements from the dated API's five lists, through whole jobs: what they cost, and what is left when one dies."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field, replace
from datetime import timedelta

import msgspec
import pytest
from pydantic import SecretStr

from tests.fakes.executor import HeldTasks, PowerCutError
from tests.unit.worker.hubspot.dated.activities.kind_lists import KINDS, ListsInMemory, refusal
from tests.unit.worker.workshop import LEASE_S, Workshop
from worker.export.context import SliceLimits
from worker.export.interfaces import CrmSource, FetchedPage, PageQuery
from worker.hubspot.dated.activities.client import ActivitiesClient
from worker.hubspot.dated.activities.kinds import KindLists
from worker.jobs.receipt import Receipt
from worker.jobs.status import JobKind, JobStatus
from worker.lifecycle.actions import JobActions
from worker.records.types import NOTES

RECORDS, PAGE, LANES = 1500, 20, 6


@dataclass
class Feed:
    """A CrmSource of engagements, 70 % of them e-mails; each process that reads it has a client of its own."""

    shop: Workshop
    lists: ListsInMemory
    queries: list[PageQuery] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Lose what is kept, as another process has nothing of it."""
        self.client = ActivitiesClient(
            KindLists(self.lists), legacy={}, kinds=KINDS, monotonic=lambda: self.shop.clock().timestamp()
        )

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:
        self.queries.append(query)
        return self.client.fetch_page(query, access_token)

    @property
    def calls(self) -> int:
        return len(self.lists.asked)

    @property
    def least_calls(self) -> int:
        return sum(math.ceil(len(ids) / PAGE) for ids in self.lists.ids.values())

    def ids(self, *, without: str = "") -> list[int]:
        return sorted(each for kind, ids in self.lists.ids.items() if kind != without for each in ids)

    def found(self) -> list[int]:
        job = self.shop.job()
        records = self.shop.pages.read("j1", NOTES, start=0, limit=job.progress.records).records
        return [msgspec.json.decode(record)["engagement"]["id"] for record in records]

    @property
    def receipt(self) -> Receipt:
        found = self.shop.job().receipt
        assert found is not None
        return found


@pytest.fixture
def feed(shop: Workshop) -> Feed:
    dice = random.Random(3)  # noqa: S311 - the same every time
    kinds = [dice.choice([*KINDS, *["emails"] * 5]) for _ in range(RECORDS)]
    ids = {kind: [1000 + 3 * place for place, of in enumerate(kinds) if of == kind] for kind in KINDS}
    return Feed(shop, ListsInMemory(ids))


def test_an_export_counts_its_calls_by_what_they_were_and_makes_few_more_than_it_must(feed: Feed) -> None:
    feed.shop.add_job(export_type=NOTES, page_size=PAGE)

    feed.shop.exporter(source=feed, api="dated").run_slice("j1")

    job = feed.shop.job()
    assert (job.status, feed.receipt.complete) == (JobStatus.SUCCEEDED, True), feed.receipt.incomplete_because
    assert feed.found() == feed.ids()
    assert feed.calls <= feed.least_calls + len(KINDS)
    assert feed.receipt.calls == {"200": feed.calls}
    assert feed.receipt.calls_by_kind == {"list": feed.calls}
    assert job.pages_fetched == job.progress.pages == math.ceil(RECORDS / PAGE)


def test_a_page_that_takes_no_call_counts_none(feed: Feed) -> None:
    feed.lists.ids = {kind: range(1 + place, 400, len(KINDS)) for place, kind in enumerate(KINDS)}
    feed.shop.add_job(export_type=NOTES, page_size=PAGE)

    feed.shop.exporter(source=feed, api="dated").run_slice("j1")

    assert feed.found() == feed.ids()
    assert feed.receipt.calls == {"200": feed.calls}
    assert feed.receipt.calls_by_kind == {"list": feed.calls}


@pytest.mark.parametrize("seed", range(4))
def test_lanes_read_every_engagement_once_with_few_calls_more(feed: Feed, seed: int) -> None:
    feed.shop.add_job(export_type=NOTES, page_size=PAGE)
    tasks = HeldTasks(random.Random(seed), on_pause=feed.shop.clock.advance)  # noqa: S311 - the same every time

    feed.shop.exporter(source=feed, api="dated", lanes=LANES, tasks=tasks).run_slice("j1")

    job = feed.shop.job()
    assert (job.status, job.unsplit_because) == (JobStatus.SUCCEEDED, None), job.error
    assert feed.receipt.complete, feed.receipt.incomplete_because
    assert feed.found() == feed.ids()
    assert feed.calls <= 1.1 * feed.least_calls + len(KINDS) * LANES
    assert feed.receipt.calls == {"200": feed.calls}


@pytest.mark.parametrize("seed", range(12))
def test_wherever_a_worker_dies_the_last_ids_are_enough_to_go_on(feed: Feed, seed: int) -> None:
    feed.shop.add_job(export_type=NOTES, page_size=PAGE)
    dice = random.Random(seed)  # noqa: S311 - the same every time
    while not feed.shop.job().status.is_terminal:
        feed.restart()
        tasks = HeldTasks(dice, on_pause=feed.shop.clock.advance, gone_after=dice.randrange(5, 120))
        lanes = dice.choice([1, LANES])
        try:
            feed.shop.exporter(source=feed, api="dated", lanes=lanes, tasks=tasks).run_slice("j1")
        except PowerCutError:
            feed.shop.clock.advance(LEASE_S + 1)

    assert feed.receipt.complete, feed.receipt.incomplete_because
    assert feed.found() == feed.ids()


def test_a_refused_kind_is_asked_once_and_costs_no_other(feed: Feed) -> None:
    feed.lists.errors["emails"] = refusal(message="sales-email-read is missing")
    feed.shop.add_job(export_type=NOTES, page_size=PAGE)

    feed.shop.exporter(source=feed, api="dated").run_slice("j1")

    assert feed.shop.job().status is JobStatus.SUCCEEDED
    assert feed.found() == feed.ids(without="emails")
    assert feed.lists.calls["emails"] == 1
    assert feed.receipt.calls == {"200": feed.calls - 1, "403": 1}
    assert (feed.receipt.complete, feed.receipt.left_out) == (False, {"emails": "sales-email-read is missing"})


def test_in_lanes_a_refused_kind_is_named_whichever_of_them_is_refused(feed: Feed) -> None:
    feed.shop.add_job(export_type=NOTES, page_size=PAGE)
    feed.shop.exporter(source=feed, api="dated", lanes=LANES, limits=SliceLimits(pages=5)).run_slice("j1")
    feed.lists.errors["emails"] = refusal()

    while not feed.shop.job().status.is_terminal:
        feed.shop.exporter(source=feed, api="dated", lanes=LANES).run_slice("j1")

    assert feed.shop.job().status is JobStatus.SUCCEEDED
    assert set(feed.found()) > set(feed.ids(without="emails"))
    assert feed.lists.calls["emails"] < feed.least_calls / 4
    assert (feed.receipt.complete, set(feed.receipt.left_out)) == (False, {"emails"})


def test_with_every_kind_refused_the_job_fails_as_it_does_with_one_list(feed: Feed) -> None:
    feed.lists.errors.update({kind: refusal() for kind in KINDS})
    feed.shop.add_job(export_type=NOTES, page_size=PAGE)

    feed.shop.exporter(source=feed, api="dated").run_slice("j1")

    job = feed.shop.job()
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert job.error.hubspot is not None
    assert job.error.hubspot.status == 403


def test_a_retry_asks_a_refused_kind_again_and_still_says_what_is_missing(feed: Feed) -> None:
    shop = feed.shop
    feed.lists.errors["emails"] = refusal(message="no scope")
    shop.add_job(export_type=NOTES, page_size=PAGE)
    shop.exporter(source=feed, api="dated", limits=SliceLimits(pages=3)).run_slice("j1")
    feed.lists.errors["calls"] = refusal(400)
    shop.exporter(source=feed, api="dated").run_slice("j1")
    assert shop.job().status is JobStatus.FAILED
    feed.lists.errors.clear()

    JobActions(
        jobs=shop.jobs, pages=shop.pages, queue=shop.queue, result_ttl=timedelta(days=30), clock=shop.clock
    ).retry("j1", account_id="a1")
    while not shop.job().status.is_terminal:
        shop.exporter(source=feed, api="dated").run_slice("j1")

    assert shop.job().status is JobStatus.SUCCEEDED
    assert set(feed.ids(without="emails")) < set(feed.found()) < set(feed.ids())
    assert feed.receipt.left_out == {"emails": "before a retry: no scope"}
    assert not feed.receipt.complete


def test_who_asks_for_each_page_by_itself_profits_from_what_is_kept(feed: Feed) -> None:
    offset: int | str | None = None
    for number in range(10):
        job_id = f"p{number}"
        feed.shop.add_job(export_type=NOTES, page_size=PAGE, job_id=job_id, kind=JobKind.PAGE, offset=offset)
        feed.shop.exporter(source=feed, api="dated").run_slice(job_id)
        offset = feed.shop.job(job_id).progress.offset

    assert feed.calls < 2 * 10


# How old what is kept may be for a sync


def test_nothing_is_kept_from_before_a_sync_began(feed: Feed) -> None:
    shop = feed.shop
    job_id = shop.add_sync(types=(NOTES,), page_size=PAGE)
    for wait_s, pages in ((5, 2), (30, 1), (300, 1)):
        shop.clock.advance(wait_s)
        shop.exporter(source=feed, api="dated", limits=SliceLimits(pages=pages)).run_slice(job_id)

    assert [query.kept_for_s for query in feed.queries] == [0.0, 0.0, 29.0, 60.0]


def test_what_a_slice_has_asked_for_itself_is_kept_from_its_first_page_on(feed: Feed) -> None:
    class Slow:
        def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:
            feed.shop.clock.advance(0.2)
            return feed.fetch_page(query, access_token)

    job_id = feed.shop.add_sync(types=(NOTES,), page_size=PAGE)
    feed.shop.exporter(source=Slow(), api="dated", limits=SliceLimits(pages=3)).run_slice(job_id)

    assert [round(query.kept_for_s, 1) for query in feed.queries] == [0.0, 0.2, 0.4]
    assert feed.calls <= len(KINDS) + 3


@dataclass
class Older:
    """A CrmSource whose pages rest on answers from a while ago."""

    source: CrmSource
    asked_s_ago: float

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:
        return replace(self.source.fetch_page(query, access_token), asked_s_ago=self.asked_s_ago)


class Changed(ListsInMemory):
    @staticmethod
    def record(record_id: int) -> msgspec.Raw:
        return msgspec.Raw(msgspec.json.encode({"id": str(record_id), "properties": {"hs_note_body": "changed"}}))


@pytest.mark.parametrize(("asked_s_ago", "changed"), [(7.0, 0), (2.0, 3)])
def test_a_page_says_nothing_of_what_has_changed_since_its_oldest_answer(
    shop: Workshop, asked_s_ago: float, changed: int
) -> None:
    ids = {"notes": [1, 2, 3]}
    shop.exporter(source=Feed(shop, ListsInMemory(ids)), api="dated").run_slice(shop.add_sync("s1", types=(NOTES,)))
    shop.clock.advance(3)

    job_id = shop.add_sync("s2", types=(NOTES,))
    shop.exporter(source=Older(Feed(shop, Changed(ids)), asked_s_ago), api="dated").run_slice(job_id)

    found = shop.job(job_id).changes
    assert found is not None
    assert found.changed == changed
