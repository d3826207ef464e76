"""Syncs in the JobStore: the fake and the real one have a sync follow its children, whoever dies in between."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from threading import Barrier

import pytest

from tests.contract.stores import LEASE_S, InMemoryWorld, JobWorld, MongoWorld, new_job, present
from tests.fakes.clock import ManualClock
from tests.fakes.stores import InMemoryJobStore
from worker.errors import FatalHubSpotError, LeaseLostError
from worker.jobs.copy_progress import Changes, CopyProgress, SyncMode
from worker.jobs.interfaces import JobQuery
from worker.jobs.job import Job
from worker.jobs.mongo.jobs import MongoJobStore
from worker.jobs.receipt import Receipt
from worker.jobs.request import SyncRequest
from worker.jobs.status import JobStatus, Line
from worker.jobs.sync import follow, new_children, new_sync
from worker.jobs.totals import ExportTotals
from worker.records.enabled_types import ALL_TYPES
from worker.records.page import Page
from worker.records.types import CONTACTS, DEALS, ExportType

PAGE = Page(body=b"{}", records=3, has_more=True, offset=77)
TYPES = (CONTACTS, DEALS)
CARS, BOATS = ExportType("p1_cars"), ExportType("p2_boats")
HOUR = timedelta(hours=1)
_numbers = count(1)


@pytest.fixture(params=["in memory", "mongo"])
def world(request: pytest.FixtureRequest) -> JobWorld:
    """Return a store, and its server's time."""
    if request.param == "in memory":
        clock = ManualClock(present())
        return InMemoryWorld(clock, InMemoryJobStore(clock))
    database = request.getfixturevalue("mongo_database")
    store = MongoJobStore(database)
    store.ensure_indexes()
    return MongoWorld(database, store)


def added_sync(world: JobWorld, *, at: datetime | None = None) -> Job:
    request = SyncRequest(types=TYPES, mode=SyncMode.INCREMENTAL, schedule_id="s1", scheduled_for=present())
    at = at or present()
    sync = new_sync(f"sync-{next(_numbers)}", account_id="a1", owner="u1", request=request, at=at, label="nightly")
    world.store.add(sync)
    return sync


def expanded(world: JobWorld, *, at: datetime | None = None) -> tuple[Job, list[Job]]:
    sync = added_sync(world, at=at)
    children = new_children(sync, at=present())
    assert world.store.expand(sync, children)
    return stored(world, sync), children


def test_how_often_a_sync_reads_all_is_kept_with_it_and_its_children(world: JobWorld) -> None:
    request = SyncRequest(types=TYPES, mode=SyncMode.INCREMENTAL, full_every="7d")
    sync = new_sync("often", account_id="a1", owner="u1", request=request, at=present())
    world.store.add(sync)
    children = new_children(sync, at=present())
    assert world.store.expand(sync, children)
    assert stored(world, sync).sync == request
    assert [stored(world, each).copying for each in children] == [each.copying for each in children]
    assert {each.copying.full_every for each in children if each.copying is not None} == {"7d"}


def test_a_sync_and_its_children_are_listed_each_under_its_type(world: JobWorld) -> None:
    sync, children = expanded(world)
    everything = JobQuery(account_id="a1", limit=10)

    assert {job.job_id for job in world.store.newest(everything)} == {sync.job_id, *(job.job_id for job in children)}
    assert world.store.newest(replace(everything, types=frozenset({"sync"}))) == [sync]


def stored(world: JobWorld, job: Job) -> Job:
    return world.store.get(job.job_id, account_id="a1")


def claimed(world: JobWorld, job: Job) -> Job:
    mine = world.store.claim(job.job_id, worker="w1", lease_s=LEASE_S, at=present())
    assert mine is not None
    world.store.note_start(mine, at=mine.updated_at)
    return mine


def ended(world: JobWorld, job: Job, how: Callable[[Job], Job] = lambda job: job.succeed(at=present())) -> Job:
    world.store.release(how(claimed(world, job)))
    return followed(world, job)


