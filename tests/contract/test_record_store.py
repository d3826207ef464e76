"""RecordStore: the fake and the real one keep the current copy alike, and show its changes in their order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Event
from typing import Any

import pytest

from tests.contract.stores import present
from tests.fakes.clock import ManualClock
from tests.fakes.records import InMemoryRecordStore, InMemoryTransactions
from tests.patience import PATIENCE_S
from worker.current_copy.interfaces import RecordStore, Transactions
from worker.current_copy.mongo.records import COPIES, MongoRecordStore
from worker.current_copy.record import ChangePosition, CompleteSync, CopiedRecord, Missed, Record, Shown
from worker.errors import CopyBusyError, LeaseLostError, RecordNotFoundError
from worker.jobs.copy_progress import CopyProgress, SyncMode
from worker.mongo.database import Document, MongoDatabase
from worker.mongo.transactions import MongoTransactions
from worker.records.types import CONTACTS, DEALS, NOTES, CopyId

COPY = CopyId(account_id="a1", export_type=CONTACTS)


@dataclass(frozen=True)
class World:
    """A store with transactions over it."""

    store: RecordStore
    transactions: Transactions

    def change(self, work: Callable[[datetime], Any], *, copy: CopyId = COPY) -> datetime:
        """Do one change, and give its moment."""

        def in_transaction() -> datetime:
            moment = self.store.begin_change(copy)
            work(moment.at)
            return moment.at

        return self.transactions.run(in_transaction)

    def insert(self, *numbers: int, copy: CopyId = COPY, sync_id: str = "s1") -> datetime:
        return self.change(lambda at: self.store.insert(copy, records(numbers), at=at, sync_id=sync_id), copy=copy)

    def replace(self, *numbers: int, value: str, sync_id: str = "s2") -> datetime:
        return self.change(lambda at: self.store.replace(COPY, records(numbers, value), at=at, sync_id=sync_id))

    def mark_deleted(self, *numbers: int, unless_since: datetime | None = None) -> int:
        buried: list[int] = []
        ends_at = unless_since or present() + timedelta(days=1)
        self.change(
            lambda at: buried.append(self.store.mark_deleted(COPY, numbers, unless_since=ends_at, at=at, sync_id="s3"))
        )
        return buried[-1]

    def erase(self, number: int) -> tuple[datetime, bool]:
        erased: list[bool] = []
        at = self.change(lambda at: erased.append(self.store.erase(COPY, number, at=at)))
        return at, erased[-1]

    def listed(
        self,
        *,
        shown: Shown = Shown.LIVING,
        since: datetime | None = None,
        after: ChangePosition | None = None,
        limit: int = 1000,
        copy: CopyId = COPY,
    ) -> list[int]:
        found = self.store.read(copy, shown=shown, since=since, after=after, limit=limit)
        return [record.record_id for record in found]


@pytest.fixture(params=["in memory", "mongo"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "in memory":
        store = InMemoryRecordStore(ManualClock(present()))
        return World(store, InMemoryTransactions(store))
    return in_mongo(request.getfixturevalue("mongo_database"))


def in_mongo(database: MongoDatabase) -> World:
    """Return a store without its indexes: they take longer to make than most tests."""
    return World(MongoRecordStore(database), MongoTransactions(database))


def records(numbers: Sequence[int], value: str = "v") -> list[Record]:
    return [Record.of(number, json.dumps({"vid": number, "value": value}).encode()) for number in numbers]


def test_a_record_is_read_as_it_was_put_in(world: World) -> None:
    at = world.insert(501)
    found = world.store.find(COPY, 501)
    assert json.loads(found.body) == {"vid": 501, "value": "v"}
    assert (found.synced_at, found.changed_at, found.deleted_at, found.sync_id) == (at, at, None, "s1")


@pytest.mark.parametrize("record_id", [0, 1, 10**9, 2**63 - 1])
def test_ids_of_any_size_are_found(world: World, record_id: int) -> None:
    world.insert(record_id)
    assert world.store.find(COPY, record_id).record_id == record_id
    assert list(world.store.ids(COPY, after=None, through=None)) == [record_id]


def test_what_was_never_there_is_not_found(world: World) -> None:
    with pytest.raises(RecordNotFoundError):
        world.store.find(COPY, 501)


def test_a_replaced_record_has_its_new_content_and_a_new_place(world: World) -> None:
    world.insert(1, 2)
    at = world.replace(1, value="new")
    found = world.store.find(COPY, 1)
    assert json.loads(found.body)["value"] == "new"
    assert (found.changed_at, found.synced_at, found.sync_id) == (at, at, "s2")
    assert world.listed() == [2, 1]


def test_it_is_known_what_is_held_under_an_id(world: World) -> None:
    at = world.insert(1, 2, 3)
    world.mark_deleted(2)
    known = world.store.known(COPY, [1, 2, 4])
    assert set(known) == {1, 2}
    assert known[1].digest == records([1])[0].digest
    assert (known[1].is_deleted, known[1].changed_at, known[1].sync_id) == (False, at, "s1")
    assert (known[2].is_deleted, known[2].sync_id) == (True, "s3")
    assert known[2].changed_at > at


def test_what_a_sync_has_missed_is_noted_once_and_changes_nothing_that_readers_see(world: World) -> None:
    world.insert(1, 2, 3)
    world.mark_deleted(3)
    before = world.store.read(COPY, shown=Shown.ALL, since=None, after=None, limit=9)
    first, second = (Missed(sync_id=name, at=present()) for name in ("s4", "s5"))

    world.change(lambda _: world.store.note_missed(COPY, [1, 3, 9], first))
    world.change(lambda _: world.store.note_missed(COPY, [1, 2], second))

    known = world.store.known(COPY, [1, 2, 3, 9])
    assert {record_id: held.missed for record_id, held in known.items()} == {1: first, 2: second, 3: None}
    assert world.store.read(COPY, shown=Shown.ALL, since=None, after=None, limit=9) == before


def test_that_a_record_was_missed_is_forgotten_when_it_is_found_replaced_or_deleted(world: World) -> None:
    world.insert(1, 2, 3, 4)
    world.change(lambda _: world.store.note_missed(COPY, [1, 2, 3, 4], Missed(sync_id="s4", at=present())))
    before = world.store.find(COPY, 1)

    world.change(lambda _: world.store.note_found(COPY, [1, 9]))
    world.replace(2, value="new")
    world.mark_deleted(3)

    known = world.store.known(COPY, [1, 2, 3, 4])
    assert [record_id for record_id, held in known.items() if held.missed is not None] == [4]
    assert world.store.find(COPY, 1) == before


def test_it_is_known_whether_a_feed_has_brought_what_is_held(world: World) -> None:
    world.insert(1, 2)
    world.change(lambda at: world.store.insert(COPY, records([3]), at=at, sync_id="s2", is_from_feed=True))
    world.change(lambda at: world.store.replace(COPY, records([2], "x"), at=at, sync_id="s2", is_from_feed=True))
    assert [held.is_from_feed for _, held in sorted(world.store.known(COPY, [1, 2, 3]).items())] == [False, True, True]
    world.replace(2, 3, value="y")
    assert not any(held.is_from_feed for held in world.store.known(COPY, [1, 2, 3]).values())


def test_the_kind_of_an_engagement_is_known(world: World) -> None:
    notes = CopyId(account_id="a1", export_type=NOTES)
    bodies = [
        b'{"engagement":{"id":1,"type":"CALL"}}',
        b'{"engagement":{"id":2,"type":7}}',
        b'{"engagement":"x"}',
        b"{}",
    ]
    found = [Record.of(number, body) for number, body in enumerate(bodies, start=1)]
    world.change(lambda at: world.store.insert(notes, found, at=at, sync_id="s1"), copy=notes)
    world.insert(1)
    kinds = {record_id: held.kind for record_id, held in world.store.known(notes, [1, 2, 3, 4]).items()}
    assert kinds == {1: "CALL", 2: None, 3: None, 4: None}
    assert world.store.known(COPY, [1])[1].kind is None


def test_a_buried_record_keeps_its_content_and_says_since_when_it_is_deleted(world: World) -> None:
    at = world.insert(1)
    assert world.mark_deleted(1) == 1
    found = world.store.find(COPY, 1)
    assert json.loads(found.body) == {"vid": 1, "value": "v"}
    assert found.deleted_at == found.changed_at
    assert found.synced_at == at < found.changed_at


def test_burying_again_or_what_is_not_there_changes_nothing(world: World) -> None:
    world.insert(1)
    assert [world.mark_deleted(1, 2), world.mark_deleted(1, 2)] == [1, 0]
    with pytest.raises(RecordNotFoundError):
        world.store.find(COPY, 2)


def test_what_has_changed_since_is_not_buried(world: World) -> None:
    world.insert(1)
    since = world.insert(2)
    world.replace(3, value="not there")
    assert world.mark_deleted(1, 2, unless_since=since) == 1
    assert world.listed() == [2]


def test_a_record_that_is_replaced_lives_again(world: World) -> None:
    world.insert(1)
    world.mark_deleted(1)
    world.replace(1, value="back")
    assert world.store.find(COPY, 1).deleted_at is None
    assert world.listed(shown=Shown.DELETED) == []


def test_a_list_shows_the_living_the_deleted_or_all(world: World) -> None:
    world.insert(1, 2, 3)
    world.mark_deleted(2)
    world.insert(4)
    assert world.listed() == [1, 3, 4]
    assert world.listed(shown=Shown.DELETED) == [2]
    assert world.listed(shown=Shown.ALL) == [1, 3, 2, 4]


@pytest.mark.parametrize("shown", list(Shown))
def test_a_list_goes_on_after_any_place(world: World, shown: Shown) -> None:
    world.insert(5, 1, 3)
    world.mark_deleted(3)
    world.insert(4, 2)
    world.mark_deleted(4)
    whole = world.store.read(COPY, shown=shown, since=None, after=None, limit=1000)
    order = [record.record_id for record in whole]
    for number, record in enumerate(whole):
        assert world.listed(shown=shown, after=record.place) == order[number + 1 :]
        assert world.listed(shown=shown, after=record.place, limit=1) == order[number + 1 : number + 2]


def test_a_list_begins_with_what_changed_at_an_instant(world: World) -> None:
    first, second = world.insert(1), world.insert(2)
    millisecond = timedelta(milliseconds=1)
    assert world.listed(since=first) == [1, 2]
    assert world.listed(since=second) == [2]
    assert world.listed(since=second + millisecond) == []
    assert world.listed(since=second, after=ChangePosition(first, 0)) == [2]
    assert world.listed(since=first, after=ChangePosition(second, 1)) == [2]


def test_ids_come_in_order_within_bounds_whether_deleted_or_not(world: World) -> None:
    world.insert(1000, 999, 5, 30)
    world.mark_deleted(30)
    assert list(world.store.ids(COPY, after=None, through=None)) == [5, 30, 999, 1000]
    assert list(world.store.ids(COPY, after=5, through=999)) == [30, 999]
    assert list(world.store.ids(COPY, after=999, through=None)) == [1000]
    assert list(world.store.ids(COPY, after=0, through=4)) == []


def test_an_erased_record_leaves_a_tombstone_without_content(world: World) -> None:
    before = world.insert(1, 2)
    at, was_there = world.erase(1)

    assert was_there
    assert world.listed() == [2]
    with pytest.raises(RecordNotFoundError):
        world.store.find(COPY, 1)
    assert world.store.bodies(COPY, [1, 2]).keys() == {2}
    (tombstone,) = world.store.read(COPY, shown=Shown.DELETED, since=None, after=None, limit=9)
    assert (tombstone.record_id, tombstone.body, tombstone.synced_at, tombstone.sync_id) == (1, b"null", before, "s1")
    assert tombstone.changed_at == tombstone.deleted_at == tombstone.erased_at == at > before


def test_erasing_again_or_what_was_never_there_changes_nothing(world: World) -> None:
    world.insert(1)
    world.erase(1)
    before = world.store.read(COPY, shown=Shown.ALL, since=None, after=None, limit=9)
    assert [world.erase(1)[1], world.erase(2)[1]] == [False, False]
    assert world.store.read(COPY, shown=Shown.ALL, since=None, after=None, limit=9) == before


def test_a_record_that_is_deleted_at_hubspot_is_erased_as_well_and_followers_are_told(world: World) -> None:
    world.insert(1)
    world.mark_deleted(1)
    (deleted,) = world.store.read(COPY, shown=Shown.ALL, since=None, after=None, limit=9)
    world.erase(1)
    (tombstone,) = world.store.read(COPY, shown=Shown.ALL, since=None, after=deleted.place, limit=9)
    assert (deleted.erased_at, tombstone.body) == (None, b"null")


def test_an_erased_record_that_hubspot_has_again_lives_again(world: World) -> None:
    world.insert(1)
    world.erase(1)
    assert world.store.known(COPY, [1])[1].is_deleted
    world.replace(1, value="back")
    found = world.store.find(COPY, 1)
    assert (json.loads(found.body)["value"], found.deleted_at, found.erased_at) == ("back", None, None)
    assert world.store.bodies(COPY, [1]).keys() == {1}


def test_nothing_of_an_erased_record_is_left_but_its_id_and_instants(mongo_database: MongoDatabase) -> None:
    """Another program's fields, in which the same person may be, go as well."""
    world = in_mongo(mongo_database)
    world.insert(1)
    world.change(lambda _: world.store.note_missed(COPY, [1], Missed(sync_id="s4", at=present())))
    contacts = mongo_database["integrations.hubspot.contacts"]
    contacts.update_one({}, {"$set": {"theirs": "somebody"}})
    at, _ = world.erase(1)
    found = contacts.find_one()
    assert found is not None
    kept = {"_id", "account_id", "record_id", "synced_at", "sync_id", "deleted"}
    instants = dict.fromkeys(("deleted_at", "changed_at", "erased_at"), at)
    assert {name: found[name] for name in found.keys() - kept} == instants | {
        "record": None,
        "original": None,
        "hash": b"",
    }


