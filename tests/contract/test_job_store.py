"""JobStore: the fake and the real one keep jobs alike, and agree on who may work on which."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest

from tests.contract.stores import LEASE_S, InMemoryWorld, JobWorld, MongoWorld, finished_export, new_job, present
from tests.fakes.clock import ManualClock
from tests.fakes.stores import InMemoryJobStore
from worker.errors import ErasureAskedError, FatalHubSpotError, JobNotFoundError, LeaseLostError
from worker.jobs.estimate import Basis, Estimate
from worker.jobs.interfaces import JobQuery, JobStore
from worker.jobs.job import Job, Lease
from worker.jobs.mongo.documents import COLLECTION
from worker.jobs.mongo.jobs import MongoJobStore
from worker.jobs.progress import Patience
from worker.jobs.request import ExportRequest
from worker.jobs.selection import Selection
from worker.jobs.status import JobKind, JobStatus, Line
from worker.jobs.totals import ExportTotals
from worker.jobs.turn import AccountTurn, DueJob
from worker.mongo.database import MongoDatabase
from worker.records.crm_api import CrmApi
from worker.records.page import Page
from worker.records.types import CONTACTS, DEALS, DOCUMENTED_TYPES, NOTES, CopyId, ExportType

PAGE = Page(body=b"{}", records=3, has_more=True, offset=77)
MARKED = CopyId(account_id="a1", export_type=CONTACTS)
LAST_PAGE = Page(body=b"{}", records=2, has_more=False, offset=None)


def in_memory() -> InMemoryWorld:
    clock = ManualClock(present())
    return InMemoryWorld(clock, InMemoryJobStore(clock))


def in_mongo(request: pytest.FixtureRequest) -> MongoWorld:
    database = request.getfixturevalue("mongo_database")
    store = MongoJobStore(database)
    store.ensure_indexes()
    return MongoWorld(database, store)


@pytest.fixture(params=["in memory", "mongo"])
def store(request: pytest.FixtureRequest) -> JobStore:
    """Return a store for plain reading and writing."""
    if request.param == "in memory":
        return in_memory().store
    return in_mongo(request).store


@pytest.fixture(params=["in memory", "mongo"])
def world(request: pytest.FixtureRequest) -> JobWorld:
    """Return a store for what is decided by its server, and its server's time."""
    return in_memory() if request.param == "in memory" else in_mongo(request)


def claim(world: JobWorld, job: Job, *, worker: str = "w1") -> Job | None:
    return world.store.claim(job.job_id, worker=worker, lease_s=LEASE_S, at=present())


def claimed(world: JobWorld, job: Job, *, worker: str = "w1") -> Job:
    mine = claim(world, job, worker=worker)
    assert mine is not None
    return mine


def added(world: JobWorld, count: int = 1) -> list[Job]:
    jobs = [new_job() for _ in range(count)]
    for job in jobs:
        world.store.add(job)
    return jobs


def at_once(act: Callable[[int], object], *, threads: int) -> list[object]:
    """Do something in many threads that begin together."""
    barrier = Barrier(threads)

    def begin(number: int) -> object:
        barrier.wait()
        return act(number)

    with ThreadPoolExecutor(max_workers=threads) as pool:
        return list(pool.map(begin, range(threads)))


# Keeping


ESTIMATE = Estimate(records=7, calls=1, seconds=0.5, basis=Basis.LAST_EXPORT, as_of=datetime(2026, 11, 23, tzinfo=UTC))


def test_a_job_is_read_as_it_was_added(store: JobStore) -> None:
    request = ExportRequest(
        limit=7, page_size=3, offset="text", params=(("b", "2"), ("$a.b", "\x00"), ("b", "$1"), ("", "ü😀"))
    )
    job = replace(new_job(export_type=NOTES), request=request, label="$label", kind=JobKind.PAGE)
    job = replace(job, estimate=ESTIMATE)

    store.add(job)

    assert store.get(job.job_id, account_id="a1") == job


def test_adding_a_job_again_changes_nothing(store: JobStore) -> None:
    job = new_job()
    store.add(job)
    store.add(replace(job, label="another", status=JobStatus.FAILED))

    assert store.get(job.job_id, account_id="a1") == job


@pytest.mark.parametrize("account_id", ["a2", "", "A1", "a1 "])
def test_another_accounts_job_is_as_unknown_as_one_that_never_was(store: JobStore, account_id: str) -> None:
    job = new_job()
    store.add(job)

    for job_id, account in ((job.job_id, account_id), ("unknown", "a1"), ("\x00", "a1"), ("", "a1")):
        with pytest.raises(JobNotFoundError):
            store.get(job_id, account_id=account)


def test_a_free_job_is_changed_and_read_back_so(store: JobStore) -> None:
    job = new_job()
    store.add(job)
    cancelled = job.cancel(at=present()).expire(after=timedelta(days=1))

    assert store.change(job, cancelled)
    assert store.get(job.job_id, account_id="a1") == cancelled


def test_a_change_of_what_is_not_so_any_more_writes_nothing(store: JobStore) -> None:
    job = new_job()
    store.add(job)
    cancelled = job.cancel(at=present() + timedelta(seconds=1))
    store.change(job, cancelled)

    assert not store.change(job, job.cancel(at=present() + timedelta(seconds=2)))
    assert not store.start_removal(job)
    assert not store.change(new_job(), cancelled)
    assert store.get(job.job_id, account_id="a1") == cancelled


def test_a_job_whose_removal_was_started_does_not_exist_any_more(store: JobStore) -> None:
    job, other = new_job(), new_job()
    store.add(job)
    store.add(other)

    assert store.start_removal(job)

    for _ in range(2):
        with pytest.raises(JobNotFoundError):
            store.get(job.job_id, account_id="a1")
        assert not store.change(job, job)
        store.finish_removal(job.job_id)
    store.finish_removal(other.job_id)
    assert store.get(other.job_id, account_id="a1") == other


def test_a_job_that_somebody_holds_is_neither_changed_nor_removed(world: JobWorld) -> None:
    (job,) = added(world)
    mine = claimed(world, job)

    assert not world.store.change(mine, mine.cancel(at=present()))
    assert not world.store.start_removal(mine)

    assert world.store.get(job.job_id, account_id="a1") == mine


