"""SiblingsAtWork: of the children of a sync that end in one process, only the last one propagates to the sync."""

from __future__ import annotations

from tests.unit.worker.lifecycle.test_sync_starter import add_sync, children, sync, syncer
from tests.unit.worker.workshop import Workshop
from worker.jobs.job import Job
from worker.jobs.status import JobStatus
from worker.lifecycle.completion import SiblingsAtWork
from worker.records.types import CONTACTS, DEALS


def two_children(shop: Workshop) -> list[Job]:
    syncer(shop).start(add_sync(shop, CONTACTS, DEALS))
    return [*children(shop).values()]


def test_only_the_last_one_here_has_to_look(shop: Workshop) -> None:
    here, (first, second) = SiblingsAtWork(), two_children(shop)
    here.join(first)
    here.join(second)

    assert not here.leave(first)
    assert not here.leave(first), "its sibling is still here"
    assert here.leave(second)
    assert here.leave(second), "nobody is left"


def test_a_job_without_a_sync_is_nobodys_sibling(shop: Workshop) -> None:
    here, job = SiblingsAtWork(), shop.job(shop.add_job())
    here.join(job)

    assert here.leave(job)


def test_a_sync_ends_with_the_child_that_ends_last_in_a_process(shop: Workshop) -> None:
    first, second = two_children(shop)
    exporter = shop.exporter()
    shop.siblings.join(second)

    exporter.run_slice(first.job_id)
    assert sync(shop).status is JobStatus.RUNNING
    exporter.run_slice(second.job_id)

    over = sync(shop)
    assert (over.status, over.expires_at is not None) == (JobStatus.SUCCEEDED, True)
    assert {child.expires_at for child in children(shop).values()} == {over.expires_at}