def test_what_a_worker_of_an_older_version_brings_back_is_no_tombstone(mongo_database: MongoDatabase) -> None:
    """It does not know of `erased_at`, and leaves it."""
    world = in_mongo(mongo_database)
    world.insert(1)
    at, _ = world.erase(1)
    world.replace(1, value="back")
    mongo_database["integrations.hubspot.contacts"].update_one({}, {"$set": {"erased_at": at}})
    assert world.store.find(COPY, 1).erased_at is None
    assert world.store.bodies(COPY, [1]).keys() == {1}
    assert world.erase(1)[1]


@pytest.mark.parametrize(
    "other",
    [
        CopyId(account_id="a2", export_type=CONTACTS),
        CopyId(account_id="a1:1", export_type=CONTACTS),
        CopyId(account_id="a", export_type=CONTACTS),
        CopyId(account_id="a1", export_type=DEALS),
        CopyId(account_id="$a1", export_type=CONTACTS),
    ],
)
def test_copies_do_not_see_each_other(world: World, other: CopyId) -> None:
    world.insert(1)
    world.insert(1, 2, copy=other)
    assert (world.listed(), world.listed(copy=other)) == ([1], [1, 2])
    assert list(world.store.ids(COPY, after=None, through=None)) == [1]
    assert list(world.store.ids(other, after=None, through=None)) == [1, 2]
    assert world.store.known(COPY, [1, 2]).keys() == {1}
    assert world.mark_deleted(1, 2) == 1
    assert not world.erase(2)[1]
    assert world.listed(copy=other) == [1, 2]


