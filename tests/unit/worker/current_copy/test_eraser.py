"""Eraser: a record leaves the copy and every page for good, whatever runs or dies meanwhile."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

import pytest
from structlog.testing import capture_logs

from tests.fakes.clock import ManualClock
from tests.fakes.stores import InMemoryPageStore
from tests.unit.worker.current_copy.test_writer import COPY, Listing, Pages, came_to, changes, ids, listed, survived
from tests.unit.worker.mortal import Mortal, PowerCutError
from tests.unit.worker.workshop import LEASE_S, Interrupted, Workshop
from worker.current_copy.interfaces import Transactions
from worker.current_copy.record import Shown
from worker.errors import StoreUnavailableError
from worker.export.context import SliceLimits
from worker.jobs.job import Job
from worker.jobs.receipt import Receipt
from worker.jobs.status import JobKind, JobStatus
from worker.lifecycle.completion import with_erased
from worker.records.erasure import Erasure, Rewrite
from worker.records.types import CONTACTS

PAGES: Pages = [[1, 2, 3], [4, 5], [6, 7, 8]]
ALL = [1, 2, 3, 4, 5, 6, 7, 8]
CALLS_END_WITHIN_S = 600
SLOW_S = 6
T = TypeVar("T")


def erase(shop: Workshop, record_id: int, *, within_s: float = 60) -> bool:
    return shop.eraser().erase(COPY, record_id, requested_by="u1", within_s=within_s)


def finish(shop: Workshop) -> Erasure:
    """Sweep until the erasure is finished."""
    for _ in range(50):
        shop.clock.advance(CALLS_END_WITHIN_S + 1)
        shop.eraser().recover_interrupted()
        if shop.erasures.all[-1].finished_at is not None:
            return shop.erasures.all[-1]
    raise AssertionError("the erasure comes to no end")


def export(shop: Workshop, pages: Pages = PAGES, *, kind: JobKind = JobKind.EXPORT) -> Job:
    """Do an ordinary export of these pages."""
    job_id = shop.add_job(kind=kind)
    shop.exporter(source=Listing(pages)).run_slice(job_id)
    return shop.job(job_id)


def exports(shop: Workshop) -> list[Job]:
    return [job for job in shop.jobs.all if job.kind is JobKind.EXPORT]


def stored(shop: Workshop, job_id: str = "j1") -> list[int]:
    """Return the ids of all records in a job's pages."""
    records = shop.pages.read(job_id, CONTACTS, start=0, limit=10_000).records
    return [json.loads(record)["vid"] for record in records]


def checksum(numbers: list[int]) -> str:
    total = sum(int.from_bytes(hashlib.sha256(str(number).encode()).digest(), "big") for number in numbers)
    return f"sha256-sum:{total % 2**256:064x}"


def receipt(shop: Workshop, job_id: str = "j1") -> Receipt:
    """Return a job's receipt as the API shows it."""
    (job,) = with_erased([shop.job(job_id)], jobs=shop.jobs, pages=shop.pages)
    assert job.receipt is not None
    return job.receipt.without(job.erased)


def test_a_record_goes_from_the_copy_and_from_every_page(shop: Workshop) -> None:
    listed(shop, *PAGES)
    (synced,) = (job.job_id for job in exports(shop))
    export(shop)

    with capture_logs() as logs:
        assert erase(shop, 5)
        erasure = finish(shop)

    assert ids(shop, Shown.ALL) == stored(shop) == stored(shop, synced) == [1, 2, 3, 4, 6, 7, 8]
    assert (erasure.was_in_copy, erasure.pages, erasure.jobs, erasure.requested_by) == (True, 2, 2, "u1")
    (asked, done) = (log for log in logs if log["event"] in {"erasure_requested", "record_erased"})
    facts = {"account_id": "a1", "type": "contacts", "record_id": 5, "uid": "u1", "erasure_id": erasure.erasure_id}
    assert facts.items() <= asked.items()
    assert (facts | {"in_copy": True, "pages": 2, "jobs": 2}).items() <= done.items()


def test_receipts_say_what_was_erased_and_hold_for_what_is_left(shop: Workshop) -> None:
    whole = receipt(shop, export(shop).job_id)
    assert (whole.complete, whole.erased, whole.checksum) == (True, 0, checksum(ALL))
    for number in (1, 5):
        erase(shop, number)
    left = receipt(shop)
    assert (left.complete, left.erased, left.records, left.distinct_ids) == (True, 2, 8, 8)
    assert left.checksum == checksum(stored(shop))