def test_several_jobs_are_added_at_once_and_those_that_are_there_stay_as_they_are(world: JobWorld) -> None:
    first, second = new_job(), new_job()
    world.store.add(first)
    mine = claimed(world, first)

    world.store.add_all([first, second])
    world.store.add_all([])

    assert world.store.get(first.job_id, account_id="a1") == mine
    assert world.store.get(second.job_id, account_id="a1") == second


def test_a_group_of_new_jobs_is_stored_like_each_of_them_and_those_that_are_there_stay(world: JobWorld) -> None:
    first, second, third = new_job(), new_job(), new_job()
    world.store.add(first)
    mine = claimed(world, first)

    assert not world.store.insert_all([first, second, third, third], at=present())
    assert not world.store.insert_all([], at=present())

    assert world.store.get(first.job_id, account_id="a1") == mine
    assert world.store.get(second.job_id, account_id="a1") == second
    assert claimed(world, second).job_id == second.job_id
    assert world.store.take_due(limit=10) == [], "all of them count as published"


def test_what_is_stored_in_a_group_is_stored_as_alone_but_for_its_instants(mongo_database: MongoDatabase) -> None:
    store, alone = MongoJobStore(mongo_database), replace(new_job(), label="$label")
    at = present()
    store.add(alone)
    store.insert_all([replace(alone, job_id="grouped", created_at=at, updated_at=at)], at=at)

    one, other = (mongo_database[COLLECTION].find_one({"_id": each}) for each in (alone.job_id, "grouped"))
    assert one is not None
    dates = dict.fromkeys(("created_at", "updated_at", "published_at", "ready_at", "queued_at"), at)
    assert other == {**one, "_id": "grouped", **dates}


def test_a_job_that_has_no_form_in_the_database_is_told_of_and_the_others_can_be_stored_alone(
    mongo_database: MongoDatabase,
) -> None:
    store, good = MongoJobStore(mongo_database), new_job()
    bad = replace(new_job(), request=ExportRequest(page_size=100, limit=2**70))

    assert set(store.insert_all([good, bad], at=present())) == {good.job_id, bad.job_id}
    store.add(good)

    assert store.stored_among([good.job_id, bad.job_id]) == {good.job_id}


def test_those_that_are_not_finished_are_known_among_many(world: JobWorld) -> None:
    queued, running, over, removed = added(world, 4)
    claimed(world, running)
    world.store.change(over, over.cancel(at=present()))
    world.store.start_removal(removed)

    wanted = [job.job_id for job in (queued, running, over, removed)]
    assert world.store.unfinished_among([*wanted, "unknown"]) == {queued.job_id, running.job_id}
    assert world.store.unfinished_among([]) == set()


def test_a_removed_job_is_neither_claimed_nor_rung_for(world: JobWorld) -> None:
    (job,) = added(world)
    world.store.start_removal(job)
    world.let_pass(100)

    assert claim(world, job) is None
    assert (taken(world), lost(world), world.store.next_due("a1", Line.BULK)) == ([], [], None)


def test_a_change_and_a_claim_at_once_are_won_by_one(world: JobWorld) -> None:
    for _ in range(5):
        (job,) = added(world)
        cancelled = job.cancel(at=present())

        def begin(number: int, job: Job = job, cancelled: Job = cancelled) -> object:
            return claim(world, job) is not None if number % 2 else world.store.change(job, cancelled)

        assert at_once(begin, threads=8).count(True) == 1


def test_the_holder_is_told_that_the_job_is_to_be_cancelled(world: JobWorld) -> None:
    (job,) = added(world)
    assert not world.store.request_cancel(job)
    mine = claimed(world, job)
    assert not world.store.checkpoint(mine, lease_s=LEASE_S)

    assert world.store.request_cancel(mine)

    assert world.store.get(job.job_id, account_id="a1").cancel_requested
    assert world.store.checkpoint(mine.advance(PAGE, at=present()), lease_s=LEASE_S)


SELECTION = Selection(properties=("email", "$a.b"), types=("string/text", "date/date"), is_all=True, missing=("gone",))


def test_a_selection_is_stored_once_and_stays_whatever_is_written_after_it(world: JobWorld) -> None:
    (job,) = added(world)
    mine = claimed(world, job).with_selection(SELECTION, calls=2)

    world.store.record_selection(mine, lease_s=LEASE_S)

    assert world.store.get(job.job_id, account_id="a1").selection == SELECTION
    assert world.store.get(job.job_id, account_id="a1").totals.calls == {"200": 2}
    moved = mine.advance(PAGE, at=present())
    world.store.checkpoint(moved, lease_s=LEASE_S)
    world.store.release(moved)
    again = claimed(world, job, worker="w2")
    assert (again.selection, again.progress.pages) == (SELECTION, 1)


def test_who_lost_the_lease_stores_no_selection(world: JobWorld) -> None:
    (job,) = added(world)
    mine = claimed(world, job)
    world.let_pass(LEASE_S + 1)
    claimed(world, job, worker="w2")

    with pytest.raises(LeaseLostError):
        world.store.record_selection(mine.with_selection(SELECTION, calls=0), lease_s=LEASE_S)

    found = world.store.find(job.job_id)
    assert found is not None
    assert found.selection is None


def test_lists_come_without_selections(world: JobWorld) -> None:
    (job,) = added(world)
    world.store.record_selection(claimed(world, job).with_selection(SELECTION, calls=0), lease_s=LEASE_S)

    listed = world.store.newest(JobQuery(account_id="a1", limit=10))

    assert [each.selection for each in listed if each.job_id == job.job_id] == [None]


def test_a_lease_that_is_marked_keeps_its_holder_from_counting_pages_unseen(world: JobWorld) -> None:
    (job,) = added(world)
    world.store.mark_leases(MARKED)  # nobody holds it yet
    mine = claimed(world, job)
    moved = mine.advance(PAGE, at=present())
    assert not world.store.checkpoint(moved, lease_s=LEASE_S, unless_marked=True)
    for other in (replace(MARKED, account_id="a2"), replace(MARKED, export_type=DEALS)):
        world.store.mark_leases(other)
    world.store.checkpoint(moved, lease_s=LEASE_S, unless_marked=True)

    world.store.mark_leases(MARKED)
    world.store.mark_leases(MARKED)

    with pytest.raises(ErasureAskedError):
        world.store.checkpoint(moved.advance(PAGE, at=present()), lease_s=LEASE_S, unless_marked=True)
    assert world.store.get(job.job_id, account_id="a1").progress.pages == 1
    world.store.checkpoint(moved.advance(PAGE, at=present()), lease_s=LEASE_S)
    assert world.store.get(job.job_id, account_id="a1").progress.pages == 2