def test_what_fails_in_the_middle_leaves_nothing_behind(world: World) -> None:
    before = world.insert(1)

    def break_off(at: datetime) -> None:
        world.store.insert(COPY, records([2]), at=at, sync_id="s2")
        world.store.replace(COPY, records([1], "new"), at=at, sync_id="s2")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        world.change(break_off)
    assert world.listed(shown=Shown.ALL) == [1]
    assert world.store.find(COPY, 1).changed_at == before


def end_sync(world: World, copy: CopyId, complete: CompleteSync) -> None:
    """Keep the account of an export that a sync is complete with."""
    copying = world.store.resume(copy, complete.sync_id, CopyProgress(), epoch=1)
    world.store.save_progress(copy, complete.sync_id, copying.end_comparison(), epoch=1, complete=complete)


def test_an_account_that_is_not_kept_completes_no_sync(world: World) -> None:
    complete = CompleteSync(sync_id="s1", since=present(), mode=SyncMode.FULL)
    world.store.resume(COPY, "j1", CopyProgress(), epoch=2)

    with pytest.raises(LeaseLostError):
        world.store.save_progress(COPY, "j1", CopyProgress(), epoch=1, complete=complete)

    assert world.store.last_sync(COPY, SyncMode.FULL) is None


def test_an_export_at_its_start_forgets_what_it_has_found_but_not_what_it_has_changed(world: World) -> None:
    known = CopyProgress(
        created=1, changed=2, deleted=3, left_out=(4,), living=5, missing=6, may_delete=7, compared_through=8
    )
    ended = replace(known, since=present(), is_compared=True)
    world.store.resume(COPY, "j1", ended, epoch=1)
    before = present()

    begun = world.store.resume(COPY, "j1", CopyProgress(), epoch=2, is_at_start=True)

    assert begun.since is not None
    assert begun == CopyProgress(created=1, changed=2, deleted=3, since=begun.since)
    assert before - timedelta(minutes=1) <= begun.since <= present()  # the fake's clock stands still since it was made
    assert world.store.resume(COPY, "j1", CopyProgress(), epoch=3) == begun
    first = world.store.resume(COPY, "j2", CopyProgress(mode=SyncMode.INCREMENTAL), epoch=1, is_at_start=True)
    assert (first.mode, first.since is not None) == (SyncMode.INCREMENTAL, True)