def followed(world: JobWorld, child: Job, *, is_swept: bool = False) -> Job:
    """Update a sync from its children; readers see what is stored then and what the children say alike."""
    assert child.parent_id is not None
    sync = world.store.follow(child.parent_id, is_swept=is_swept)
    assert sync is not None
    kept = stored(world, sync)
    assert kept.status is sync.status
    children = {job.job_id: job for job in world.store.children_of([kept])}
    assert follow(kept, [children[each] for each in kept.children]) == sync
    assert kept == sync or not (sync.status.is_terminal or is_swept)
    return sync


def unfollowed(world: JobWorld, *, quiet_s: float = 60) -> set[str]:
    return {job.job_id for job in world.store.take_unfollowed(quiet_s=quiet_s, limit=10)}


def failed(job: Job) -> Job:
    return job.fail(FatalHubSpotError("no"), at=present())


def test_a_sync_comes_back_as_it_was_stored(world: JobWorld) -> None:
    sync = added_sync(world)

    assert stored(world, sync) == sync == world.store.find(sync.job_id)
    assert world.store.find("unknown") is None


def test_children_come_back_as_they_were_stored(world: JobWorld) -> None:
    sync, children = expanded(world)

    assert [stored(world, child) for child in children] == children
    assert sync.children == tuple(child.job_id for child in children)
    assert {child.job_id for child in world.store.children_of([sync])} == set(sync.children)
    assert {child.parent_id for child in children} == {sync.job_id}


def test_of_a_sync_of_all_types_it_is_decided_once_which_these_are(world: JobWorld) -> None:
    request = SyncRequest(types=(ALL_TYPES,), properties={CARS: ("colour",)})
    sync = new_sync(f"sync-{next(_numbers)}", account_id="a1", owner="u1", request=request, at=present())
    world.store.add(sync)
    assert stored(world, sync) == sync

    assert world.store.decide_types(sync, (DEALS, CARS))
    assert not world.store.decide_types(sync, (CONTACTS,))

    decided = stored(world, sync)
    assert decided.sync == replace(request, types=(DEALS, CARS))
    assert world.store.expand(decided, new_children(decided, at=present()))
    exports = {child.records_type: child.request.properties for child in world.store.children_of([stored(world, sync)])}
    assert exports == {DEALS: None, CARS: ("colour",)}


def test_the_types_of_a_sync_that_was_cancelled_are_not_decided(world: JobWorld) -> None:
    sync = new_sync(
        f"sync-{next(_numbers)}", account_id="a1", owner="u1", request=SyncRequest(types=(ALL_TYPES,)), at=present()
    )
    world.store.add(sync)
    world.store.change(sync, sync.cancel(at=present()))

    assert not world.store.decide_types(sync, (DEALS,))


def test_custom_objects_are_listed_where_they_are_asked_for_together_or_by_name(world: JobWorld) -> None:
    jobs = {name: replace(new_job(), export_type=name, account_id="a9") for name in (CONTACTS, CARS, BOATS)}
    for job in jobs.values():
        world.store.add(job)
    world.store.add(replace(new_job(), export_type=CARS, account_id="another"))

    def listed(query: JobQuery) -> set[str]:
        return {job.type_name for job in world.store.newest(query)}

    every = JobQuery(account_id="a9", limit=10, has_custom=True)
    assert listed(replace(every, has_custom=False)) == {CONTACTS}
    assert listed(every) == {CONTACTS, CARS, BOATS}
    assert listed(replace(every, types=frozenset({CARS}), has_custom=False)) == {CARS}
    assert listed(replace(every, types=frozenset({DEALS, CARS}))) == {CARS, BOATS}
    assert listed(replace(every, statuses=frozenset({JobStatus.FAILED}))) == set()


def test_a_sync_that_is_not_expanded_has_no_children(world: JobWorld) -> None:
    assert world.store.children_of([added_sync(world)]) == []


def test_expanding_twice_makes_the_children_once(world: JobWorld) -> None:
    sync, children = expanded(world)
    claimed(world, children[0])

    assert not world.store.expand(replace(sync, is_expanded=False), new_children(sync, at=present()))

    assert stored(world, children[0]).status is JobStatus.RUNNING