def test_a_mark_goes_with_its_lease_and_outlives_what_renews_that(world: JobWorld) -> None:
    (job,) = added(world)
    mine = claimed(world, job)
    world.store.mark_leases(MARKED)
    world.store.renew(mine, lease_s=LEASE_S)
    world.store.checkpoint(mine, lease_s=LEASE_S)
    with pytest.raises(ErasureAskedError):
        world.store.checkpoint(mine, lease_s=LEASE_S, unless_marked=True)
    world.let_pass(LEASE_S + 1)
    other = claimed(world, job, worker="w2")
    world.store.checkpoint(other, lease_s=LEASE_S, unless_marked=True)
    with pytest.raises(LeaseLostError):
        world.store.checkpoint(mine, lease_s=LEASE_S, unless_marked=True)


def test_who_takes_a_job_over_is_told_as_well(world: JobWorld) -> None:
    (job,) = added(world)
    world.store.request_cancel(claimed(world, job))
    world.let_pass(LEASE_S + 1)
    assert claimed(world, job).cancel_requested


def test_a_job_that_is_to_be_cancelled_is_not_kept_waiting(world: JobWorld) -> None:
    (job,) = added(world)
    mine = claimed(world, job)
    world.store.request_cancel(mine)

    world.store.release(mine.wait(3600, reason="x", at=present()), resume_in_s=3600)

    assert taken(world) == [job.job_id]
    assert claimed(world, job).cancel_requested


def test_what_was_left_half_done_is_given_to_one_when_it_has_been_quiet(world: JobWorld) -> None:
    long_ago = present() - timedelta(hours=1)
    jobs = [replace(new_job(), updated_at=long_ago) for _ in range(5)]
    for job in jobs:
        world.store.add(job)
    removed, endless, settled, lately, _untouched = jobs
    world.store.start_removal(removed)
    cancelled = endless.cancel(at=long_ago)
    world.store.change(endless, cancelled)
    world.store.change(settled, settled.cancel(at=long_ago).expire(after=timedelta(days=9)))
    world.store.change(lately, lately.cancel(at=present() + timedelta(hours=1)))

    assert world.store.take_interrupted(quiet_s=60, limit=10) == ([], [])
    world.let_pass(61)
    gone, endless_jobs = world.store.take_interrupted(quiet_s=60, limit=10)
    assert (gone, {job.job_id for job in endless_jobs}) == ([removed.job_id], {cancelled.job_id, lately.job_id})
    assert world.store.take_interrupted(quiet_s=60, limit=10) == ([], [])


def test_marking_jobs_changes_nothing_that_can_be_read(store: JobStore) -> None:
    job = new_job()
    store.add(job)
    store.mark_unpublished([job, new_job()])
    store.mark_unpublished([])

    assert store.get(job.job_id, account_id="a1") == job


# Listing


ALL = JobQuery(account_id="a1", limit=100)


def listed(world: JobWorld, wanted: JobQuery = ALL) -> list[str]:
    return [job.job_id for job in world.store.newest(wanted)]


def created(world: JobWorld, *seconds_ago: int, export_type: ExportType = CONTACTS) -> list[Job]:
    """Add jobs that were created so long ago."""
    ages = [timedelta(seconds=age) for age in seconds_ago]
    jobs = [replace(new_job(export_type=export_type), created_at=present() - age) for age in ages]
    for job in jobs:
        world.store.add(job)
    return jobs


def test_jobs_are_listed_newest_first_and_as_they_stand(world: JobWorld) -> None:
    old, newest, middle = created(world, 3, 1, 2)
    claimed(world, middle)

    found = world.store.newest(JobQuery(account_id="a1", limit=2))

    assert found == [newest, world.store.get(middle.job_id, account_id="a1")]
    assert listed(world) == [newest.job_id, middle.job_id, old.job_id]


def test_jobs_created_at_once_have_an_order_all_the_same(world: JobWorld) -> None:
    at = present()
    jobs = [replace(new_job(), created_at=at) for _ in range(5)]
    for job in jobs:
        world.store.add(job)

    assert listed(world) == sorted((job.job_id for job in jobs), reverse=True)


