"""Pages that are stored too late, or never noted: none is left beside those that a finished job counts."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.fakes.executor import HeldTasks, PowerCutError
from tests.fakes.stores import InMemoryPageStore
from tests.unit.worker.current_copy.test_writer import control
from tests.unit.worker.workshop import HUB, LEASE_S, Workshop
from worker.errors import LeaseLostError
from worker.export.context import SliceLimits
from worker.export.interfaces import SliceOutcome
from worker.export.runner import Exporter
from worker.jobs.job import Job
from worker.jobs.lanes import PAGES_A_LANE, Lane
from worker.jobs.status import JobStatus
from worker.records.page import Page

PAGE = 20
RECORDS = 40 * PAGE


@dataclass
class SlowDisk:
    """A page store that takes its time over the first page of a lane; `meanwhile` is what others do by then."""

    store: InMemoryPageStore
    meanwhile: Callable[[], object]
    late: list[int] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any method of the store
        return getattr(self.store, name)

    def add(self, job: Job, page: Page, *, lane: Lane | None = None, **named: Any) -> bool:  # noqa: ANN401 - passed on
        if lane is not None and lane.next_page >= PAGES_A_LANE and not self.late:
            self.late.append(lane.next_page)
            self.meanwhile()
        return self.store.add(job, page, lane=lane, **named)


@pytest.fixture
def long(shop: Workshop) -> Workshop:
    """Return a workshop with an export in it that is long enough for lanes."""
    shop.hubspot.add_account(HUB, records={"contacts": RECORDS}, rate_limit=0)
    shop.add_job(page_size=PAGE)
    return shop


def in_lanes(shop: Workshop) -> Exporter:
    tasks = HeldTasks(random.Random(0), on_pause=shop.clock.advance)  # noqa: S311 - the same each time
    return shop.exporter(lanes=4, tasks=tasks)


def page_by_page(shop: Workshop, *, pages: int = 1000) -> None:
    """Let another worker, set to no lanes, continue the job once its lease has lapsed."""
    assert shop.job().lanes is None  # or the other one would store a page of the late one's number
    shop.clock.advance(LEASE_S + 1)
    shop.exporter(worker="w2", limits=SliceLimits(pages=pages)).run_slice("j1")


def overtaken(shop: Workshop, meanwhile: Callable[[], object]) -> SlowDisk:
    """Let a worker in lanes store a page after others have acted; return the store that kept it waiting."""
    disk, store = SlowDisk(shop.pages, meanwhile), shop.pages
    setattr(shop, "pages", disk)  # noqa: B010 - it does whatever a store does
    exporter = in_lanes(shop)
    shop.pages = store
    assert exporter.run_slice("j1") is SliceOutcome.LEASE_LOST
    assert disk.late
    return disk


def require_whole(shop: Workshop) -> None:
    job = shop.job()
    assert (job.status, job.progress.records) == (JobStatus.SUCCEEDED, RECORDS)
    assert job.receipt is not None
    assert job.receipt.complete, job.receipt.incomplete_because
    assert shop.pages.count("j1") == job.progress.pages
    assert shop.stored_ids() == shop.ids_in_hubspot()


def test_a_page_that_is_stored_when_others_have_finished_the_job_is_removed_again(long: Workshop) -> None:
    overtaken(long, lambda: page_by_page(long))

    require_whole(long)


def test_a_page_that_is_stored_while_another_works_on_the_job_is_gone_at_its_end(long: Workshop) -> None:
    disk = overtaken(long, lambda: page_by_page(long, pages=12))
    assert long.pages.get("j1", disk.late[0]).records == PAGE

    page_by_page(long)

    require_whole(long)


def test_what_a_worker_that_died_in_lanes_has_stored_is_gone_when_the_export_ends_page_by_page(long: Workshop) -> None:
    class Mortal(SlowDisk):
        def add(self, job: Job, page: Page, *, lane: Lane | None = None, **named: Any) -> bool:  # noqa: ANN401 - passed on
            was_there = super().add(job, page, lane=lane, **named)
            if self.late:
                raise PowerCutError
            return was_there

    store, disk = long.pages, Mortal(long.pages, lambda: None)
    setattr(long, "pages", disk)  # noqa: B010 - it does whatever a store does
    with pytest.raises(PowerCutError):
        in_lanes(long).run_slice("j1")
    long.pages = store
    assert long.pages.get("j1", disk.late[0]).records == PAGE

    page_by_page(long)

    require_whole(long)


def test_a_page_that_is_stored_when_its_job_is_deleted_is_removed_again(long: Workshop) -> None:
    def finish_and_delete() -> None:
        page_by_page(long)
        control(long).delete("j1", account_id="a1")

    overtaken(long, finish_and_delete)

    assert long.pages.count("j1") == 0


def test_a_page_that_nobody_noted_is_gone_when_the_job_has_failed_and_what_is_counted_stays(long: Workshop) -> None:
    long.exporter(limits=SliceLimits(pages=12)).run_slice("j1")
    held = long.job()
    long.pages.add(held, long.pages.get("j1", 3), lane=Lane(after=9, until=None, read_through=9, number=7))
    long.pages.add(held, long.pages.get("j1", 3))
    long.hubspot.fail_next(type="contacts", status=400)

    long.exporter().run_slice("j1")

    assert long.job().status is JobStatus.FAILED
    assert long.pages.count("j1") == long.job().progress.pages == 12


def test_who_was_overtaken_and_then_finds_no_database_leaves_it_at_that(long: Workshop) -> None:
    def finish_and_go_away() -> None:
        page_by_page(long)
        long.jobs.is_away = True
        raise LeaseLostError("Another worker has stored this page")

    overtaken(long, finish_and_go_away)

    long.jobs.is_away = False
    require_whole(long)