def test_a_sync_that_was_cancelled_or_removed_is_not_expanded(world: JobWorld) -> None:
    cancelled, removed = added_sync(world), added_sync(world)
    world.store.change(cancelled, cancelled.cancel(at=present()))
    world.store.start_removal(removed)

    for sync in (cancelled, removed):
        assert not world.store.expand(sync, new_children(sync, at=present()))

    assert stored(world, cancelled).children == ()
    assert world.store.find(removed.job_id) is None


def test_children_that_were_made_before_someone_died_are_kept_as_they_are(world: JobWorld) -> None:
    sync = added_sync(world)
    children = new_children(sync, at=present())
    world.store.add(children[0])
    mine = claimed(world, children[0])

    assert world.store.expand(sync, children)

    assert stored(world, children[0]) == mine
    assert len(world.store.children_of([stored(world, sync)])) == len(children)


def test_a_sync_is_not_expanded_while_one_of_its_children_is_being_removed(world: JobWorld) -> None:
    sync = added_sync(world)
    children = new_children(sync, at=present())
    world.store.add(children[0])
    world.store.start_removal(children[0])

    assert not world.store.expand(sync, children)
    world.store.finish_removal(children[0].job_id)
    assert world.store.expand(sync, children)


def test_of_many_who_expand_at_once_one_does(world: JobWorld) -> None:
    sync = added_sync(world)
    start = Barrier(8)

    def expand(_: int) -> bool:
        start.wait()
        return world.store.expand(sync, new_children(sync, at=present()))

    with ThreadPoolExecutor(max_workers=8) as pool:
        assert sum(pool.map(expand, range(8))) == 1
    assert len(world.store.children_of([stored(world, sync)])) == len(TYPES)


def test_a_sync_is_never_claimed_and_not_rung_for_once_it_has_children(world: JobWorld) -> None:
    fresh = added_sync(world)
    sync, children = expanded(world)
    world.let_pass(100)

    lost = world.store.take_lost(dict.fromkeys(Line, present() + HOUR), most=8, limit=10)

    assert (
        {job.job_id for job in lost}
        == {fresh.job_id, *sync.children}
        == {fresh.job_id, *(each.job_id for each in children)}
    )
    assert [job.job_id for job in lost if job.is_sync] == [fresh.job_id]
    assert world.store.claim(fresh.job_id, worker="w1", lease_s=LEASE_S, at=present()) is None
    assert world.store.claim(sync.job_id, worker="w1", lease_s=LEASE_S, at=present()) is None


def test_many_syncs_are_stored_at_once_and_missed_like_one(world: JobWorld) -> None:
    first = added_sync(world)
    syncs = [replace(first, job_id=f"{first.job_id}-{number}", created_at=present()) for number in range(3)]

    for _ in range(2):
        world.store.add_all([first, *syncs])

    assert [stored(world, sync) for sync in syncs] == syncs
    lost = world.store.take_lost({Line.SYNC: present() + HOUR}, most=8, limit=10)
    assert {job.job_id for job in lost} == {first.job_id, *(sync.job_id for sync in syncs)}


def test_a_sync_runs_as_soon_as_a_child_does(world: JobWorld) -> None:
    sync, children = expanded(world)
    assert sync.status is JobStatus.QUEUED

    mine = world.store.claim(children[1].job_id, worker="w1", lease_s=LEASE_S, at=present())
    assert mine is not None
    running = world.store.note_start(mine, at=mine.updated_at)

    assert running is not None
    assert running == stored(world, sync)
    assert (running.status, running.started_at) == (JobStatus.RUNNING, mine.started_at)
    later = mine.updated_at + HOUR
    assert world.store.note_start(mine, at=later) == running
    assert stored(world, sync) == running


