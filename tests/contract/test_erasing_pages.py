"""Erasing from pages: the fake and the real store leave a gap and nothing of the record, and keep every other place."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import pytest

from tests.contract.stores import new_job, present
from tests.contract.test_page_store import SMALL, held, new_lane, page_of, stored, stored_in_lane
from tests.fakes.stores import InMemoryPageStore
from tests.integration.profiling import profiled
from worker.jobs.job import Job, Progress
from worker.mongo.database import MongoDatabase
from worker.pages.interfaces import PageStore
from worker.pages.mongo.pages import COLLECTION, MongoPageStore
from worker.records.erasure import Erased, Erasure
from worker.records.page import Gap, Page, read_page
from worker.records.types import CONTACTS, DEALS, CopyId, ExportType

_numbers = count(1)


@pytest.fixture(params=["in memory", "mongo", "mongo in parts"])
def store(request: pytest.FixtureRequest) -> PageStore:
    if request.param == "in memory":
        return InMemoryPageStore()
    return in_mongo(request.getfixturevalue("mongo_database"), is_split=request.param == "mongo in parts")


def in_mongo(database: MongoDatabase, *, is_split: bool = False) -> MongoPageStore:
    return MongoPageStore(database, most_bytes=SMALL) if is_split else MongoPageStore(database)


def erasure_of(record_id: int, *, account_id: str = "a1", export_type: ExportType = CONTACTS) -> Erasure:
    return Erasure(
        erasure_id=f"e{next(_numbers)}",
        copy_id=CopyId(account_id=account_id, export_type=export_type),
        record_id=record_id,
        requested_by="u1",
        requested_at=present(),
    )


def erase(store: PageStore, erasure: Erasure) -> int:
    """Erase from every page that may hold the record; give how many there were."""
    return sum(erase_from(store, erasure, *place) for place in store.holding(erasure))


def erase_from(store: PageStore, erasure: Erasure, job_id: str, number: int) -> int:
    rewrite = store.without(erasure, job_id, number)
    if rewrite is None:
        return 0
    assert store.rewrite(rewrite)
    return rewrite.lost


def places(store: PageStore, job: Job, *, start: int = 0, limit: int = 1000) -> tuple[list[int], int]:
    found = store.read(job.job_id, CONTACTS, start=start, limit=limit)
    return [json.loads(record)["vid"] for record in found.records], found.end


def test_an_erased_record_leaves_a_gap_and_every_other_one_its_place(store: PageStore) -> None:
    job = stored(store, held(), page_of([1, 2, 3]), page_of([4, 5]), page_of([6]))
    assert [erase(store, erasure_of(number)) for number in (2, 4, 6, 7)] == [1, 1, 1, 0]
    assert places(store, job) == ([1, 3, 5], 6)
    for start in range(6):
        for limit in range(1, 7):
            end = min(start + limit, 6)
            assert places(store, job, start=start, limit=limit) == ([n for n in (1, 3, 5) if start < n <= end], end)


def test_the_page_is_as_it_was_but_for_the_record(store: PageStore) -> None:
    page = page_of([1, 2, 3], padding=100)
    job = stored(store, held(), page)
    erasure = erasure_of(2)
    erase(store, erasure)

    found = store.get(job.job_id, 0)

    body = json.loads(page.body)
    assert json.loads(found.body) == body | {"contacts": [{"vid": 1}, {"vid": 3}]}
    assert (found.records, found.has_more, found.offset) == (page.records, page.has_more, page.offset)
    assert found.gaps == (Gap(place=1, erasure_id=erasure.erasure_id),)
    assert list(store.all(job.job_id)) == list(store.some(job.job_id, [0])) == [found]
    assert store.count(job.job_id) == 1


def test_hubspots_bytes_of_the_others_survive_whatever_they_are(store: PageStore) -> None:
    records = [rb'{"vid":1,"cut" : "\ud83d" }', b'{"vid":2}', b'{"vid":3,"n":1.10,"n":2}', b"null", b'{"vid":2 }']
    job = stored(store, held(), read_page(CONTACTS, b' {"x":1, "contacts": [\n' + b" ,\t".join(records) + b"]}"))
    assert erase(store, erasure_of(2)) == 2
    found = store.read(job.job_id, CONTACTS, start=0, limit=10)
    mended = records[0].replace(rb"\ud83d", rb"\ufffd")  # half of a character, when the page was read
    assert (found.records, found.end) == ([mended, records[2], records[3]], 5)


def test_erasing_again_finds_nothing(store: PageStore) -> None:
    job = stored(store, held(), page_of([1, 2, 3]))
    erasure = erasure_of(2)
    assert erase(store, erasure) == 1
    assert [erase(store, erasure), erase(store, erasure_of(2))] == [0, 0]
    assert places(store, job) == ([1, 3], 3)


def test_one_page_after_the_other_is_emptied(store: PageStore) -> None:
    job = stored(store, held(), page_of([1, 2], padding=50), page_of([3]))
    for number in (2, 3, 1):
        assert erase(store, erasure_of(number)) == 1
    assert places(store, job) == ([], 3)
    assert places(store, job, start=1, limit=1) == ([], 2)
    assert store.count(job.job_id) == 2


def test_pages_are_looked_through_in_an_order_that_can_be_taken_up_again(store: PageStore) -> None:
    for _ in range(11):
        stored(store, held(), page_of([1, 9]), page_of([6, 7]), page_of([9, 1]))
    erasure = erasure_of(5)

    found = store.holding(erasure)

    assert (len(found), len(set(found))) == (22, 22)
    for number, place in enumerate(found):
        assert store.holding(replace(erasure, looked_through=place)) == found[number + 1 :]


def test_only_the_accounts_pages_of_the_type_are_touched(store: PageStore) -> None:
    mine, another = held(), held()
    others = [replace(new_job(account_id="a2"), lease=mine.lease), replace(another, export_type=DEALS)]
    deals = read_page(DEALS, b'{"deals":[{"dealId":1}],"hasMore":false}')
    pages = [page_of([1]), deals]
    jobs = [stored(store, job, page) for job, page in zip(others, pages, strict=True)]
    stored(store, mine, page_of([1]))

    assert erase(store, erasure_of(1)) == 1

    assert [store.get(job.job_id, 0) for job in jobs] == pages
    assert store.without(erasure_of(1), "a job that was removed", 0) is None


def test_a_page_that_is_fetched_again_has_no_gaps_any_more(store: PageStore) -> None:
    job = held()
    store.add(job, page_of([1, 2], padding=90))
    erase(store, erasure_of(2))
    store.add(job, page_of([1, 2, 3]))
    assert places(store, job) == ([1, 2, 3], 3)
    assert store.erased_of([replace(job, progress=Progress(records=3))]) == {}


def test_what_jobs_have_lost_is_added_up_page_by_page(store: PageStore) -> None:
    job, other, untouched = (stored(store, held(), page_of([1, 2, 2]), page_of([3, 4]), page_of([5])) for _ in range(3))
    for record_id in (2, 3, 4):
        for place in store.holding(erasure_of(record_id)):
            if place[0] != untouched.job_id:
                erase_from(store, erasure_of(record_id), *place)
    lost = Erased().after(2, records=2).after(3, records=1).after(4, records=1)

    assert store.erased_of([job, other, untouched]) == {job.job_id: lost, other.job_id: lost}
    assert store.erased_of([untouched]) == store.erased_of([]) == {}
    store.remove(job.job_id)
    assert store.erased_of([job]) == {}


def test_a_page_that_is_not_noted_yet_has_lost_nothing(store: PageStore) -> None:
    noted = stored(store, held(), page_of([1, 2]))
    store.add(noted, page_of([3, 4]))
    for record_id in (1, 4):
        erase(store, erasure_of(record_id))
    assert store.erased_of([noted]) == {noted.job_id: Erased().after(1, records=1)}


def test_what_lanes_have_read_ahead_counts_when_it_can_be_read(store: PageStore) -> None:
    job = stored(store, held(), page_of([1, 2]))
    lane = stored_in_lane(store, job, new_lane(1, after=2), [3, 4])
    erase(store, erasure_of(3))
    read = replace(job, progress=Progress(records=4))

    assert store.erased_of([read]) == {}
    store.close_lane(job, lane, before=2)

    assert store.erased_of([job]) == {}
    assert store.erased_of([read]) == {job.job_id: Erased().after(3, records=1)}


def test_records_are_found_in_many_pages_at_once(store: PageStore) -> None:
    jobs = [stored(store, held(), page_of([1, 5, 9]), page_of([20])) for _ in range(4)]
    stored(store, held(), page_of([6, 7]))
    stored(store, held(), page_of([]), page_of([20, 1, 5]))
    assert erase(store, erasure_of(5)) == 5
    assert [places(store, job)[0] for job in jobs] == [[1, 9, 20]] * 4


def without_description(database: MongoDatabase) -> None:
    """Turn pages into what older versions stored."""
    database[COLLECTION].update_many({}, {"$unset": {"type": "", "ids_from": "", "ids_to": "", "span": "", "gaps": ""}})


@pytest.mark.parametrize("is_split", [False, True])
def test_pages_of_older_versions_are_read_as_ever_and_found_once_described(
    mongo_database: MongoDatabase,
    is_split: bool,  # noqa: FBT001 - both ways to store
) -> None:
    store = in_mongo(mongo_database, is_split=is_split)
    job = stored(store, held(), *(page_of([number, number + 1], padding=40) for number in range(0, 60, 2)))
    deals = replace(held(), export_type=DEALS)
    stored(store, deals, read_page(DEALS, b'{"deals":[{"dealId":5}],"hasMore":false}'))
    without_description(mongo_database)
    assert places(store, job)[1] == 60

    assert erase(store, erasure_of(5)) == 0
    assert store.describe_some("another account") is False
    while store.describe_some("a1"):
        pass

    assert erase(store, erasure_of(5)) == 1
    assert places(store, job) == ([number for number in range(60) if number != 5], 60)
    assert store.count(job.job_id) == 30


def test_pages_are_found_by_an_index_however_many_have_lower_ids(mongo_database: MongoDatabase) -> None:
    store = in_mongo(mongo_database)
    store.ensure_indexes()
    ascending: Sequence[Page] = [page_of(range(first, first + 10)) for first in range(0, 1000, 10)]
    stored(store, held(), *ascending)
    for account_id in ("a0", "a2"):
        stored(store, replace(held(), account_id=account_id, progress=Progress()), *ascending)
    template = mongo_database[COLLECTION].find_one({"account_id": "a1"}, {"body": False})
    assert template is not None
    lower = [
        {**template, "_id": f"lower:{number:08d}:000", "ids_from": number * -10, "ids_to": number * -10 + 9}
        for number in range(1, 20_000)
    ]
    mongo_database[COLLECTION].insert_many(lower)

    with profiled(mongo_database, COLLECTION) as noted:
        assert len(store.holding(erasure_of(985))) == 1

    (query,) = noted
    assert query["docsExamined"] == 0
    assert query["keysExamined"] <= 140


@pytest.mark.parametrize(
    ("ids", "held_ids"),
    [
        ([0, 2**63 - 1], [0, 1, 2**62, 2**63 - 1]),
        ([5], [5]),
        ([5, 6], [5, 6]),
        ([100, 227], [100, 163, 227]),
        ([100, 228], [100, 164, 228]),
        ([-(2**63), 2**63 - 1], [0, 2**63 - 1]),
        ([7, 7, 7], [7]),
    ],
)
def test_ids_at_the_edges_of_a_pages_range_are_found_and_those_beyond_are_not(
    store: PageStore, ids: list[int], held_ids: list[int]
) -> None:
    job = stored(store, held(), page_of(ids), page_of([]))
    for record_id in held_ids:
        assert store.holding(erasure_of(record_id)) == [(job.job_id, 0)]
    for record_id in (min(ids) - 1, max(ids) + 1):
        if 0 <= record_id < 2**63:
            assert store.holding(erasure_of(record_id)) == []


def test_an_index_of_an_older_version_is_removed(mongo_database: MongoDatabase) -> None:
    before = [("account_id", 1), ("type", 1), ("ids_from", 1), ("ids_to", 1), ("_id", 1)]
    mongo_database[COLLECTION].create_index(before)
    for _ in range(2):
        in_mongo(mongo_database).ensure_indexes()
    assert before not in [list(each["key"].items()) for each in mongo_database[COLLECTION].list_indexes()]


def test_a_page_that_is_stored_anew_meanwhile_is_not_overwritten(store: PageStore) -> None:
    job = held()
    stored(store, job, page_of([1, 2], padding=40))
    rewrite = store.without(erasure_of(1), job.job_id, 0)
    assert rewrite is not None
    store.add(job, page_of([1, 2, 3], padding=40))

    assert not store.rewrite(rewrite)
    assert store.get(job.job_id, 0) == page_of([1, 2, 3], padding=40)


def test_of_two_who_erase_from_a_page_at_once_the_second_makes_it_anew(store: PageStore) -> None:
    job = stored(store, held(), page_of([1, 2, 3], padding=40))
    first, second = (store.without(erasure_of(number), job.job_id, 0) for number in (1, 2))
    assert first is not None
    assert second is not None
    assert [store.rewrite(first), store.rewrite(second)] == [True, False]
    assert erase(store, erasure_of(2)) == 1
    assert places(store, job) == ([3], 3)


def test_what_a_job_has_lost_is_answered_by_an_index_of_what_was_erased(mongo_database: MongoDatabase) -> None:
    store = in_mongo(mongo_database)
    store.ensure_indexes()
    job, other = (stored(store, held(), *(page_of([number]) for number in range(300))) for _ in range(2))
    for record_id in range(20):
        erase(store, erasure_of(record_id))

    with profiled(mongo_database, COLLECTION) as noted:
        assert store.erased_of([job, other])[job.job_id].records == 20

    (query,) = noted
    assert query["docsExamined"] == 0
    assert query["keysExamined"] <= 2 * 20 + 2


# Pages of HubSpot's own shape

TICKETS, CARS = ExportType("tickets"), ExportType("p99_cars")


@pytest.mark.parametrize("export_type", [TICKETS, CARS])
def test_an_erased_record_leaves_a_gap_in_a_page_of_hubspots_own_shape(
    store: PageStore, export_type: ExportType
) -> None:
    job, other = (replace(held(), export_type=each) for each in (export_type, ExportType("p99_pets")))
    bodies = [
        b'{"results":[{"id":"1"},{"id":"2"},{"id":"2"}],"paging":{"next":{"after":"3"}}}',
        b'{"results":[{"id":"3"}]}',
    ]
    job = stored(store, job, *(read_page(export_type, body) for body in bodies))
    other = stored(store, other, read_page(other.records_type, bodies[0]))

    erased = [erase(store, erasure_of(number, export_type=export_type)) for number in (2, 3, 4)]

    assert erased == [2, 1, 0]
    found = store.read(job.job_id, export_type, start=0, limit=10)
    assert (found.records, found.erased, found.end) == ([b'{"id":"1"}'], 3, 4)
    assert store.get(job.job_id, 0).body == b'{"results":[{"id":"1"}],"paging":{"next":{"after":"3"}}}'
    assert store.get(job.job_id, 1).body == b'{"results":[]}'
    assert store.get(other.job_id, 0).body == bodies[0]
    assert not store.describe_some("a1")  # all is known of them