def test_the_latest_complete_sync_of_each_mode_is_remembered(world: World) -> None:
    since = world.insert(1)
    full, incremental = SyncMode.FULL, SyncMode.INCREMENTAL

    def sync(seconds: int, mode: SyncMode) -> CompleteSync:
        return CompleteSync(sync_id=f"s{seconds}", since=since + timedelta(seconds=seconds), mode=mode)

    assert world.store.last_sync(COPY, full, incremental) is None
    for each in (sync(2, full), sync(1, full), sync(3, incremental), sync(0, incremental)):
        end_sync(world, COPY, each)
    assert world.store.last_sync(COPY, full) == sync(2, full)
    assert world.store.last_sync(COPY, incremental) == world.store.last_sync(COPY, *SyncMode) == sync(3, incremental)
    end_sync(world, COPY, sync(4, full))
    assert world.store.last_sync(COPY, *SyncMode) == sync(4, full)
    assert world.store.last_sync(CopyId(account_id="a1", export_type=DEALS), *SyncMode) is None
    assert world.insert(2) > since


def test_a_complete_sync_names_the_lists_that_it_could_not_read(world: World) -> None:
    since = world.insert(1)
    part = CompleteSync(sync_id="s1", since=since, mode=SyncMode.FULL, left_out=("calls", "emails"), properties="key")
    end_sync(world, COPY, part)
    assert world.store.last_sync(COPY, *SyncMode) == part
    whole = replace(part, sync_id="s2", since=since + timedelta(seconds=1), left_out=(), properties=None)
    end_sync(world, COPY, whole)
    assert world.store.last_sync(COPY, *SyncMode) == whole