def test_a_sync_waits_when_all_its_children_do_and_runs_when_one_goes_on(world: JobWorld) -> None:
    sync, children = expanded(world)
    for child, delay_s in zip(children, (100, 50), strict=True):
        waiting = claimed(world, child).wait(delay_s, reason="rate_limit", at=present())
        world.store.release(waiting, resume_in_s=delay_s)

    waits = followed(world, children[0])
    assert (waits.status, waits.reason) == (JobStatus.WAITING, "rate_limit")
    assert waits.resume_at == stored(world, children[1]).resume_at
    world.let_pass(51)
    claimed(world, children[1])
    assert (stored(world, sync).status, stored(world, sync).resume_at) == (JobStatus.RUNNING, None)


def test_a_sync_ends_with_its_last_child(world: JobWorld) -> None:
    sync, children = expanded(world)

    between = ended(world, children[0], lambda job: job.advance(PAGE, at=present()).succeed(at=present()))
    ended(world, children[1], failed)

    over = stored(world, sync)
    assert (between.status, between.progress.records) == (JobStatus.RUNNING, 3)
    assert (over.status, over.progress.pages, over.finished_at is not None) == (JobStatus.FAILED, 1, True)
    assert over.error is not None
    assert over.error.code == "partial_failure"


def test_of_children_that_end_at_the_same_moment_none_is_overlooked(world: JobWorld) -> None:
    for _ in range(5):
        sync, children = expanded(world)
        mine = [claimed(world, child) for child in children]
        start = Barrier(len(mine))

        def end(job: Job, start: Barrier = start) -> None:
            start.wait()
            world.store.release(job.succeed(at=present()))
            world.store.follow(str(job.parent_id))

        with ThreadPoolExecutor(max_workers=len(mine)) as pool:
            list(pool.map(end, mine))

        assert stored(world, sync).status is JobStatus.SUCCEEDED


def test_who_has_lost_the_lease_changes_neither_the_child_nor_the_sync(world: JobWorld) -> None:
    sync, children = expanded(world)
    late = claimed(world, children[0])
    world.let_pass(LEASE_S + 1)
    claimed(world, children[0])
    before = stored(world, sync)

    with pytest.raises(LeaseLostError):
        world.store.release(failed(late))

    assert stored(world, sync) == before


def test_a_child_that_has_ended_is_unfollowed_until_its_sync_has_its_end(world: JobWorld) -> None:
    sync, (first, second) = expanded(world)
    world.store.release(failed(claimed(world, first)))
    world.store.change(second, second.cancel(at=present()))
    assert stored(world, sync).status is JobStatus.RUNNING
    assert unfollowed(world) == set()
    world.let_pass(61)

    assert unfollowed(world) == {first.job_id, second.job_id}
    assert unfollowed(world) == set()
    world.let_pass(61)
    over = followed(world, first)
    assert over.status is JobStatus.FAILED
    assert unfollowed(world) == {first.job_id, second.job_id}
    world.let_pass(61)
    assert world.store.end_sync(over, at=present() + HOUR)
    assert unfollowed(world) == set()


def test_a_child_that_ended_long_before_its_sync_is_seen_to_once(world: JobWorld) -> None:
    _, (first, _second) = expanded(world)
    ended(world, first)
    world.let_pass(61)

    assert unfollowed(world) == {first.job_id}
    assert followed(world, first, is_swept=True).status is JobStatus.RUNNING
    world.let_pass(61)
    assert unfollowed(world) == set()


def test_a_child_that_goes_on_is_no_concern_of_anybodys(world: JobWorld) -> None:
    _, (first, second) = expanded(world)
    world.store.release(claimed(world, first))
    world.store.release(claimed(world, second).wait(60, reason="rate_limit", at=present()), resume_in_s=60)
    world.let_pass(61)

    assert unfollowed(world) == set()


def test_a_sync_that_is_gone_is_not_followed(world: JobWorld) -> None:
    sync, _ = expanded(world)
    world.store.start_removal(sync)

    assert world.store.follow(sync.job_id) is None
    assert world.store.follow("unknown") is None


def test_a_sync_and_its_children_get_one_end(world: JobWorld) -> None:
    sync, children = expanded(world)
    for child in children:
        ended(world, child, failed)
    over, at = stored(world, sync), present() + HOUR

    assert not world.store.end_sync(sync, at=at)
    assert world.store.end_sync(over, at=at)

    assert {stored(world, job).expires_at for job in (sync, *children)} == {at}
    assert {stored(world, child).retention.pages_expire_at for child in children} == {at}
    assert followed(world, children[0]).expires_at == at