def test_what_is_not_there_is_erased_as_well_and_written_down(shop: Workshop) -> None:
    export(shop)
    assert erase(shop, 99)
    erasure = finish(shop)
    assert (erasure.was_in_copy, erasure.pages, erasure.jobs) == (False, 0, 0)
    assert stored(shop) == ALL


def test_erasing_twice_counts_once_of_each_job(shop: Workshop) -> None:
    export(shop)
    assert erase(shop, 5)
    assert erase(shop, 5)
    assert [erasure.pages for erasure in shop.erasures.all] == [1, 0]
    assert receipt(shop).erased == 1


def test_a_record_that_came_twice_goes_wherever_it_is(shop: Workshop) -> None:
    export(shop, [[1, 2, 2], [2, 3]])
    erase(shop, 2)
    assert (stored(shop), receipt(shop).erased, receipt(shop).checksum) == ([1, 3], 3, checksum([1, 3]))
    assert (shop.erasures.all[0].pages, shop.erasures.all[0].jobs) == (2, 1)


# While something runs


def test_a_page_under_way_does_not_bring_an_erased_record_back(shop: Workshop) -> None:
    listed(shop, *PAGES)
    shop.clock.advance(1)
    job_id = shop.add_sync("running")
    erasing = Interrupted(Listing(PAGES), after_call=2, happening=lambda: erase(shop, 5))

    shop.exporter(source=erasing).run_slice(job_id)

    assert stored(shop, job_id) == ids(shop, Shown.ALL) == [1, 2, 3, 4, 6, 7, 8]
    assert changes(shop, job_id) == came_to(unchanged=7)
    found = receipt(shop, job_id)
    assert (found.complete, found.erased, found.checksum) == (True, 1, checksum([1, 2, 3, 4, 6, 7, 8]))


def test_what_a_sync_leaves_out_is_counted_once_though_its_worker_dies(shop: Workshop) -> None:
    listed(shop, *PAGES)
    erase(shop, 5)
    for at_call in range(1, 12):
        job_id = survived(shop, PAGES, Mortal(shop.jobs, at_call, is_late=False), "jobs")
        assert changes(shop, job_id) == came_to(unchanged=7), f"in call {at_call}"


def test_a_page_that_someone_waits_for_comes_without_what_is_being_erased(shop: Workshop) -> None:
    erase(shop, 2)
    job = export(shop, [[1, 2, 3]], kind=JobKind.PAGE)
    assert (job.status, stored(shop), receipt(shop).erased) == (JobStatus.SUCCEEDED, [1, 3], 1)


@dataclass
class Preceding:
    """Transactions, with something happening right before the n-th of them."""

    transactions: Transactions
    before: int
    happening: Callable[[], object]

    def run(self, work: Callable[[], T]) -> T:
        self.before -= 1
        if self.before == 0:
            self.happening()
        return self.transactions.run(work)


def test_a_page_that_is_just_being_copied_heeds_an_erasure(shop: Workshop) -> None:
    job_id = shop.add_sync("running")
    eraser = shop.eraser()
    shop.transactions = Preceding(
        shop.transactions, before=1, happening=lambda: eraser.erase(COPY, 2, requested_by="u1", within_s=60)
    )
    shop.exporter(source=Listing(PAGES)).run_slice(job_id)
    assert ids(shop, Shown.ALL) == stored(shop, job_id) == [1, 3, 4, 5, 6, 7, 8]
    assert changes(shop, job_id) == came_to(created=7)


def test_a_waiting_job_does_not_bring_a_record_back_from_its_stored_pages(shop: Workshop) -> None:
    job_id = shop.add_sync("waiting")
    shop.exporter(source=Listing(PAGES), limits=SliceLimits(pages=2)).run_slice(job_id)
    erase(shop, 2)
    shop.exporter(source=Listing(PAGES)).run_slice(job_id)
    assert stored(shop, job_id) == ids(shop, Shown.ALL) == [1, 3, 4, 5, 6, 7, 8]
    assert receipt(shop, job_id).complete


def test_a_later_sync_brings_what_hubspot_still_has(shop: Workshop) -> None:
    listed(shop, *PAGES)
    erase(shop, 2)
    assert listed(shop, *PAGES, after_s=1) == came_to(unchanged=7)
    assert 2 not in ids(shop, Shown.ALL)
    (tombstone,) = shop.records.read(COPY, shown=Shown.DELETED, since=None, after=None, limit=9)
    assert (tombstone.record_id, tombstone.body) == (2, b"null")
    finish(shop)
    assert listed(shop, *PAGES) == came_to(created=1, unchanged=7)
    assert ids(shop) == ALL


