"""What HubSpot lists as archived is deleted from the copy, unless somebody knows better."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.fakes.clock import START
from tests.unit.worker.current_copy.test_writer import COPY, ids, sync
from tests.unit.worker.workshop import HUB, RECORDS, Workshop
from worker.current_copy.record import CompleteSync, KnownRecord, archived_of
from worker.errors import LeaseLostError
from worker.jobs.copy_progress import CopyProgress, SyncMode
from worker.jobs.job import Job
from worker.jobs.syncs_before import SyncsBefore
from worker.records.crm_api import CrmApi
from worker.records.deletion import Deletion, DeletionPage

DAY = timedelta(days=1)
COPY_OF_HUB = replace(COPY, hub_id=HUB)


def known(
    *, changed_at: datetime = START, sync_id: str = "before", deleted: bool = False, feed: bool = True
) -> KnownRecord:
    return KnownRecord(digest=b"", is_deleted=deleted, changed_at=changed_at, sync_id=sync_id, is_from_feed=feed)


@pytest.mark.parametrize(
    ("held", "archived_at", "goes"),
    [
        (known(), START - DAY, True),
        (known(), None, True),
        (known(deleted=True), START, False),
        (None, START, False),
        (known(sync_id="own"), START - timedelta(seconds=1), False),
        (known(sync_id="own"), START + timedelta(seconds=1), True),
        (known(sync_id="own"), None, False),
        (known(sync_id="own", feed=False), START - DAY, True),
    ],
    ids=["alive", "no instant", "gone", "unknown", "found later", "found before", "found, no instant", "by a list"],
)
def test_which_records_go(held: KnownRecord | None, archived_at: datetime | None, goes: bool) -> None:  # noqa: FBT001
    held_by_id = {7: held} if held is not None else {}
    assert archived_of([Deletion(7, archived_at)], held_by_id, sync_id="own") == ([7] if goes else [])


def at_work(shop: Workshop) -> Job:
    """Return an export of an incremental sync, whose pages are all stored."""
    sync(shop)
    shop.clock.advance(3600)
    job_id = shop.add_sync("i", mode=SyncMode.INCREMENTAL)
    shop.exporter().run_slice(job_id)
    job = shop.job(job_id)
    copying = shop.records.resume(COPY_OF_HUB, job_id, CopyProgress(), epoch=job.epoch)
    return replace(job, copying=copying)


def told(*record_ids: int, after: int | None = None) -> DeletionPage:
    return DeletionPage(deletions=[Deletion(each, START) for each in record_ids], after=after)


def asked(shop: Workshop) -> float:
    return shop.clock().timestamp()


def test_a_page_is_counted_with_what_it_deletes(shop: Workshop) -> None:
    job = at_work(shop)
    first, second, *_ = ids(shop)
    job = shop.copy().apply_deletions(job, told(first, 99_999, after=5), asked_at=asked(shop))
    assert job.copying is not None
    assert (job.copying.deleted, job.copying.archived_after, job.copying.archive_is_read) == (1, 5, False)
    job = shop.copy().apply_deletions(job, told(first, second), asked_at=asked(shop))
    assert job.copying is not None
    assert (job.copying.deleted, job.copying.archived_after, job.copying.archive_is_read) == (2, None, True)
    assert len(ids(shop)) == RECORDS - 2


def test_nothing_is_deleted_that_has_changed_since_the_page_was_asked_for(shop: Workshop) -> None:
    job = at_work(shop)
    first, *_ = ids(shop)
    before_all = (START - DAY).timestamp()
    job = shop.copy().apply_deletions(job, told(first), asked_at=before_all)
    assert job.copying is not None
    assert job.copying.deleted == 0


def test_a_sync_that_began_later_and_has_seen_all_records_knows_better(shop: Workshop) -> None:
    job = at_work(shop)
    first, *_ = ids(shop)
    asked_at = asked(shop)
    shop.clock.advance(60)
    later = CompleteSync(sync_id="later", since=shop.clock(), mode=SyncMode.FULL)
    shop.records.save_progress(COPY_OF_HUB, job.job_id, CopyProgress(), epoch=job.epoch, complete=later)
    job = shop.copy().apply_deletions(job, told(first), asked_at=asked_at)
    assert job.copying is not None
    assert job.copying.deleted == 0
    assert first in ids(shop)


def test_whoever_has_lost_the_lease_deletes_nothing(shop: Workshop) -> None:
    job = at_work(shop)
    first, *_ = ids(shop)
    shop.records.resume(COPY_OF_HUB, job.job_id, CopyProgress(), epoch=job.epoch + 1)
    with pytest.raises(LeaseLostError):
        shop.copy().apply_deletions(job, told(first), asked_at=asked(shop))
    assert first in ids(shop)


ASKED = CopyProgress(mode=SyncMode.INCREMENTAL)


@pytest.mark.parametrize(
    ("api", "days", "because"),
    [
        (CrmApi.LEGACY, 28, None),
        (CrmApi.LEGACY, 29, "29 days"),
        (CrmApi.DATED, 84, None),
        (CrmApi.DATED, 85, "85 days"),
    ],
)
def test_how_far_back_changes_are_told_is_a_matter_of_the_api(api: CrmApi, days: int, because: str | None) -> None:
    decided = ASKED.decide(SyncsBefore(last=START - days * DAY), api=api, at=START)
    assert decided.reads_feed is (because is None)
    assert (because or "") in (decided.full_because or "")


@pytest.mark.parametrize(("api", "days", "is_full"), [("dated", 84, False), ("dated", 86, True), ("legacy", 86, False)])
def test_deletions_that_nobody_has_told_for_too_long_are_seen_by_reading_all(
    api: str, days: int, *, is_full: bool
) -> None:
    before = SyncsBefore(last=START - DAY, deletions_told=START - days * DAY)
    decided = ASKED.decide(before, api=CrmApi(api), at=START)
    assert decided.reads_feed is not is_full
    assert ("deletions were last told" in (decided.full_because or "")) is is_full


@pytest.mark.parametrize("refused", [None, "no scope"])
def test_a_sync_that_is_not_told_of_deletions_passes_on_when_one_was(refused: str | None) -> None:
    copying = replace(ASKED, feed_deletions_told=START - DAY).after_archived(deleted=0, after=None, unknown=refused)
    assert copying.deletions_told(START) == (START if refused is None else START - DAY)


def test_the_legacy_feed_is_no_sequel_of_a_sync_that_could_not_read_every_kind() -> None:
    before = SyncsBefore(last=START - DAY, left_out=("emails",))
    assert ASKED.decide(before, api=CrmApi.DATED, at=START).feed_left_out == ("emails",)
    decided = ASKED.decide(before, api=CrmApi.LEGACY, at=START)
    assert decided.full_because == "the last complete sync could not read emails"


@pytest.mark.parametrize(
    ("last_full", "is_full"),
    [(START - 7 * DAY, False), (START - 8 * DAY, True), (None, True)],
    ids=["due", "over", "none"],
)
def test_a_full_sync_is_due_when_the_last_one_is_older_than_asked(last_full: datetime | None, is_full: bool) -> None:  # noqa: FBT001
    asked = CopyProgress(mode=SyncMode.INCREMENTAL, full_every="7d")
    decided = asked.decide(SyncsBefore(last=START - DAY, last_full=last_full), api=CrmApi.DATED, at=START)
    assert (decided.full_because is not None) is is_full
    assert decided.start_over().full_every == "7d"