def test_a_sync_that_is_opened_again_has_no_end_and_waits_to_follow_its_children(world: JobWorld) -> None:
    sync, (first, second) = expanded(world)
    for child in (first, second):
        ended(world, child, failed)
    world.store.end_sync(stored(world, sync), at=present() + HOUR)

    world.store.reopen(stored(world, sync))

    opened = stored(world, sync)
    assert (opened.status, opened.expires_at, opened.finished_at) == (JobStatus.QUEUED, None, None)
    world.let_pass(61)
    assert unfollowed(world) == {sync.job_id}
    again = stored(world, first)
    assert world.store.change(again, again.retry(at=present()))
    assert (followed(world, first).status, followed(world, first).error) == (JobStatus.QUEUED, None)
    world.let_pass(61)
    assert unfollowed(world) == set()


def test_of_a_sync_that_is_not_expanded_nothing_is_opened(world: JobWorld) -> None:
    sync = added_sync(world)
    world.store.reopen(sync)

    assert stored(world, sync) == sync


def test_a_sync_is_removed_with_its_children_and_one_that_is_held_goes_by_itself(world: JobWorld) -> None:
    sync, (first, second) = expanded(world)
    mine = claimed(world, first)

    assert world.store.start_removal(sync)

    assert world.store.find(sync.job_id) is None
    assert world.store.find(second.job_id) is None
    assert world.store.find(first.job_id) == mine


def test_the_removal_of_a_sync_that_was_interrupted_is_completed_for_all_of_it(world: JobWorld) -> None:
    sync, children = expanded(world, at=present() - HOUR)
    world.store.start_removal(sync)
    world.let_pass(61)

    removed, _ = world.store.take_interrupted(quiet_s=60, limit=10)

    assert set(removed) == {sync.job_id, *(child.job_id for child in children)}
    for job_id in removed:
        world.store.finish_removal(job_id)
    world.let_pass(61)
    assert world.store.take_interrupted(quiet_s=60, limit=10) == ([], [])


def test_a_child_gets_its_end_with_its_sync_and_is_looked_after_only_while_it_lacks_a_receipt(world: JobWorld) -> None:
    long_ago = present() - HOUR
    sync, children = expanded(world)
    for child, receipt in zip(children, (None, Receipt.of_parts({})), strict=True):
        world.store.change(child, replace(child.cancel(at=long_ago), receipt=receipt))
    followed(world, children[0])
    world.let_pass(61)

    _, unsettled = world.store.take_interrupted(quiet_s=60, limit=10)

    assert {job.job_id for job in unsettled} == {sync.job_id, children[0].job_id}


def test_jobs_without_relatives_are_stored_without_a_trace_of_syncs(world: JobWorld) -> None:
    job = new_job()
    world.store.add(job)

    assert stored(world, job).children == ()
    assert stored(world, job).parent_id is None


def test_what_children_have_changed_in_the_copy_is_kept_and_told_of_their_sync(world: JobWorld) -> None:
    _, (first, second) = expanded(world)
    copying = CopyProgress(
        mode=SyncMode.INCREMENTAL,
        feed_since=present(),
        feed_total=9_000,
        full_because="the feed is too old",
        since=present(),
        created=3,
        changed=2,
        left_out=(5, 2**40),
        deleted=1,
        compared_pages=4,
        compared_through=2**40,
    )
    mine = replace(claimed(world, first), copying=copying, totals=ExportTotals(records=11))

    world.store.checkpoint(mine, lease_s=LEASE_S)
    assert stored(world, first).copying == copying
    world.store.release(mine.succeed(at=present()))

    assert followed(world, first).changes_by_type == {
        CONTACTS: Changes(created=3, changed=2, unchanged=4, deleted=1),
        DEALS: Changes(created=0, changed=0, unchanged=0, deleted=0),
    }
    assert stored(world, second).copying == CopyProgress(mode=SyncMode.INCREMENTAL)