def test_a_page_that_a_dead_worker_left_behind_is_found_by_the_second_pass(shop: Workshop) -> None:
    job_id = shop.add_job()

    def die() -> None:
        erase(shop, 5)
        raise PowerCutError

    shop.pages = Mortal(shop.pages, 2, is_late=True)  # type: ignore[assignment]
    with suppress(PowerCutError):
        shop.exporter(source=Interrupted(Listing(PAGES), after_call=3, happening=die)).run_slice(job_id)
    shop.pages = shop.pages.store  # type: ignore[attr-defined]
    finish(shop)
    assert 5 not in stored(shop)


@pytest.mark.parametrize("comes_again", [True, False])
def test_a_receipt_holds_though_a_page_was_erased_from_that_is_stored_anew(
    shop: Workshop,
    comes_again: bool,  # noqa: FBT001 - HubSpot still has the record, or not
) -> None:
    job_id = shop.add_job()
    shop.pages = Mortal(shop.pages, 2, is_late=True)  # type: ignore[assignment]
    with suppress(PowerCutError):
        shop.exporter(source=Listing(PAGES)).run_slice(job_id)
    shop.pages = shop.pages.store  # type: ignore[attr-defined]
    erase(shop, 5)
    shop.clock.advance(LEASE_S + 1)

    shop.exporter(source=Listing(PAGES if comes_again else [[1, 2, 3], [4], [6, 7, 8]])).run_slice(job_id)

    found = receipt(shop)
    assert stored(shop) == [1, 2, 3, 4, 6, 7, 8]
    assert (found.complete, found.records - found.erased, found.checksum) == (True, 7, checksum(stored(shop)))
    assert found.erased == (1 if comes_again else 0)


def test_ids_that_came_in_no_order_are_still_counted_right(shop: Workshop) -> None:
    pages: Pages = [[5, 1], [9, 3], [7]]
    erasing = Interrupted(Listing(pages), after_call=3, happening=lambda: erase(shop, 9))
    shop.exporter(source=erasing).run_slice(shop.add_job())
    found = receipt(shop)
    assert (found.complete, found.distinct_ids, found.duplicates, found.erased) == (True, 5, 0, 1)


