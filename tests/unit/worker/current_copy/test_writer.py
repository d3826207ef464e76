"""CurrentCopy: after every sync the copy is what HubSpot has, and the sync says exactly what has changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import Any, TypeVar

import pytest
from pydantic import SecretStr

from tests.unit.worker.mortal import Mortal, PowerCutError
from tests.unit.worker.workshop import LEASE_S, RECORDS, Workshop
from worker.current_copy.deletion_guard import DeletionGuard
from worker.current_copy.interfaces import Transactions
from worker.current_copy.record import Shown
from worker.errors import RateLimitedError
from worker.export.context import SliceLimits
from worker.export.interfaces import FetchedPage, PageQuery
from worker.jobs.copy_progress import Changes
from worker.jobs.progress import Retention
from worker.jobs.status import JobStatus
from worker.lifecycle.actions import JobActions
from worker.records.page import Page, read_page
from worker.records.types import CONTACTS, CopyId

NO_GUARD = DeletionGuard(share=Decimal(1))
COPY = CopyId(account_id="a1", export_type=CONTACTS)
T = TypeVar("T")
Pages = Sequence[Sequence[int | tuple[int, str]]]
"""Contacts, page by page: an id, or an id and the contact's content."""

_numbers = count(1)


def sync(shop: Workshop) -> Changes:
    """Run a sync, and return the changes that it reports."""
    shop.clock.advance(60)
    job_id = shop.add_sync(f"s{next(_numbers)}")
    shop.run_until_finished(job_id)
    return changes(shop, job_id)


def begun(shop: Workshop, job_id: str) -> str:
    """Submit a sync, a little later than anything before."""
    shop.clock.advance(1)
    return shop.add_sync(job_id)


def changes(shop: Workshop, job_id: str) -> Changes:
    job = shop.job(job_id)
    assert job.status is JobStatus.SUCCEEDED, job.error
    assert job.receipt is not None
    found = job.changes
    assert found is not None
    return found


def came_to(*, created: int = 0, changed: int = 0, unchanged: int = 0, deleted: int = 0, withheld: int = 0) -> Changes:
    return Changes(created=created, changed=changed, unchanged=unchanged, deleted=deleted, withheld=withheld)


def control(shop: Workshop) -> JobActions:
    return JobActions(
        jobs=shop.jobs, pages=shop.pages, queue=shop.queue, result_ttl=timedelta(days=30), clock=shop.clock
    )


def retry_without_pages(shop: Workshop, job_id: str) -> None:
    """Retry a stopped job whose pages have been removed."""
    shop.clock.advance(60)
    control(shop).retry(job_id, account_id="a1")
    before = shop.job(job_id)
    shop.jobs.change(before, replace(before, retention=Retention(pages_expire_at=shop.clock())))
    shop.pages.remove(job_id)


def ids(shop: Workshop, shown: Shown = Shown.LIVING) -> list[int]:
    """Return the ids that the copy holds; of an erased record it holds nothing else."""
    found = shop.records.read(COPY, shown=shown, since=None, after=None, limit=10_000)
    return sorted(record.record_id for record in found if record.erased_at is None)


def contact(shop: Workshop, record_id: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shop.records.find(COPY, record_id).body)
    return found


@dataclass
class Listing:
    """A CrmSource that has these pages."""

    pages: Pages
    before: Callable[[int], object] = field(default=lambda _: None)

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:  # noqa: ARG002 - the seam's
        number = int(query.offset or 0)
        self.before(number)
        pairs = [each if isinstance(each, tuple) else (each, "") for each in self.pages[number]]
        contacts = [{"vid": vid, "says": says} for vid, says in pairs]
        has_more = number + 1 < len(self.pages)
        body = json.dumps({"contacts": contacts, "has-more": has_more, "vid-offset": number + 1})
        return FetchedPage(page=read_page(CONTACTS, body.encode()), api="legacy")


def listed(
    shop: Workshop, *pages: Sequence[int | tuple[int, str]], limits: SliceLimits | None = None, after_s: float = 60
) -> Changes:
    """Do a sync of an account that has these contacts."""
    shop.clock.advance(after_s)
    job_id = shop.add_sync(f"s{next(_numbers)}")
    while not shop.job(job_id).status.is_terminal:
        shop.exporter(source=Listing(pages), limits=limits).run_slice(job_id)
    return changes(shop, job_id)