def test_a_complete_sync_notes_when_all_deletions_were_told(world: World) -> None:
    since = world.insert(1)
    told = since - timedelta(days=3)
    sync = CompleteSync(sync_id="s1", since=since, mode=SyncMode.INCREMENTAL, deletions_told=told)
    end_sync(world, COPY, sync)
    assert world.store.last_sync(COPY, *SyncMode) == sync


def test_how_far_the_archived_records_were_read_is_kept_until_an_export_starts_over(world: World) -> None:
    read = CopyProgress(
        mode=SyncMode.INCREMENTAL,
        full_every="7d",
        feed_since=present(),
        feed_left_out=("emails",),
        feed_deletions_told=present(),
        archived_after="calls:501",
        archive_is_read=True,
        deletions_unknown="refused",
    )
    assert world.store.resume(COPY, "j1", read, epoch=1) == read
    assert world.store.resume(COPY, "j1", CopyProgress(), epoch=2) == read
    begun = world.store.resume(COPY, "j1", CopyProgress(), epoch=3, is_at_start=True)
    assert begun == replace(read, since=begun.since, archived_after=None, archive_is_read=False, deletions_unknown=None)


def test_an_exports_account_is_kept_with_what_it_counts_or_not_at_all(world: World) -> None:
    begun, counted = CopyProgress(), CopyProgress(created=2, since=present(), compared_through=2**40)
    assert world.store.resume(COPY, "j1", begun, epoch=1) == begun

    def change(copying: CopyProgress, *numbers: int, epoch: int) -> None:
        def work(at: datetime) -> None:
            world.store.insert(COPY, records(numbers), at=at, sync_id="s1")
            world.store.save_progress(COPY, "j1", copying, epoch=epoch)

        world.change(work)

    change(counted, 1, 2, epoch=1)
    assert world.store.resume(COPY, "j1", begun, epoch=2) == counted
    with pytest.raises(LeaseLostError):
        change(replace(counted, created=3), 3, epoch=1)
    assert world.listed() == [1, 2]
    change(replace(counted, created=3), 3, epoch=2)
    assert world.store.resume(COPY, "j1", begun, epoch=2).created == 3
    assert world.store.resume(COPY, "j2", begun, epoch=1) == begun
    with pytest.raises(LeaseLostError):
        world.store.save_progress(COPY, "j3", begun, epoch=1)