def test_a_list_goes_on_after_any_place_whatever_came_meanwhile(world: JobWorld) -> None:
    at = present() - timedelta(seconds=1)  # what comes meanwhile is newer than all of these
    jobs = [replace(new_job(), created_at=at - timedelta(seconds=number // 3)) for number in range(10)]
    for job in jobs:
        world.store.add(job)
    whole = listed(world)

    for number, job_id in enumerate(whole):
        sort_key = world.store.get(job_id, account_id="a1").sort_key
        created(world, 0)
        assert listed(world, replace(ALL, after=sort_key)) == whole[number + 1 :]
        assert listed(world, replace(ALL, after=sort_key, limit=2)) == whole[number + 1 : number + 3]


def test_a_list_goes_on_after_a_job_that_was_removed_meanwhile(world: JobWorld) -> None:
    _, second, third = created(world, 1, 2, 3)
    world.store.start_removal(second)

    assert listed(world, replace(ALL, after=second.sort_key)) == [third.job_id]


def test_jobs_are_narrowed_down_by_status_and_type(world: JobWorld) -> None:
    (contacts,) = created(world, 1)
    (deals,) = created(world, 2, export_type=DEALS)
    (cancelled,) = created(world, 3, export_type=DEALS)
    world.store.change(cancelled, cancelled.cancel(at=present()))
    queued = replace(ALL, statuses=frozenset({JobStatus.QUEUED}))
    ended = replace(ALL, statuses=frozenset({JobStatus.FAILED, JobStatus.CANCELLED}))
    of_deals = frozenset({"deals"})

    assert listed(world, queued) == [contacts.job_id, deals.job_id]
    assert listed(world, ended) == [cancelled.job_id]
    assert listed(world, replace(ALL, statuses=queued.statuses | ended.statuses)) == listed(world)
    assert listed(world, replace(ALL, types=of_deals)) == [deals.job_id, cancelled.job_id]
    assert listed(world, replace(queued, types=of_deals)) == [deals.job_id]
    assert listed(world, replace(ALL, types=frozenset({"notes", "sync"}))) == []


@pytest.mark.parametrize("account_id", ["a2", "", "A1", "$a1"])
def test_another_accounts_jobs_are_not_listed(world: JobWorld, account_id: str) -> None:
    created(world, 1)

    assert listed(world, replace(ALL, account_id=account_id)) == []


def test_what_was_removed_or_has_expired_is_not_listed(world: JobWorld) -> None:
    removed, finished, expired = created(world, 1, 2, 3)
    world.store.start_removal(removed)
    for job, ends_in in ((finished, timedelta(hours=1)), (expired, timedelta(hours=-1))):
        world.store.change(job, job.cancel(at=present()).expire(after=ends_in))

    assert listed(world) == [finished.job_id]


# Claiming


def test_a_claim_starts_a_job(world: JobWorld) -> None:
    (job,) = added(world)
    at = job.created_at + timedelta(seconds=5)

    mine = world.store.claim(job.job_id, worker="$epoch", lease_s=LEASE_S, at=at)

    lease = Lease(owner="$epoch", epoch=1)
    assert mine == replace(
        job, status=JobStatus.RUNNING, lease=lease, patience=Patience(attempts=1), started_at=at, updated_at=at
    )
    assert world.store.get(job.job_id, account_id="a1") == mine


def test_a_job_that_is_held_cannot_be_claimed_again(world: JobWorld) -> None:
    (job,) = added(world)
    mine = claimed(world, job)

    world.let_pass(LEASE_S - 5)

    assert claim(world, job) is None
    assert world.store.get(job.job_id, account_id="a1") == mine


def test_an_unknown_job_cannot_be_claimed(world: JobWorld) -> None:
    assert claim(world, new_job()) is None


def test_a_lapsed_lease_can_be_taken_over_which_is_a_resume_with_a_new_epoch(world: JobWorld) -> None:
    (job,) = added(world)
    first = claimed(world, job).advance(PAGE, at=present())
    world.store.checkpoint(first, lease_s=LEASE_S)
    world.let_pass(LEASE_S + 1)

    second = claimed(world, job, worker="w2")

    assert second.lease == Lease(owner="w2", epoch=2)
    assert (second.resumes, second.started_at, second.progress) == (1, first.started_at, first.progress)


def test_many_claims_at_once_are_won_by_one(world: JobWorld) -> None:
    for _ in range(5):
        (job,) = added(world)

        won = at_once(lambda number, job=job: claim(world, job, worker=f"w{number}"), threads=12)  # type: ignore[misc]

        assert len([each for each in won if each is not None]) == 1
        assert world.store.get(job.job_id, account_id="a1").epoch == 1


def test_many_takers_of_a_lapsed_lease_are_one_winner(world: JobWorld) -> None:
    (job,) = added(world)
    claimed(world, job)
    world.let_pass(LEASE_S + 1)

    won = at_once(lambda number: claim(world, job, worker=f"w{number}"), threads=12)

    assert len([each for each in won if each is not None]) == 1
    assert world.store.get(job.job_id, account_id="a1").resumes == 1


# Checkpoints


def test_a_checkpoint_stores_progress_and_keeps_the_lease_alive(world: JobWorld) -> None:
    (job,) = added(world)
    moved = claimed(world, job).advance(PAGE, at=present())
    world.let_pass(LEASE_S - 5)

    world.store.checkpoint(moved, lease_s=LEASE_S)

    world.let_pass(LEASE_S - 5)
    assert claim(world, job) is None
    assert world.store.get(job.job_id, account_id="a1") == moved


def test_a_checkpoint_stores_what_the_job_is_thought_to_come_to(world: JobWorld) -> None:
    (job,) = added(world)
    held = claimed(world, job)

    world.store.checkpoint(replace(held, estimate=ESTIMATE), lease_s=LEASE_S)

    assert world.store.get(job.job_id, account_id="a1").estimate == ESTIMATE


def test_a_job_that_was_stored_before_there_were_estimates_has_none(mongo_database: MongoDatabase) -> None:
    store, job = MongoJobStore(mongo_database), new_job()
    store.add(job)
    mongo_database[COLLECTION].update_one({}, {"$unset": {"estimate": True}})

    assert store.get(job.job_id, account_id="a1") == job


def test_a_checkpoint_stores_the_api_that_the_job_reads(world: JobWorld) -> None:
    (job,) = added(world)
    held = claimed(world, job)

    world.store.checkpoint(replace(held, api=CrmApi.DATED), lease_s=LEASE_S)

    assert world.store.get(job.job_id, account_id="a1").api is CrmApi.DATED


def test_a_job_of_a_version_before_knows_the_api_that_it_was_read_by(mongo_database: MongoDatabase) -> None:
    store, job = MongoJobStore(mongo_database), new_job()
    read = replace(job.progress, pages=2, offset=7)
    store.add(replace(job, api=CrmApi.DATED, progress=read, totals=ExportTotals(apis=("legacy", "dated"))))
    mongo_database[COLLECTION].update_one({}, {"$unset": {"api": True, "progress.api": True}})

    found = store.get(job.job_id, account_id="a1")

    assert (found.api, found.last_api) == (None, CrmApi.DATED)


def done(**changes: object) -> Job:
    """Return a complete export of deals with these changes, of an id that no other has."""
    at = present()
    whole = finished_export(at, export_type=DEALS, pages=2, records=300, took_s=4)
    return replace(whole, job_id=new_job().job_id, **changes)  # type: ignore[arg-type]  # fields that there are


def test_the_last_complete_export_is_the_one_that_ended_last(store: JobStore) -> None:
    now = present()
    first, second = (done(finished_at=now - timedelta(hours=hours)) for hours in (3, 1))
    for job in (second, first):
        store.add(job)

    assert store.last_complete("a1", "u1", DEALS) == second
    assert store.last_complete_of_each("a1", "u1", tuple(DOCUMENTED_TYPES)) == {DEALS: second}
    contacts = done(export_type=CONTACTS, hub_id=111)
    store.add(contacts)
    found = store.last_complete_of_each("a1", "u1", tuple(DOCUMENTED_TYPES), hub_id=111)
    assert found == {DEALS: second, CONTACTS: contacts}
    assert store.last_complete_of_each("a1", "u1", [CONTACTS], hub_id=222) == {}


def test_only_complete_exports_of_the_same_count_as_complete(store: JobStore) -> None:
    receipt = done().receipt
    assert receipt is not None
    incomplete = replace(receipt, complete=False, incomplete_because="a limit was reached")
    for other in (
        done(receipt=incomplete),
        done(receipt=None),
        done(kind=JobKind.PAGE),
        done(owner="u2"),
        done(account_id="a2"),
        done(export_type=NOTES),
        done(request=replace(done().request, archived=True)),
        new_job(export_type=DEALS),
    ):
        store.add(other)

    assert store.last_complete("a1", "u1", DEALS) is None


def test_a_checkpoint_may_be_written_twice(world: JobWorld) -> None:
    (job,) = added(world)
    moved = claimed(world, job).advance(PAGE, at=present())

    for _ in range(2):
        world.store.checkpoint(moved, lease_s=LEASE_S)

    assert world.store.get(job.job_id, account_id="a1") == moved


def test_a_holder_whose_lease_lapsed_may_go_on_while_nobody_took_over(world: JobWorld) -> None:
    (job,) = added(world)
    moved = claimed(world, job).advance(PAGE, at=present())
    world.let_pass(LEASE_S + 1)

    world.store.checkpoint(moved, lease_s=LEASE_S)

    assert claim(world, job) is None


def test_a_holder_that_was_overtaken_writes_nothing_any_more(world: JobWorld) -> None:
    (job,) = added(world)
    old = claimed(world, job)
    world.let_pass(LEASE_S + 1)
    new = claimed(world, job, worker="w2")

    with pytest.raises(LeaseLostError):
        world.store.checkpoint(old.advance(PAGE, at=present()), lease_s=LEASE_S)
    with pytest.raises(LeaseLostError):
        world.store.renew(old, lease_s=LEASE_S)
    for left in (old, old.succeed(at=present()), old.wait(9, reason="x", at=present())):
        with pytest.raises(LeaseLostError):
            world.store.release(left)

    assert world.store.get(job.job_id, account_id="a1") == new


def test_a_job_that_was_never_stored_has_no_lease(world: JobWorld) -> None:
    job = replace(new_job(), status=JobStatus.RUNNING, lease=Lease(owner="w1", epoch=1))
    with pytest.raises(LeaseLostError):
        world.store.checkpoint(job, lease_s=LEASE_S)
    with pytest.raises(LeaseLostError):
        world.store.release(job)


@pytest.mark.parametrize("ending", ["succeeds", "fails"])
def test_a_job_that_has_ended_gives_its_lease_up_and_is_never_claimed_again(world: JobWorld, ending: str) -> None:
    (job,) = added(world)
    mine = claimed(world, job)
    body = {"$set": {"a.b": [1, 2.5, None, True, "$x"]}, "": "ü"}
    error = FatalHubSpotError("$message", status=403, body=body)  # type: ignore[arg-type]
    moved = mine.advance(LAST_PAGE, at=present())
    ended = moved.succeed(at=present()) if ending == "succeeds" else moved.fail(error, at=present())
    ended = ended.expire(after=timedelta(days=30))

    world.store.release(ended)

    assert world.store.get(job.job_id, account_id="a1") == replace(ended, lease=None)
    world.let_pass(LEASE_S + 1)
    assert claim(world, job) is None
    with pytest.raises(LeaseLostError):
        world.store.checkpoint(mine, lease_s=LEASE_S)
    with pytest.raises(LeaseLostError):
        world.store.renew(mine, lease_s=LEASE_S)


def test_a_waiting_job_is_claimed_when_it_is_due_and_no_sooner(world: JobWorld) -> None:
    (job,) = added(world)
    mine = replace(claimed(world, job), patience=Patience(attempts=2))
    waiting = mine.wait(60, reason="rate_limit", at=present())
    world.store.release(waiting, resume_in_s=60)
    stored = world.store.get(job.job_id, account_id="a1")
    assert stored.resume_at is not None
    assert abs((stored.resume_at - present()).total_seconds() - 60) < 5
    assert stored == replace(waiting, lease=None, resume_at=stored.resume_at)

    world.let_pass(50)
    assert claim(world, job) is None

    world.let_pass(15)
    again = claimed(world, job, worker="w2")
    assert (again.lease, again.resumes) == (Lease(owner="w2", epoch=2), 0)
    assert (again.attempts, again.resume_at, again.reason) == (2, None, None)


def test_a_released_job_can_be_claimed_at_once_which_is_no_resume(world: JobWorld) -> None:
    (job,) = added(world)
    moved = claimed(world, job).advance(PAGE, at=present())

    world.store.release(moved)

    assert world.store.get(job.job_id, account_id="a1") == replace(moved, lease=None)
    again = claimed(world, job, worker="w2")
    assert (again.lease, again.resumes, again.progress) == (Lease(owner="w2", epoch=2), 0, moved.progress)


# Turns of accounts


def turn(world: JobWorld, *, account_id: str = "a1", line: Line = Line.BULK) -> AccountTurn:
    """Publish a turn now."""
    return AccountTurn(account_id=account_id, line=line, as_of=world.store.now())


ANY = AccountTurn(account_id="a1", line=Line.BULK)


def taken_by(world: JobWorld, its: AccountTurn) -> Job | None:
    return world.store.claim_next(its, worker="w1", lease_s=LEASE_S, at=present())


def claimed_by(world: JobWorld, its: AccountTurn) -> str | None:
    job = taken_by(world, its)
    return job.job_id if job is not None else None


def test_a_turn_is_for_the_job_of_its_account_and_line_that_has_been_ready_for_longest(world: JobWorld) -> None:
    at = present() - timedelta(minutes=1)
    late, early = (replace(new_job(), created_at=at + timedelta(seconds=age)) for age in (2, 1))
    other, page = new_job(account_id="a2"), replace(new_job(), kind=JobKind.PAGE)
    world.store.add_all([late, early, other, page])
    its = turn(world)

    assert [claimed_by(world, its) for _ in range(3)] == [early.job_id, late.job_id, None]
    assert claimed_by(world, turn(world, line=Line.INTERACTIVE)) == page.job_id
    assert claimed_by(world, turn(world, line=Line.SYNC)) is None


def test_a_job_is_claimed_by_a_turn_as_by_its_id(world: JobWorld) -> None:
    (job,) = added(world)
    mine = taken_by(world, turn(world))
    assert mine is not None
    assert (mine.lease, mine.status, mine.attempts) == (Lease(owner="w1", epoch=1), JobStatus.RUNNING, 1)
    assert world.store.get(job.job_id, account_id="a1") == mine


def test_jobs_of_an_account_take_turns_among_themselves(world: JobWorld) -> None:
    first, second = (job.job_id for job in added(world, 2))
    order = []
    for _ in range(4):
        world.let_pass(1)
        mine = taken_by(world, turn(world))
        assert mine is not None
        order.append(mine.job_id)
        world.store.release(mine)
    assert order == [first, second, first, second]


def test_a_turn_is_not_for_a_job_that_has_had_one_since_it_was_published(world: JobWorld) -> None:
    added(world)
    its = turn(world)
    world.let_pass(1)
    mine = taken_by(world, its)
    assert mine is not None
    world.store.release(mine)
    too_many = replace(its, as_of=world.store.now() - timedelta(seconds=1))

    assert claimed_by(world, too_many) is None
    assert claimed_by(world, turn(world)) == mine.job_id


def test_a_turn_without_an_instant_is_for_any_job_that_is_ready(world: JobWorld) -> None:
    (job,) = added(world)
    world.store.release(claimed(world, job))
    assert claimed_by(world, ANY) == job.job_id
    assert claimed_by(world, ANY) is None


def test_a_waiting_job_has_no_turn_before_its_time(world: JobWorld) -> None:
    (job,) = added(world)
    world.store.release(claimed(world, job).pause(10, reason="x", at=present()), resume_in_s=10)
    assert (claimed_by(world, turn(world)), world.store.next_due("a1", Line.BULK)) == (None, None)

    world.let_pass(11)
    assert claimed_by(world, turn(world)) == job.job_id


def test_an_account_has_no_more_turns_than_slots(world: JobWorld) -> None:
    held, _ = added(world, 2)
    other = new_job(account_id="a2")
    world.store.add(other)
    assert world.store.has_turn(turn(world), most=1)
    mine = claimed(world, held)

    assert not world.store.has_turn(turn(world), most=1)
    assert not world.store.has_turn(ANY, most=1)
    assert world.store.has_turn(turn(world), most=2)
    assert world.store.has_turn(turn(world), most=0)
    assert world.store.has_turn(turn(world, account_id="a2"), most=1)
    assert world.store.has_turn(turn(world, line=Line.INTERACTIVE), most=1)

    world.store.release(mine.succeed(at=present()))
    world.let_pass(1)
    assert world.store.has_turn(turn(world), most=1)


def test_a_dead_workers_slots_are_free_when_its_leases_have_lapsed(world: JobWorld) -> None:
    claimed(world, added(world)[0])
    world.let_pass(LEASE_S + 1)
    assert world.store.has_turn(turn(world), most=1)


def test_a_turn_is_void_once_the_account_has_begun_a_job_since_it_was_published(world: JobWorld) -> None:
    job, _ = added(world, 2)
    its = turn(world)
    world.store.release(claimed(world, job).succeed(at=present()))
    late = replace(its, as_of=world.store.now() - timedelta(minutes=1))

    assert not world.store.has_turn(late, most=8)
    assert not world.store.has_turn(late, most=0)
    assert world.store.has_turn(replace(late, account_id="a2"), most=8)
    assert world.store.has_turn(replace(late, line=Line.INTERACTIVE), most=8)
    assert world.store.has_turn(ANY, most=8)
    world.let_pass(100)
    assert world.store.has_turn(turn(world), most=8)


def test_a_job_whose_lease_has_lapsed_has_its_turn_once_a_sweep_has_found_it(world: JobWorld) -> None:
    (job,) = added(world)
    claimed(world, job)
    world.let_pass(LEASE_S + 1)
    assert taken(world) == [job.job_id]

    again = taken_by(world, turn(world))

    assert again is not None
    assert (again.job_id, again.resumes, again.abandoned_leases) == (job.job_id, 1, 1)


def test_a_job_whose_worker_died_goes_before_those_of_its_account_that_wait(world: JobWorld) -> None:
    at = present() - timedelta(hours=1)
    died, waits = (replace(new_job(), created_at=at + timedelta(minutes=age)) for age in (0, 1))
    world.store.add_all([died, waits])
    claimed(world, died)
    world.let_pass(LEASE_S + 1)
    taken(world)

    its = turn(world)

    assert [claimed_by(world, its) for _ in range(3)] == [died.job_id, waits.job_id, None]


def test_many_turns_at_once_are_for_a_job_each(world: JobWorld) -> None:
    jobs = added(world, 5)
    its = turn(world)

    found = at_once(lambda _: claimed_by(world, its), threads=12)

    assert sorted(str(each) for each in found if each is not None) == sorted(job.job_id for job in jobs)


def test_a_claim_by_a_turn_is_withdrawn_by_its_own_name_alone(world: JobWorld) -> None:
    (job,) = added(world)
    assert taken_by(world, ANY) is not None
    assert not world.store.withdraw_claim(ANY, worker="another")

    assert world.store.withdraw_claim(ANY, worker="w1")

    assert taken(world) == [job.job_id]
    again = taken_by(world, ANY)
    assert again is not None
    assert (again.abandoned_leases, again.resumes, again.epoch) == (0, 0, 2)


def test_the_next_job_of_an_account_is_read_and_not_claimed(world: JobWorld) -> None:
    first, second = added(world, 2)
    claimed(world, first)
    for _ in range(2):
        assert world.store.next_due("a1", Line.BULK) == second
    assert world.store.next_due("a2", Line.BULK) is None
    assert world.store.next_due("a1", Line.INTERACTIVE) is None


# Sweeping

FAR = timedelta(days=1)


def taken(world: JobWorld, *, limit: int = 100) -> list[str]:
    return [job.job_id for job in world.store.take_due(limit=limit)]


def lost(world: JobWorld, *, most: int = 8, limit: int = 100, line: Line = Line.BULK) -> list[str]:
    """Take what has lost its message if all that was published up to now has been delivered."""
    return [job.job_id for job in world.store.take_lost({line: present() + FAR}, most=most, limit=limit)]


def test_a_new_job_counts_as_published_by_whoever_has_stored_it(world: JobWorld) -> None:
    (job,) = added(world)
    assert taken(world) == []
    assert lost(world) == [job.job_id]


def test_what_was_published_after_the_mark_is_not_lost(world: JobWorld) -> None:
    (job,) = added(world)

    def lost_before_the_mark() -> list[str]:
        sent_at = world.store.now() - timedelta(seconds=5)
        return [each.job_id for each in world.store.take_lost({Line.BULK: sent_at}, most=8, limit=9)]

    assert lost_before_the_mark() == []
    world.let_pass(10)
    assert lost_before_the_mark() == [job.job_id]
    assert lost_before_the_mark() == []


def test_each_line_has_messages_of_its_own(world: JobWorld) -> None:
    page = replace(new_job(), kind=JobKind.PAGE)
    world.store.add(page)
    added(world)
    assert lost(world, line=Line.INTERACTIVE) == [page.job_id]
    assert lost(world, line=Line.SYNC) == []
    assert world.store.take_lost({}, most=8, limit=9) == []


def test_the_age_of_the_oldest_message_that_a_job_waits_for_is_known(world: JobWorld) -> None:
    assert world.store.oldest_queued_s(Line.BULK) is None
    added(world)
    world.let_pass(60)
    added(world)
    age_s = world.store.oldest_queued_s(Line.BULK)
    assert age_s is not None
    assert 60 <= age_s < 90


def test_jobs_of_an_account_that_has_begun_one_since_the_mark_are_left_to_whoever_has(world: JobWorld) -> None:
    begun, waiting = added(world, 2)
    world.let_pass(10)
    sent_at = world.store.now() - timedelta(seconds=5)
    claimed(world, begun)

    assert world.store.take_lost({Line.BULK: sent_at}, most=8, limit=9) == []
    assert world.store.take_lost({Line.BULK: sent_at}, most=0, limit=9) == []
    assert lost(world) == [waiting.job_id]


def test_jobs_of_an_account_that_has_all_of_its_slots_are_left_alone_for_a_minute(world: JobWorld) -> None:
    held, waiting = added(world, 2)
    other = new_job(account_id="a2")
    world.store.add(other)
    mine = claimed(world, held)

    assert lost(world, most=1) == [other.job_id]
    soon = {Line.BULK: world.store.now() + timedelta(seconds=30)}
    assert [job.job_id for job in world.store.take_lost(soon, most=1, limit=9)] == [other.job_id]

    world.store.release(mine.succeed(at=present()))
    world.let_pass(61)
    assert set(lost(world, most=1)) == {waiting.job_id, other.job_id}


def test_a_job_that_was_not_published_is_taken_without_a_pause_and_once(world: JobWorld) -> None:
    job, _ = added(world, 2)
    world.store.mark_unpublished([job])

    assert taken(world) == [job.job_id]
    assert taken(world) == []


def test_a_job_that_was_published_meanwhile_is_not_taken(world: JobWorld) -> None:
    (job,) = added(world)
    world.store.mark_unpublished([job])
    world.store.mark_published(job)

    assert taken(world) == []
    assert lost(world) == [job.job_id]


def test_what_is_taken_tells_whose_it_is_and_where_it_waits(world: JobWorld) -> None:
    (job,) = added(world)
    world.store.mark_unpublished([job])
    assert world.store.take_due(limit=1) == [DueJob(job_id=job.job_id, account_id="a1", line=Line.BULK)]


def test_a_job_that_is_held_is_left_alone_until_its_lease_lapses(world: JobWorld) -> None:
    (job,) = added(world)
    claimed(world, job)
    world.store.mark_unpublished([job])
    assert (taken(world), lost(world)) == ([], [])

    world.let_pass(LEASE_S + 1)
    assert taken(world) == [job.job_id]


def test_a_job_whose_holder_is_gone_is_taken_at_once_and_once(world: JobWorld) -> None:
    (job,) = added(world)
    claimed(world, job)
    world.let_pass(LEASE_S + 1)

    assert taken(world) == [job.job_id]
    assert taken(world) == []
    assert lost(world) == [job.job_id]


def test_a_renewed_lease_lasts_from_then_on(world: JobWorld) -> None:
    (job,) = added(world)
    mine = claimed(world, job)
    for _ in range(3):
        world.let_pass(LEASE_S - 5)
        world.store.renew(mine, lease_s=LEASE_S)
    assert claim(world, job) is None
    assert taken(world) == []


def test_a_dropped_job_is_as_its_last_checkpoint_left_it_and_free_at_once(world: JobWorld) -> None:
    (job,) = added(world)
    moved = claimed(world, job).advance(PAGE, at=present())
    world.store.checkpoint(moved, lease_s=LEASE_S)

    world.store.drop(moved.advance(PAGE, at=present()))

    dropped = world.store.get(job.job_id, account_id="a1")
    assert dropped == replace(moved, lease=None, patience=replace(moved.patience, attempts=moved.attempts + 1))
    assert taken(world) == [job.job_id]
    assert claimed(world, job).resumes == 0
    with pytest.raises(LeaseLostError):
        world.store.drop(moved)


def test_a_claim_is_withdrawn_by_its_own_name_alone(world: JobWorld) -> None:
    (job,) = added(world)
    claimed(world, job)
    assert not world.store.withdraw_claim(job.job_id, worker="another")
    assert claim(world, job) is None

    assert world.store.withdraw_claim(job.job_id, worker="w1")

    assert taken(world) == [job.job_id]
    again = claimed(world, job)
    assert (again.abandoned_leases, again.resumes, again.epoch) == (0, 0, 2)
    assert not world.store.withdraw_claim("unknown", worker="w1")


def test_a_job_that_a_wrong_clock_has_dated_is_ready_at_once(world: JobWorld) -> None:
    job = replace(new_job(), created_at=present() + timedelta(hours=1))
    world.store.add(job)
    assert world.store.next_due("a1", Line.BULK) == job
    assert lost(world) == [job.job_id]


def test_a_waiting_job_is_taken_as_soon_as_it_is_due(world: JobWorld) -> None:
    (job,) = added(world)
    world.store.release(claimed(world, job).pause(10, reason="x", at=present()), resume_in_s=10)
    assert (taken(world), lost(world), world.store.next_due("a1", Line.BULK)) == ([], [], None)

    world.let_pass(11)
    assert taken(world) == [job.job_id]


def test_a_released_job_counts_as_published(world: JobWorld) -> None:
    (job,) = added(world)
    world.store.release(claimed(world, job))
    assert taken(world) == []
    assert lost(world) == [job.job_id]


def test_a_job_that_has_ended_is_never_taken(world: JobWorld) -> None:
    (job,) = added(world)
    world.store.release(claimed(world, job).succeed(at=present()))
    world.store.mark_unpublished([job])
    world.let_pass(LEASE_S)

    assert (taken(world), lost(world)) == ([], [])


def test_those_that_waited_longest_are_taken_first_and_no_more_than_asked_for(world: JobWorld) -> None:
    ids = []
    for _ in range(4):
        (job,) = added(world)
        world.store.mark_unpublished([job])
        ids.append(job.job_id)
        world.let_pass(1)

    assert taken(world, limit=3) == ids[:3]
    assert taken(world, limit=3) == ids[3:]
    world.let_pass(1)
    assert lost(world, limit=3) == ids[:3]


def test_sweepers_at_once_leave_no_job_out(world: JobWorld) -> None:
    jobs = added(world, 40)
    world.store.mark_unpublished(jobs)

    while any(at_once(lambda _: taken(world, limit=15), threads=4)):
        pass

    assert sorted(lost(world)) == sorted(job.job_id for job in jobs)


def test_waiting_jobs_of_an_account_are_woken_for_the_next_sweep(mongo_database: MongoDatabase) -> None:
    jobs = MongoJobStore(mongo_database)
    for account_id in ("woken", "other"):
        jobs.add(job := new_job(account_id=account_id))
        held = jobs.claim(job.job_id, worker="w1", lease_s=LEASE_S, at=present())
        assert held is not None
        jobs.release(held.wait(86_400, reason="rate_limit", at=present()), resume_in_s=86_400)

    assert jobs.wake("woken") == 1

    assert [job.account_id for job in jobs.take_due(limit=9)] == ["woken"]


def test_the_last_complete_export_of_a_portal_is_of_no_other_one(store: JobStore) -> None:
    at = present()
    for number, hub_id in enumerate((None, 111, 222)):
        done = finished_export(at + timedelta(seconds=number), export_type=DEALS, pages=1, records=1, took_s=1.0)
        store.add(replace(done, job_id=f"done-{hub_id}", hub_id=hub_id))

    found = {hub_id: store.last_complete("a1", "u1", DEALS, hub_id=hub_id) for hub_id in (None, 111, 333)}

    assert {hub_id: job.job_id if job else None for hub_id, job in found.items()} == {
        None: "done-222",
        111: "done-111",
        333: "done-None",  # of an unknown one: it may be that
    }


def test_the_first_portal_that_is_told_of_a_job_stays(store: JobStore) -> None:
    job = new_job()
    store.add(job)

    assert store.record_portal(job.job_id, 111) == 111
    assert store.record_portal(job.job_id, 222) == 111
    found = store.find(job.job_id)
    assert found is not None
    assert found.hub_id == 111


def test_a_portal_is_not_settled_for_a_job_that_is_gone(store: JobStore) -> None:
    assert store.record_portal("nobody's", 111) is None


def test_open_jobs_of_an_account_are_counted_up_to_a_bound_and_a_sync_as_one(store: JobStore) -> None:
    own, other = [new_job(account_id="counted") for _ in range(4)], new_job(account_id="another")
    ended = replace(new_job(account_id="counted"), status=JobStatus.SUCCEEDED)
    child = replace(new_job(account_id="counted"), parent_id="a sync")
    waiting = replace(new_job(account_id="counted"), status=JobStatus.WAITING)
    store.add_all([*own, other, ended, child, waiting])

    assert store.count_open("counted", most=1000) == 5
    assert store.count_open("counted", most=3) == 3
    assert store.count_open("nobody", most=3) == 0


def test_states_of_jobs_are_read_without_those_that_are_gone(store: JobStore) -> None:
    queued, ended, removed = new_job(), replace(new_job(), status=JobStatus.FAILED), new_job()
    store.add_all([queued, ended, removed])
    store.start_removal(removed)

    found = store.states_of([queued.job_id, ended.job_id, removed.job_id, "unknown"])

    assert found == {queued.job_id: JobStatus.QUEUED, ended.job_id: JobStatus.FAILED}
    assert store.states_of([]) == {}


def test_bytes_of_finished_jobs_are_added_up_by_account(store: JobStore) -> None:
    sizes = {"one": [5, 7], "two": [2**40], "three": [0]}
    ended = [
        replace(new_job(account_id=account_id), status=JobStatus.SUCCEEDED, totals=ExportTotals(bytes=size))
        for account_id, of_account in sizes.items()
        for size in of_account
    ]
    running = replace(new_job(account_id="one"), status=JobStatus.RUNNING, totals=ExportTotals(bytes=100))
    store.add_all([*ended, running])

    assert store.stored_bytes_of(["one", "two", "three", "nobody"]) == {"one": 12, "two": 2**40}


def test_bytes_are_noted_by_whoever_ends_a_job(store: JobStore) -> None:
    job = new_job(account_id="ended")
    store.add(job)
    claimed = store.claim(job.job_id, worker="w1", lease_s=LEASE_S, at=present())
    assert claimed is not None
    read = replace(claimed, totals=ExportTotals(bytes=30))
    store.checkpoint(read, lease_s=LEASE_S)
    assert store.stored_bytes_of(["ended"]) == {}

    store.release(read.fail(FatalHubSpotError("no"), at=present()))

    assert store.stored_bytes_of(["ended"]) == {"ended": 30}