@dataclass
class Beside:
    """A store with something happening at its n-th call, before it or right after; `after_each` is called each time."""

    store: Any
    calls_left: int
    is_late: bool
    happening: Callable[[], object]
    after_each: Callable[[], object]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any method of any store
        method = getattr(self.store, name)

        def call(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as above
            self.calls_left -= 1
            if self.calls_left == 0 and not self.is_late:
                self.happening()
            answer = method(*arguments, **named)
            if self.calls_left == 0 and self.is_late:
                self.happening()
            self.after_each()
            return answer

        return call


@pytest.mark.parametrize("limits", [SliceLimits(), SliceLimits(pages=1)])
@pytest.mark.parametrize("which", ["jobs", "pages", "erasures"])
def test_whenever_a_record_is_erased_no_page_with_it_is_ever_counted(
    shop: Workshop, which: str, limits: SliceLimits
) -> None:
    """The eraser works with the stores themselves, at every point between two calls of the worker."""
    eraser, jobs, pages, moments = shop.eraser(), shop.jobs, shop.pages, 0
    inner = getattr(shop, which)
    for number in count(2):
        job_id, erased = shop.add_job(job_id=f"j{number}"), list[bool]()

        def erase_now(erased: list[bool] = erased) -> None:
            erased.append(eraser.erase(COPY, 5, requested_by="u1", within_s=60))

        def look(job_id: str = job_id, erased: list[bool] = erased) -> None:
            limit = jobs.get(job_id, account_id="a1").readable
            found = pages.read(job_id, CONTACTS, start=0, limit=limit).records
            assert not erased or 5 not in [json.loads(record)["vid"] for record in found]

        setattr(shop, which, Beside(inner, number // 2, bool(number % 2), erase_now, look))
        while not jobs.get(job_id, account_id="a1").status.is_terminal:
            shop.exporter(source=Listing(PAGES), limits=limits).run_slice(job_id)
        setattr(shop, which, inner)
        if not erased:
            break
        look()
        found = receipt(shop, job_id)
        assert (erased, found.complete, found.checksum) == ([True], True, checksum(stored(shop, job_id)))
        finish(shop)
        moments += 1
    assert moments >= {"jobs": 10, "pages": 8, "erasures": 4}[which]


def test_a_slice_asks_twice_for_what_is_being_erased_however_many_pages_it_has(shop: Workshop) -> None:
    beside = Beside(shop.erasures, 0, is_late=False, happening=object, after_each=object)
    shop.erasures = beside  # type: ignore[assignment]
    export(shop, [[number] for number in range(1, 41)])
    assert beside.calls_left == -2


# Whatever dies in between, and however long it takes


def deaths(store: object) -> Iterator[Mortal]:
    """Yield deaths, each a little later, until one is not reached."""
    for number in count(2):
        death = Mortal(store, number // 2, is_late=bool(number % 2))
        yield death
        if death.calls_left > 0:
            assert number > 3, "it has died at every one of its calls"
            return


@pytest.mark.parametrize("which", ["erasures", "records", "pages", "transactions", "jobs"])
def test_wherever_an_eraser_dies_the_rest_is_made_up_for_and_counted_once(shop: Workshop, which: str) -> None:
    for death in deaths(getattr(shop, which)):
        shop.records.clear()
        listed(shop, *PAGES)
        listed(shop, *PAGES)
        setattr(shop, which, death)
        with suppress(PowerCutError):
            erase(shop, 5)
        setattr(shop, which, death.store)
        if not shop.erasures.all or shop.erasures.all[-1].finished_at is not None:
            erase(shop, 5)  # it was not even written down, and whoever asked asks again

        erasure = finish(shop)

        assert (erasure.was_in_copy, erasure.pages, erasure.jobs) == (True, 2, 2)
        assert 5 not in ids(shop, Shown.ALL)
        for job in exports(shop)[-2:]:
            assert (stored(shop, job.job_id), receipt(shop, job.job_id).erased) == ([1, 2, 3, 4, 6, 7, 8], 1)


def test_what_takes_too_long_is_left_to_the_sweeper(shop: Workshop) -> None:
    export(shop)
    assert not erase(shop, 5, within_s=0)
    shop.clock.advance(2)
    shop.eraser().recover_interrupted()
    assert 5 not in stored(shop)


@dataclass
class Slow:
    """A page store that takes time for every page that is read."""

    store: InMemoryPageStore
    clock: ManualClock
    looked_into: list[int] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any other method
        return getattr(self.store, name)

    def without(self, erasure: Erasure, job_id: str, number: int) -> Rewrite | None:
        self.clock.advance(SLOW_S)
        self.looked_into.append(number)
        return self.store.without(erasure, job_id, number)


def test_an_erasure_ends_though_no_sweep_is_long_enough_for_all_pages(shop: Workshop) -> None:
    pages: Pages = [[number, 1000 - number] for number in range(1, 13)]
    export(shop, pages)
    slow = Slow(shop.pages, shop.clock)
    shop.pages = slow  # type: ignore[assignment]

    assert not erase(shop, 500, within_s=SLOW_S)
    finish(shop)

    assert slow.looked_into == [*range(12), *range(12)]


def test_one_turn_does_all_that_is_due(shop: Workshop) -> None:
    export(shop)
    for number in (1, 5, 8):
        assert not erase(shop, number, within_s=0)
    shop.clock.advance(2)
    shop.eraser().recover_interrupted()
    assert [erasure.looks for erasure in shop.erasures.all] == [1, 1, 1]
    assert stored(shop) == [2, 3, 4, 6, 7]


def test_a_turn_ends_when_its_time_is_over(shop: Workshop) -> None:
    export(shop)
    for number in (1, 5, 8):
        assert not erase(shop, number, within_s=0)
    shop.pages = Slow(shop.pages, shop.clock)  # type: ignore[assignment]
    shop.clock.advance(2)
    shop.eraser().recover_interrupted()
    assert [erasure.looks for erasure in shop.erasures.all] == [1, 0, 0]


def test_a_database_that_goes_away_in_the_middle_is_no_refusal(shop: Workshop) -> None:
    export(shop)
    shop.records.is_away = True
    assert not erase(shop, 5)
    shop.records.is_away = False
    finish(shop)
    assert 5 not in stored(shop)


def test_what_cannot_be_written_down_is_refused(shop: Workshop) -> None:
    shop.erasures.is_away = True
    with pytest.raises(StoreUnavailableError):
        erase(shop, 5)
    assert shop.erasures.all == []


def test_with_nothing_to_do_nothing_is_done(shop: Workshop) -> None:
    shop.eraser().recover_interrupted()
    assert shop.erasures.all == []