def test_a_list_ends_early_when_it_has_become_large(world: World) -> None:
    large = [Record.of(number, b'{"vid":%d,"text":"%b"}' % (number, b"x" * 3_000_000)) for number in range(10)]
    world.change(lambda at: world.store.insert(COPY, large, at=at, sync_id="s1"))
    assert world.listed() == [0, 1, 2, 3, 4, 5]
    place = world.store.find(COPY, 5).place
    assert world.listed(after=place) == [6, 7, 8, 9]


def test_however_many_exports_are_at_work_none_loses_its_account(world: World) -> None:
    jobs = [f"j{number}" for number in range(30)]
    for job_id in jobs:
        world.store.resume(COPY, job_id, CopyProgress(), epoch=1)
    for job_id in jobs:
        world.store.save_progress(COPY, job_id, CopyProgress(created=1), epoch=1)


def test_accounts_of_long_ago_are_forgotten(mongo_database: MongoDatabase) -> None:
    world = in_mongo(mongo_database)
    for number in range(30):
        world.store.resume(COPY, f"j{number}", CopyProgress(), epoch=1)
    ages = {f"exports.j{number}.taken_at": present() - timedelta(hours=40 - number) for number in range(30)}
    mongo_database[COPIES].update_one({}, {"$set": ages})

    world.store.resume(COPY, "new", CopyProgress(), epoch=1)

    (copy,) = mongo_database[COPIES].find()
    assert sorted(copy["exports"]) == sorted(["new", *(f"j{number}" for number in range(11, 30))])


def test_every_change_is_later_than_the_one_before(world: World) -> None:
    moments = [world.insert(number) for number in range(5)]
    assert moments == sorted(set(moments))


def test_who_follows_the_changes_of_many_at_once_misses_none_and_sees_none_twice(mongo_database: MongoDatabase) -> None:
    world, has_ended = in_mongo(mongo_database), Event()

    def follow() -> list[int]:
        seen: list[CopiedRecord] = []
        while True:
            is_over = has_ended.is_set()
            place = seen[-1].place if seen else None
            found = world.store.read(COPY, shown=Shown.LIVING, since=None, after=place, limit=7)
            seen += found
            if is_over and not found:
                return [record.record_id for record in seen]

    with ThreadPoolExecutor(5) as pool:
        following = pool.submit(follow)
        try:
            for change in [pool.submit(world.insert, number, number + 1) for number in range(0, 120, 2)]:
                change.result(PATIENCE_S)
        finally:
            has_ended.set()  # or the follower would go on for ever
        seen = following.result(PATIENCE_S)

    assert sorted(seen) == list(range(120))


@pytest.mark.parametrize("shown", list(Shown))
def test_a_list_is_read_from_an_index_and_no_further_than_needed(mongo_database: MongoDatabase, shown: Shown) -> None:
    world = in_mongo(mongo_database)
    for _ in range(2):
        MongoRecordStore(mongo_database).ensure_indexes()
    for first in range(0, 1000, 100):
        world.insert(*range(first, first + 100))
    world.insert(*range(500), copy=CopyId(account_id="a2", export_type=CONTACTS))
    world.mark_deleted(*range(0, 1000, 2))
    place = world.store.read(COPY, shown=shown, since=None, after=None, limit=300)[-1].place
    with watched(mongo_database) as plans:
        assert len(world.store.read(COPY, shown=shown, since=None, after=place, limit=20)) == 20

    assert sum(query["docsExamined"] for query in plans()) == 20
    assert sum(query["keysExamined"] for query in plans()) <= 20 + 4