def test_the_first_sync_copies_everything(shop: Workshop) -> None:
    assert sync(shop) == came_to(created=RECORDS)
    assert ids(shop) == shop.ids_in_hubspot()
    first = shop.records.read(COPY, shown=Shown.LIVING, since=None, after=None, limit=1)[0]
    exported = shop.pages.read(shop.jobs.all[-1].job_id, CONTACTS, start=0, limit=1).records[0]
    assert first.body == exported
    assert first.sync_id == shop.jobs.all[-1].parent_id


def test_a_sync_without_news_writes_no_record(shop: Workshop) -> None:
    sync(shop)
    before = (shop.records.written, shop.records.read(COPY, shown=Shown.ALL, since=None, after=None, limit=1000))
    assert sync(shop) == came_to(unchanged=RECORDS)
    assert (
        shop.records.written,
        shop.records.read(COPY, shown=Shown.ALL, since=None, after=None, limit=1000),
    ) == before


def test_created_changed_and_deleted_records_are_counted_separately(shop: Workshop) -> None:
    sync(shop)
    hubspot = shop.hubspot.accounts[62515].records["contacts"]
    before = hubspot.ids()
    added = hubspot.add(120)
    hubspot.delete([before[0], before[100], before[449]])
    hubspot.touch([before[5], before[250]], at_ms=1_800_000_000_000)

    assert sync(shop) == came_to(created=120, changed=2, unchanged=RECORDS - 5, deleted=3)

    assert ids(shop) == hubspot.ids()
    assert ids(shop, Shown.DELETED) == sorted([before[0], before[100], before[449]])
    assert contact(shop, before[5])["properties"]["lastmodifieddate"]["value"] == "1800000000000"
    latest = shop.records.read(COPY, shown=Shown.ALL, since=shop.clock() - timedelta(seconds=30), after=None, limit=999)
    assert sorted(record.record_id for record in latest) == sorted(
        [*added, before[0], before[100], before[449], before[5], before[250]]
    )
    assert sync(shop) == came_to(unchanged=RECORDS + 117)


def test_a_record_that_is_back_counts_as_created(shop: Workshop) -> None:
    assert listed(shop, [1, 2, 3]) == came_to(created=3)
    assert listed(shop, [1, 3]) == came_to(unchanged=2, deleted=1)
    assert shop.records.find(COPY, 2).deleted_at is not None
    assert listed(shop, [1, 2, 3]) == came_to(created=1, unchanged=2)
    assert shop.records.find(COPY, 2).deleted_at is None
    assert ids(shop) == [1, 2, 3]


def test_deleted_records_are_deleted_once(shop: Workshop) -> None:
    listed(shop, [1, 2, 3])
    listed(shop, [2])
    at = shop.records.find(COPY, 1).changed_at
    assert listed(shop, [2]) == came_to(unchanged=1)
    assert shop.records.find(COPY, 1).changed_at == at


def test_an_account_that_was_emptied_has_an_empty_copy(shop: Workshop) -> None:
    shop.guard = NO_GUARD
    listed(shop, range(1, 1300))
    assert listed(shop, []) == came_to(deleted=1299)
    assert ids(shop) == []


@pytest.mark.parametrize(
    "order",
    [lambda pages: pages, lambda pages: [page[::-1] for page in pages[::-1]], lambda pages: [pages[1], *pages[::2]]],
    ids=["ascending", "descending", "mixed"],
)
def test_what_is_gone_is_noticed_in_whatever_order_hubspot_sends(
    shop: Workshop, order: Callable[[list[list[int]]], list[list[int]]]
) -> None:
    listed(shop, *order([list(range(50)), list(range(50, 100)), list(range(100, 150))]))
    kept = [[n for n in range(first, first + 50) if n % 8] for first in (0, 50, 100)]
    gone = [n for n in range(150) if n % 8 == 0]
    assert listed(shop, *order(kept)) == came_to(unchanged=150 - len(gone), deleted=len(gone))
    assert ids(shop, Shown.DELETED) == gone


