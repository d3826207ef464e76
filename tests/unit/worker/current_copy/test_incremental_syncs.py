"""Incremental syncs: they fetch what has changed, or everything where HubSpot's feed would be incomplete."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from tests.unit.worker.current_copy.test_writer import COPY, came_to, changes, contact, control, ids, sync
from tests.unit.worker.mortal import Mortal, PowerCutError
from tests.unit.worker.workshop import HUB, LEASE_S, RECORDS, Interrupted, Workshop
from worker.current_copy.record import Shown
from worker.export.context import SliceLimits
from worker.jobs.copy_progress import SyncMode
from worker.jobs.estimate import Basis, Estimate
from worker.jobs.job import Job
from worker.jobs.status import JobStatus

RECENT = "/contacts/v1/lists/recently_updated/contacts/recent"
OVERLAP_S = 600
DAY_S = 24 * 3600.0
_numbers = count(1)


def begun(shop: Workshop, *, after_s: float = 3600) -> str:
    shop.clock.advance(after_s)
    return shop.add_sync(f"i{next(_numbers)}", mode=SyncMode.INCREMENTAL)


def incremental(shop: Workshop, *, after_s: float = 3600) -> Job:
    """Run an incremental sync, and return its export."""
    job_id = begun(shop, after_s=after_s)
    shop.run_until_finished(job_id)
    assert shop.job(job_id).status is JobStatus.SUCCEEDED
    return shop.job(job_id)


def touch(shop: Workshop, *places: int) -> list[int]:
    """Modify contacts now, in this order."""
    contacts = shop.hubspot.accounts[HUB].records["contacts"]
    chosen = [contacts.ids()[place] for place in places]
    for record_id in chosen:
        shop.clock.advance(1)
        contacts.touch([record_id], at_ms=int(shop.clock().timestamp() * 1000))
    return chosen


def add(shop: Workshop, number: int) -> list[int]:
    return shop.hubspot.accounts[HUB].records["contacts"].add(number, at_ms=int(shop.clock().timestamp() * 1000))


def read_by_feed(shop: Workshop) -> int:
    return len([call for call in shop.hubspot.journal.calls if call.path == RECENT])


def test_it_fetches_what_has_changed_since_the_last_sync_and_nothing_else(shop: Workshop) -> None:
    sync(shop)
    (changed, *_), added = touch(shop, 7, 300), add(shop, 2)
    calls = shop.calls()

    job = incremental(shop)

    assert job.changes == came_to(created=2, changed=2)
    assert shop.calls() - calls == read_by_feed(shop) == 1
    assert ids(shop) == shop.ids_in_hubspot()
    assert set(added) <= set(ids(shop))
    assert contact(shop, changed)["properties"]["lastmodifieddate"]["value"] > "1795"
    assert_of_feed(job)


def test_many_pages_are_read_until_an_older_record_comes(shop: Workshop) -> None:
    sync(shop)
    touch(shop, *range(250))
    assert incremental(shop).changes == came_to(changed=250)
    assert read_by_feed(shop) == 3


def test_the_next_one_begins_where_the_last_one_did(shop: Workshop) -> None:
    sync(shop)
    touch(shop, *range(120))
    incremental(shop)
    shop.clock.advance(OVERLAP_S)
    touch(shop, 3)
    calls = read_by_feed(shop)
    assert incremental(shop).changes == came_to(changed=1, unchanged=99)
    assert read_by_feed(shop) - calls == 1


def test_what_changes_while_a_sync_runs_is_brought_by_the_next_one(shop: Workshop) -> None:
    during = Interrupted(shop.source, after_call=4, happening=lambda: touch(shop, 0))
    shop.clock.advance(60)
    job_id = shop.add_sync("full")
    shop.exporter(source=during).run_slice(job_id)
    assert changes(shop, job_id) == came_to(created=RECORDS)
    assert incremental(shop).changes == came_to(changed=1)


def test_it_sees_no_deletions_and_says_that_it_is_not_complete(shop: Workshop) -> None:
    sync(shop)
    contacts = shop.hubspot.accounts[HUB].records["contacts"]
    (gone,) = contacts.delete([contacts.ids()[9]])
    touch(shop, 1)
    job = incremental(shop)
    assert job.changes == came_to(changed=1)
    assert gone in ids(shop)
    assert job.receipt is not None
    assert (job.receipt.complete, job.receipt.incomplete_because) == (
        False,
        "only what has changed since 2026-11-23T14:51:00Z was asked for",
    )
    assert sync(shop) == came_to(unchanged=RECORDS - 1, deleted=1)


def assert_of_feed(job: Job) -> None:
    assert job.copying is not None
    assert (job.copying.mode_used, job.copying.full_because) == (SyncMode.INCREMENTAL, None)


def assert_full(job: Job, reason: str) -> None:
    assert job.copying is not None
    assert (job.copying.mode_used, job.copying.feed_since) == (SyncMode.FULL, None)
    assert reason in (job.copying.full_because or "")
    assert job.receipt is not None
    assert job.receipt.complete


def test_without_a_sync_before_it_all_records_are_read(shop: Workshop) -> None:
    job = incremental(shop)
    assert_full(job, "no sync has seen all records yet")
    assert job.changes == came_to(created=RECORDS)
    assert_of_feed(incremental(shop))


def test_after_29_days_all_records_are_read(shop: Workshop) -> None:
    sync(shop)
    assert_of_feed(incremental(shop, after_s=29 * DAY_S - 2 * OVERLAP_S))
    assert_full(incremental(shop, after_s=29 * DAY_S), "more than 29 days ago")


def test_a_failed_one_that_is_retried_too_late_reads_all_records(shop: Workshop) -> None:
    sync(shop)
    touch(shop, *range(150))
    shop.hubspot.fail_next("missing_scopes", type="contacts", after=1)
    job_id = begun(shop)
    shop.run_until_finished(job_id)
    assert shop.job(job_id).status is JobStatus.FAILED
    shop.clock.advance(29 * DAY_S)
    control(shop).retry(job_id, account_id="a1")
    shop.run_until_finished(job_id)
    assert_full(shop.job(job_id), "more than 29 days ago")
    assert len(shop.pages.read(job_id, COPY.export_type, start=0, limit=9999).records) == RECORDS


def test_a_feed_has_no_estimate(shop: Workshop) -> None:
    shop.forecasts.estimate = Estimate(records=RECORDS, calls=5, seconds=9.0, basis=Basis.LAST_EXPORT, as_of=None)
    sync(shop)
    assert incremental(shop).estimate is None
    shop.hubspot.fail_next("not_found", type="contacts")
    assert incremental(shop).estimate == shop.forecasts.estimate


def test_hubspots_count_belongs_to_the_cursor_that_the_job_has_reached(shop: Workshop) -> None:
    sync(shop)
    touch(shop, *range(150))
    job_id = begun(shop)
    shop.exporter(limits=SliceLimits(pages=1)).run_slice(job_id)
    job = shop.job(job_id)
    assert job.copying is not None
    ahead = replace(job, copying=replace(job.copying, feed_total=31))  # as after a page that changed nothing
    assert shop.copy().resume(ahead).copying == ahead.copying


def test_a_feed_that_is_gone_has_all_records_read_in_the_same_export(shop: Workshop) -> None:
    sync(shop)
    touch(shop, *range(150))
    shop.hubspot.fail_next("not_found", type="contacts", after=1)
    job = incremental(shop)
    assert_full(job, "no such feed")
    assert job.changes == came_to(changed=150, unchanged=RECORDS - 150)
    assert job.progress.pages == 5


@pytest.mark.parametrize("which", ["records", "jobs", "pages"])
@pytest.mark.parametrize("is_late", [False, True])
def test_wherever_a_worker_dies_nothing_is_left_out_and_nothing_counted_twice(
    shop: Workshop,
    which: str,
    is_late: bool,  # noqa: FBT001 - before or after
) -> None:
    sync(shop)
    # Before a call is as good as after the one before it, so either parameter takes a part of the calls.
    for at_call in range(1 + is_late, 12, 3):
        touch(shop, *range(150))
        added = add(shop, 1)
        shop.hubspot.fail_next("not_found", type="contacts", after=1) if at_call % 2 else None
        job_id = begun(shop)
        death = Mortal(getattr(shop, which), at_call, is_late=is_late)
        setattr(shop, which, death)
        try:
            shop.exporter(limits=SliceLimits(pages=3)).run_slice(job_id)
        except PowerCutError:
            pass
        finally:
            setattr(shop, which, death.store)
        shop.hubspot.faults.clear()
        shop.clock.advance(LEASE_S + 1)
        shop.run_until_finished(job_id)

        found = changes(shop, job_id)
        assert (found.created, found.changed, found.deleted) == (len(added), 150, 0), at_call
        assert ids(shop) == shop.ids_in_hubspot()
        assert ids(shop, Shown.DELETED) == []