@contextmanager
def watched(database: MongoDatabase) -> Iterator[Callable[[], list[Document]]]:
    """Record what each query of a list costs the server."""
    database.command("profile", 2)
    try:
        yield lambda: list(database["system.profile"].find({"op": "query", "command.sort": {"$exists": True}}))
    finally:
        database.command("profile", 0)


# Portals

FIRST, SECOND = (replace(COPY, hub_id=hub_id) for hub_id in (111, 222))


def test_each_portal_has_a_copy_of_its_own(world: World) -> None:
    world.insert(1, 2, copy=FIRST)
    world.insert(2, 3, copy=SECOND)

    assert (world.listed(copy=FIRST), world.listed(copy=SECOND)) == ([1, 2], [2, 3])
    assert [list(world.store.ids(each, after=None, through=None)) for each in (FIRST, SECOND)] == [[1, 2], [2, 3]]
    assert list(world.store.ids(SECOND, after=2, through=9)) == [3]
    assert set(world.store.known(SECOND, [1, 2, 3])) == set(world.store.bodies(SECOND, [1, 2, 3])) == {2, 3}
    with pytest.raises(RecordNotFoundError):
        world.store.find(SECOND, 1)
    assert world.store.first_portal(COPY) == 111


def test_a_change_of_one_portals_copy_leaves_the_other_as_it_is(world: World) -> None:
    world.insert(1, 2, copy=FIRST)
    world.insert(1, 2, copy=SECOND)
    world.change(lambda at: world.store.mark_deleted(SECOND, [1], unless_since=at, at=at, sync_id="s"), copy=SECOND)
    world.change(lambda at: world.store.replace(SECOND, records([2], "new"), at=at, sync_id="s"), copy=SECOND)
    world.change(lambda at: world.store.erase(SECOND, 1, at=at), copy=SECOND)

    assert world.listed(copy=FIRST) == [1, 2]
    assert json.loads(world.store.find(FIRST, 2).body)["value"] == "v"
    assert world.listed(copy=SECOND) == [2]
    (tombstone,) = world.store.read(SECOND, shown=Shown.DELETED, since=None, after=None, limit=9)
    assert (tombstone.record_id, tombstone.body) == (1, b"null")


def test_what_was_stored_without_a_portal_is_the_first_ones(world: World) -> None:
    world.insert(1, 2)
    world.store.resume(COPY, "j1", CopyProgress(created=2), epoch=1)
    end_sync(world, COPY, CompleteSync(sync_id="s1", since=present(), mode=SyncMode.FULL))

    world.insert(3, copy=FIRST)

    assert world.listed(copy=FIRST) == [1, 2, 3]
    assert world.store.resume(FIRST, "j1", CopyProgress(), epoch=2) == CopyProgress(created=2)
    assert world.store.last_sync(FIRST, SyncMode.FULL) is not None
    assert world.listed(copy=SECOND) == []
    assert world.store.last_sync(SECOND, SyncMode.FULL) is None
    world.insert(4, copy=SECOND)
    assert world.listed(copy=COPY) == [1, 2, 3]


def test_until_somebody_writes_a_copy_belongs_to_whoever_reads_it(world: World) -> None:
    world.insert(1)

    assert (world.listed(copy=FIRST), world.listed(copy=SECOND)) == ([1], [1])
    assert world.store.first_portal(COPY) is None


@pytest.mark.parametrize("removed", [FIRST, SECOND], ids=["first", "second"])
def test_a_copy_is_removed_in_portions(world: World, removed: CopyId) -> None:
    kept = SECOND if removed is FIRST else FIRST
    for copy in (FIRST, SECOND):
        world.insert(*range(5), copy=copy)
        end_sync(world, copy, CompleteSync(sync_id="s1", since=present(), mode=SyncMode.FULL))

    assert not world.store.remove_some(removed, most=3)
    assert world.listed(copy=removed) == []  # it cannot be read any more
    assert world.store.remove_some(removed, most=3)
    assert world.store.remove_some(removed, most=3)

    assert world.listed(copy=kept) == [0, 1, 2, 3, 4]
    assert world.store.last_sync(removed, SyncMode.FULL) is None
    world.insert(9, copy=removed)
    assert world.listed(copy=removed) == [9]