def test_empty_pages_hide_nothing(shop: Workshop) -> None:
    listed(shop, [1, 2, 3, 4, 5])
    assert listed(shop, *([[]] * 25), [2], *([[]] * 25), [4], []) == came_to(unchanged=2, deleted=3)


def test_an_ordinary_export_leaves_the_copy_alone(shop: Workshop) -> None:
    shop.exporter().run_slice(shop.add_job())
    assert ids(shop, Shown.ALL) == []
    assert shop.job().changes is None


# Nothing is deleted unless all was seen


def test_a_cancelled_sync_deletes_nothing(shop: Workshop) -> None:
    listed(shop, range(1, 50), range(50, 100))
    job_id = begun(shop, "cancelled")
    shop.exporter(source=Listing([[1, 2], [50]]), limits=SliceLimits(pages=1)).run_slice(job_id)
    control(shop).cancel(job_id, account_id="a1")
    assert shop.job(job_id).status is JobStatus.CANCELLED
    assert shop.job(job_id).changes == came_to(unchanged=2)
    assert len(ids(shop)) == 99


def test_a_failed_sync_deletes_nothing(shop: Workshop) -> None:
    listed(shop, range(1, 50), range(50, 100))
    shop.hubspot.fail_next("not_found", type="contacts", after=1)
    job_id = begun(shop, "failed")
    shop.run_until_finished(job_id)
    assert shop.job(job_id).status is JobStatus.FAILED
    assert set(range(1, 100)) <= set(ids(shop))


def test_a_sync_whose_pages_are_lost_deletes_nothing(shop: Workshop) -> None:
    listed(shop, [1, 2, 3, 4])
    job_id = begun(shop, "lossy")

    def lose(number: int) -> None:
        if number == 2:
            shop.pages.lose(job_id, 0)

    losing = Listing([[1], [3], [5]], before=lose)
    shop.exporter(source=losing).run_slice(job_id)
    assert changes(shop, job_id) == came_to(created=1, unchanged=2)
    assert ids(shop) == [1, 2, 3, 4, 5]


def test_a_sync_with_a_record_that_comes_twice_deletes_nothing_and_counts_it_once(shop: Workshop) -> None:
    listed(shop, [1, 2, 3])
    assert listed(shop, [(1, "new"), 1], [(1, "newer"), 3]) == came_to(changed=1, unchanged=1)
    assert contact(shop, 1)["says"] == "newer"
    assert ids(shop) == [1, 2, 3]


def test_a_record_without_an_id_is_not_copied_and_forbids_deleting(shop: Workshop) -> None:
    listed(shop, [1, 2, 3])
    odd = Listing([[1]])
    page = read_page(CONTACTS, b'{"contacts":[{"vid":1,"says":""},{"vid":"x"},{"vid":-5}],"has-more":false}')
    odd.fetch_page = lambda *_: FetchedPage(page=page, api="legacy")  # type: ignore[method-assign]
    job_id = begun(shop, "odd")
    shop.exporter(source=odd).run_slice(job_id)
    assert shop.job(job_id).status is JobStatus.SUCCEEDED
    assert ids(shop, Shown.ALL) == [1, 2, 3]


# Whatever dies in between


def survived(shop: Workshop, pages: Pages, death: Mortal, which: str) -> str:
    """Run a sync whose process dies in one call of a store, finish it in another one, and return its id."""
    shop.clock.advance(60)
    job_id = shop.add_sync(f"s{next(_numbers)}")
    setattr(shop, which, death)
    try:
        with suppress(PowerCutError):
            shop.exporter(source=Listing(pages)).run_slice(job_id)
    finally:
        setattr(shop, which, death.store)
    shop.clock.advance(LEASE_S + 1)
    shop.exporter(worker="w2", source=Listing(pages)).run_slice(job_id)
    return job_id