def test_nobody_writes_into_a_copy_that_is_being_removed(world: World) -> None:
    world.insert(*range(5), copy=SECOND)
    world.insert(*range(5), copy=FIRST)
    world.store.remove_some(FIRST, most=1)

    with pytest.raises(CopyBusyError):
        world.insert(7, copy=FIRST)
    with pytest.raises(CopyBusyError):
        world.store.resume(FIRST, "j1", CopyProgress(), epoch=1)


def test_a_copy_that_the_account_never_had_is_removed_at_once(world: World) -> None:
    world.insert(1, copy=FIRST)
    world.insert(1, copy=replace(FIRST, account_id="a2"))

    assert world.store.remove_some(SECOND, most=3)
    assert world.store.remove_some(FIRST, most=3)

    assert world.listed(copy=replace(FIRST, account_id="a2")) == [1]


def test_an_accounts_name_leads_into_no_other_ones_copy(world: World) -> None:
    world.insert(1, copy=FIRST)
    world.insert(1, 2, copy=SECOND)
    strange = CopyId(account_id="a1:p222", export_type=CONTACTS)
    world.insert(1, 3, copy=strange)

    assert list(world.store.ids(SECOND, after=None, through=None)) == [1, 2]
    assert list(world.store.ids(strange, after=None, through=None)) == [1, 3]
    assert world.store.remove_some(SECOND, most=9)
    assert world.listed(copy=strange) == [1, 3]


def test_records_of_an_older_version_are_marked_in_portions(mongo_database: MongoDatabase) -> None:
    world = in_mongo(mongo_database)
    world.insert(*range(5))
    assert not world.store.adopt_some(most=2)  # nobody has told of which portal they are
    world.insert(9, copy=FIRST)
    stored = mongo_database["integrations.hubspot.contacts"]

    portions = 0
    while world.store.adopt_some(most=2):
        portions += 1

    assert portions == 3
    assert stored.count_documents({"hub_id": 111}) == 6
    assert world.listed(copy=FIRST) == [0, 1, 2, 3, 4, 9]


def test_what_an_older_worker_stores_meanwhile_is_marked_an_hour_later(mongo_database: MongoDatabase) -> None:
    world = in_mongo(mongo_database)
    world.insert(1, copy=FIRST)
    while world.store.adopt_some(most=9):
        pass
    stored, copies = mongo_database["integrations.hubspot.contacts"], mongo_database[COPIES]
    stored.update_one({"record_id": 1}, {"$unset": {"hub_id": True}})
    earlier = {name: {"$subtract": [f"${name}", 3_700_000]} for name in ("adopt_at", "adopted_at")}
    copies.update_one({}, [{"$set": earlier}])

    assert world.store.adopt_some(most=9)

    assert stored.count_documents({"hub_id": 111}) == 1
    assert "adopt_at" not in (copies.find_one() or {})
    assert in_mongo(mongo_database).listed(copy=FIRST) == [1]


@pytest.mark.parametrize("copy", [FIRST, SECOND], ids=["first", "second"])
@pytest.mark.parametrize("is_marked", [True, False])
def test_a_list_of_a_portals_copy_is_read_from_an_index(
    mongo_database: MongoDatabase, copy: CopyId, *, is_marked: bool
) -> None:
    world = in_mongo(mongo_database)
    MongoRecordStore(mongo_database).ensure_indexes()
    for first in range(0, 300, 100):
        world.insert(*range(first, first + 100), copy=FIRST)
    for first in range(0, 300, 100):
        world.insert(*range(first, first + 100), copy=SECOND)
    if is_marked:
        mongo_database[COPIES].update_many({}, {"$unset": {"adopt_at": True}})
    store = MongoRecordStore(mongo_database)
    place = store.read(copy, shown=Shown.ALL, since=None, after=None, limit=200)[-1].place
    with watched(mongo_database) as plans:
        assert len(store.read(copy, shown=Shown.ALL, since=None, after=place, limit=20)) == 20

    assert sum(query["docsExamined"] for query in plans()) == 20
    assert sum(query["keysExamined"] for query in plans()) <= 20 + 4