@pytest.mark.parametrize("is_late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("which", ["records", "pages", "jobs", "transactions"])
def test_wherever_a_worker_dies_the_counts_stay_exact(shop: Workshop, which: str, is_late: bool) -> None:  # noqa: FBT001
    # Before a call is as good as after the one before it, so either parameter takes every other call.
    for at_call in count(1 + is_late, 2):
        shop.records.clear()
        listed(shop, [1, 2, 3], [4, 5, 6], [7, 8, 9])
        death = Mortal(getattr(shop, which), at_call, is_late=is_late)

        job_id = survived(shop, [[1, (2, "new"), 3], [5, 6], [8, 9, 10, 11]], death, which)

        assert changes(shop, job_id) == came_to(created=2, changed=1, unchanged=6, deleted=2), f"in call {at_call}"
        assert (ids(shop), ids(shop, Shown.DELETED)) == ([1, 2, 3, 5, 6, 8, 9, 10, 11], [4, 7])
        if death.calls_left > 0:
            break
    assert at_call > 3, "it has died at every one of its calls"


def test_a_worker_that_was_overtaken_changes_nothing(shop: Workshop) -> None:
    listed(shop, [1, 2], [3, 4])
    job_id = begun(shop, "overtaken")

    def overtake(number: int) -> None:
        if number == 1 and shop.job(job_id).epoch == 1:
            shop.clock.advance(LEASE_S + 1)
            shop.exporter(worker="w2", source=Listing([[1, 2], [(3, "truth"), 5]])).run_slice(job_id)

    shop.exporter(source=Listing([[1, 2], [(3, "late"), (4, "late")]], before=overtake)).run_slice(job_id)

    assert changes(shop, job_id) == came_to(created=1, changed=1, unchanged=2, deleted=1)
    assert ids(shop) == [1, 2, 3, 5]
    assert contact(shop, 3)["says"] == "truth"


def test_a_retry_that_finds_its_pages_gone_counts_nothing_twice(shop: Workshop) -> None:
    listed(shop, [1, 2, 9])
    job_id = begun(shop, "again")
    shop.exporter(source=Listing([[(1, "new"), 3, 7], []]), limits=SliceLimits(pages=1)).run_slice(job_id)
    control(shop).cancel(job_id, account_id="a1")
    retry_without_pages(shop, job_id)

    shop.exporter(source=Listing([[(1, "newer"), 3], [(2, "new"), 4]])).run_slice(job_id)

    assert changes(shop, job_id) == came_to(created=3, changed=2, deleted=2)
    assert ids(shop) == [1, 2, 3, 4]
    assert contact(shop, 1)["says"] == "newer"


# Long comparisons


def many(shop: Workshop) -> list[list[int]]:
    """Store a copy of 5,000 records, and return the pages of every other one: the rest is to be deleted."""
    shop.guard = NO_GUARD
    listed(shop, *(range(first, first + 100) for first in range(0, 5000, 100)))
    return [list(range(first, first + 100, 2)) for first in range(0, 5000, 100)]


def test_a_comparison_continues_from_slice_to_slice(shop: Workshop) -> None:
    pages = many(shop)
    assert listed(shop, *pages, limits=SliceLimits(pages=10)) == came_to(unchanged=2500, deleted=2500)
    assert ids(shop, Shown.DELETED) == list(range(1, 5000, 2))


@dataclass
class Interrupting:
    """Transactions, with something happening right after the n-th of them."""

    transactions: Transactions
    after: int
    happening: Callable[[], object]

    def run(self, work: Callable[[], T]) -> T:
        done = self.transactions.run(work)
        self.after -= 1
        if self.after == 0:
            self.happening()
        return done


def test_a_cancel_is_heard_while_the_copy_is_compared(shop: Workshop) -> None:
    pages = many(shop)
    job_id = begun(shop, "stopped")
    shop.transactions = Interrupting(
        shop.transactions, after=2, happening=lambda: control(shop).cancel(job_id, account_id="a1")
    )
    shop.exporter(source=Listing(pages)).run_slice(job_id)

    job = shop.job(job_id)
    assert job.status is JobStatus.CANCELLED
    assert job.changes is not None
    assert 0 < job.changes.deleted < 2500
    assert len(ids(shop, Shown.DELETED)) == job.changes.deleted


def test_a_comparison_whose_pages_are_gone_begins_anew(shop: Workshop) -> None:
    pages = many(shop)
    job_id = begun(shop, "anew")
    cancelling = Interrupting(
        shop.transactions, after=4, happening=lambda: control(shop).cancel(job_id, account_id="a1")
    )
    shop.transactions = cancelling
    shop.exporter(source=Listing(pages)).run_slice(job_id)
    shop.transactions = cancelling.transactions
    retry_without_pages(shop, job_id)

    def be_busy(_: int) -> None:
        raise RateLimitedError("No", status=429, retry_after_s=30)

    shop.exporter(source=Listing([], before=be_busy)).run_slice(job_id)
    shop.clock.advance(30)
    shop.exporter(source=Listing([list(range(first, first + 200)) for first in range(0, 5000, 200)])).run_slice(job_id)

    assert ids(shop) == list(range(5000))
    assert shop.job(job_id).status is JobStatus.SUCCEEDED


# Two syncs of one account


def test_an_older_page_does_not_replace_what_a_later_sync_has_stored(shop: Workshop) -> None:
    listed(shop, [1, 2, 3])
    older = begun(shop, "older")

    def be_faster(_: int) -> None:
        assert listed(shop, [(1, "newer"), 2, 3, 4], after_s=1) == came_to(created=1, changed=1, unchanged=2)
        shop.clock.advance(1)

    shop.exporter(source=Listing([[(1, "older"), 2, 3]], before=be_faster)).run_slice(older)

    assert changes(shop, older) == came_to(unchanged=3)
    assert contact(shop, 1)["says"] == "newer"
    assert ids(shop) == [1, 2, 3, 4]


def test_a_sync_deletes_nothing_that_came_after_it_had_begun(shop: Workshop) -> None:
    listed(shop, [1, 2, 3])
    older = begun(shop, "older")
    shop.exporter(source=Listing([[1], [3]]), limits=SliceLimits(pages=1)).run_slice(older)
    other = begun(shop, "unfinished")
    shop.exporter(source=Listing([[1, 2, 3, 4], []]), limits=SliceLimits(pages=1)).run_slice(other)

    shop.exporter(source=Listing([[1], [3]])).run_slice(older)

    assert changes(shop, older) == came_to(unchanged=2, deleted=1)
    assert ids(shop) == [1, 3, 4]


def test_a_sync_that_ends_after_a_later_one_deletes_nothing(shop: Workshop) -> None:
    listed(shop, [1, 2, 3])
    older = begun(shop, "older")
    shop.exporter(source=Listing([[1], [3]]), limits=SliceLimits(pages=1)).run_slice(older)
    assert listed(shop, [1, 2, 3]) == came_to(unchanged=3)

    shop.exporter(source=Listing([[1], [3]])).run_slice(older)

    assert changes(shop, older) == came_to(unchanged=2)
    assert ids(shop) == [1, 2, 3]


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_comparison_ends_as_soon_as_a_later_sync_has_seen_all(shop: Workshop, after: int) -> None:
    pages = many(shop)
    older = begun(shop, "older")
    transactions = shop.transactions

    def be_faster() -> None:
        shop.transactions = transactions
        listed(shop, *(range(first, first + 100) for first in range(0, 5000, 100)), after_s=1)

    shop.transactions = Interrupting(transactions, after=after, happening=be_faster)
    shop.exporter(source=Listing(pages)).run_slice(older)

    assert shop.job(older).status is JobStatus.SUCCEEDED
    assert ids(shop) == list(range(5000))


def test_pages_in_no_order_are_read_once_for_all_that_are_gone(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    many(shop)
    mixed = [[*range(4000, 4000 + 50)], [*range(50)], [*range(2000, 2000 + 50)]]
    reads: list[int] = []
    read = shop.pages.some

    def count(job_id: str, numbers: Sequence[int]) -> Iterator[Page]:
        reads.append(len(numbers))
        return read(job_id, numbers)

    monkeypatch.setattr(shop.pages, "some", count)

    assert listed(shop, *mixed, limits=SliceLimits(pages=3)) == came_to(unchanged=150, deleted=4850)
    assert reads == [3, 3], "once for each look"
    assert listed(shop, *mixed) == came_to(unchanged=150)
    assert reads == [3, 3], "who has just stored them knows their ids"
