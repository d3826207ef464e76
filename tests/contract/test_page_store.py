"""PageStore: the fake and the real one give back every byte and every record, and refuse who was overtaken."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from tests.contract.stores import new_job, present
from tests.fakes.stores import InMemoryPageStore
from tests.integration.profiling import profiled
from worker.errors import JobNotFoundError, LeaseLostError
from worker.jobs.job import Job, Lease, Progress
from worker.jobs.lanes import PAGES_A_LANE, Lane
from worker.jobs.progress import Retention
from worker.jobs.totals import ExportTotals
from worker.mongo.database import MongoDatabase
from worker.pages.interfaces import PageStore
from worker.pages.mongo.pages import COLLECTION, MongoPageStore
from worker.records.page import Page, read_page
from worker.records.types import CONTACTS

SMALL = 24  # bytes a document: splits every page


@pytest.fixture(params=["in memory", "mongo", "mongo in parts"])
def store(request: pytest.FixtureRequest) -> PageStore:
    if request.param == "in memory":
        return InMemoryPageStore()
    database = request.getfixturevalue("mongo_database")
    kept = MongoPageStore(database, most_bytes=SMALL) if request.param == "mongo in parts" else MongoPageStore(database)
    kept.ensure_indexes()
    kept.ensure_indexes()
    return kept


def page_of(numbers: Sequence[int], *, padding: int = 0, offset: int | str | None = 7) -> Page:
    """Return a page of contacts; padding that cannot be compressed makes it long."""
    noise = Random(padding).randbytes(padding).hex()  # noqa: S311 - noise, not a secret
    body = {"contacts": [{"vid": number} for number in numbers], "has-more": True, "vid-offset": offset, "x": noise}
    return read_page(CONTACTS, json.dumps(body).encode())


def held(epoch: int = 1) -> Job:
    return replace(new_job(), lease=Lease(owner=f"w{epoch}", epoch=epoch))


def by_next_holder(job: Job) -> Job:
    return replace(job, lease=Lease(owner="next", epoch=job.epoch + 1))


def stored(store: PageStore, job: Job, *pages: Page) -> Job:
    """Store pages one after the other, as an exporter does."""
    for page in pages:
        store.add(job, page)
        job = replace(job, progress=job.progress.after(page))
    return job


def ended(job: Job) -> Job:
    return replace(job, finished_at=present(), retention=Retention.until(present() + timedelta(days=1)))


def vids(store: PageStore, job: Job, *, start: int = 0, limit: int = 1000) -> list[int]:
    found = store.read(job.job_id, CONTACTS, start=start, limit=limit)
    assert found.start == start
    assert found.end == start + len(found.records)
    return [json.loads(record)["vid"] for record in found.records]


@pytest.mark.parametrize("padding", [0, 1, 20, 500])
def test_a_page_is_read_as_it_was_added(store: PageStore, padding: int) -> None:
    pages = [page_of([1, 2], padding=padding), page_of([], offset="a/b=="), page_of([3], offset=None)]
    job = stored(store, held(), *pages)

    assert [store.get(job.job_id, number) for number in range(3)] == pages


def test_hubspots_bytes_survive_whatever_they_are(store: PageStore) -> None:
    records = [
        rb'{"whole" : "\ud83d\ude00" }',
        b'{"n":123456789012345678901234567890,"n":1.10}',
        '"ü😀\x7f"'.encode(),
        b"null",
    ]
    body = b' {"contacts": [\n' + b" ,\t".join(records) + b' ],"has-more":false,"z":"\\u0000"}\n'
    job = stored(store, held(), read_page(CONTACTS, body))

    assert store.get(job.job_id, 0).body == body
    assert store.read(job.job_id, CONTACTS, start=0, limit=10).records == records


@pytest.mark.parametrize(("job_id", "number"), [("unknown", 0), ("", 0), ("\x00", 0), ("known", 1), ("known", 10**9)])
def test_a_page_that_is_not_there_is_not_found(store: PageStore, job_id: str, number: int) -> None:
    store.add(replace(held(), job_id="known"), page_of([1]))

    with pytest.raises(JobNotFoundError):
        store.get(job_id, number)


def test_records_are_read_over_the_borders_of_pages_and_empty_ones(store: PageStore) -> None:
    pages = [page_of([0, 1, 2]), page_of([]), page_of([3]), page_of([], padding=99), page_of(range(4, 9)), page_of([])]
    job = stored(store, held(), *pages)

    for start in range(11):
        for limit in range(11):
            assert vids(store, job, start=start, limit=limit) == list(range(9))[start : start + limit]


def test_large_records_are_given_a_few_at_once_and_all_of_them_in_the_end(store: PageStore) -> None:
    text = "x" * 2 * 1024 * 1024
    bodies = [json.dumps({"contacts": [{"vid": number, "text": text}], "has-more": True}) for number in range(12)]
    job = stored(store, held(), *(read_page(CONTACTS, body.encode()) for body in bodies))

    read: list[int] = []
    while some := vids(store, job, start=len(read)):
        assert len(some) <= 9  # 16 MB, and the one that passes them
        read += some

    assert read == list(range(12))


def test_many_pages_come_in_order(store: PageStore) -> None:
    job = stored(store, held(), *(page_of([number]) for number in range(120)))

    assert vids(store, job) == list(range(120))
    assert vids(store, job, start=99, limit=3) == [99, 100, 101]


def test_jobs_do_not_see_each_others_records(store: PageStore) -> None:
    one, other = held(), held()
    stored(store, one, page_of([1]))
    stored(store, other, page_of([2]), page_of([3]))

    assert (vids(store, one), vids(store, other), vids(store, held())) == ([1], [2, 3], [])


@pytest.mark.parametrize(
    ("takes_over", "before", "after"), [(True, 0, 0), (False, 0, 500), (True, 500, 0), (False, 500, 100)]
)
def test_a_page_that_is_fetched_again_takes_the_place_of_the_first(
    store: PageStore,
    takes_over: bool,  # noqa: FBT001 - both ways to come again
    before: int,
    after: int,
) -> None:
    job = stored(store, held(), page_of([0]))
    stored(store, job, page_of([1, 2], padding=before))
    again = page_of([1, 2, 3], padding=after)

    holder = by_next_holder(job) if takes_over else job
    assert store.add(holder, again)
    job = stored(store, holder, again, page_of([4]))

    assert store.get(job.job_id, 1) == again
    assert store.count(job.job_id) == 3
    assert vids(store, job) == [0, 1, 2, 3, 4]


def test_a_holder_that_was_overtaken_cannot_replace_a_page(store: PageStore) -> None:
    old = held()
    kept = page_of([1], padding=100)
    job = stored(store, by_next_holder(old), kept)

    for late in (page_of([2]), page_of([2], padding=50), page_of([2], padding=900)):
        with pytest.raises(LeaseLostError):
            store.add(old, late)

    assert store.get(job.job_id, 0) == kept
    assert vids(store, job) == [1]


def test_a_page_of_more_than_16_megabytes_is_kept_whole(mongo_database: MongoDatabase) -> None:
    store = MongoPageStore(mongo_database)
    page = page_of(range(10), padding=17_000_000)
    job = stored(store, held(), page)

    assert store.get(job.job_id, 0) == page
    assert mongo_database[COLLECTION].count_documents({"job_id": job.job_id}) > 1


def test_progress_decides_where_a_page_lies(store: PageStore) -> None:
    job = replace(held(), progress=Progress(pages=5, records=500))
    store.add(job, page_of([500, 501]))

    assert vids(store, job, start=501) == [501]


def test_whoever_stores_a_page_learns_whether_it_was_there(store: PageStore) -> None:
    job = held()
    assert [store.add(job, page_of([1], padding=padding)) for padding in (0, 99)] == [False, True]


def test_pages_are_counted_and_given_in_order(store: PageStore) -> None:
    pages = [page_of([number], padding=number) for number in range(25)]
    job = stored(store, held(), *pages)
    stored(store, held(), page_of([1]))

    assert store.count(job.job_id) == 25
    assert list(store.all(job.job_id)) == pages
    assert store.count("unknown") == 0


@pytest.mark.parametrize("numbers", [[*range(9)], [0], [4, 5, 6], [8, 2, 3], []])
def test_pages_are_given_in_any_order(store: PageStore, numbers: list[int]) -> None:
    pages = [page_of([each], padding=each * 9) for each in range(9)]
    job = stored(store, held(), *pages)
    stored(store, held(), page_of([1]))

    assert list(store.some(job.job_id, numbers)) == [pages[number] for number in numbers]


@pytest.mark.parametrize("numbers", [[0, 1, 2], [2], [1, 7]])
def test_pages_of_which_one_is_missing_are_not_given(store: PageStore, numbers: list[int]) -> None:
    job = stored(store, held(), page_of([0]), page_of([1], padding=99))

    with pytest.raises(JobNotFoundError):
        list(store.some(job.job_id, numbers))


def new_lane(number: int, *, after: int = 0) -> Lane:
    return Lane(after=after, until=None, read_through=after, number=number)


def stored_in_lane(store: PageStore, job: Job, lane: Lane, *pages: list[int]) -> Lane:
    """Store pages of a lane one after the other."""
    for ids in pages:
        store.add(job, page_of(ids), lane=lane)
        lane = lane.with_page(lane.totals.after_page(ids, api="legacy"))
    return lane


def test_pages_of_the_first_lane_are_read_at_once_and_those_of_others_when_they_are_sealed(store: PageStore) -> None:
    job = stored(store, held(), page_of([1, 2]))
    first = replace(new_lane(0), pages=1, totals=ExportTotals(records=2))
    first = stored_in_lane(store, job, first, [3, 4])
    third = stored_in_lane(store, job, new_lane(2, after=10), [11, 12], [13])
    second = stored_in_lane(store, job, new_lane(1, after=4), [5, 6], [7])
    assert (vids(store, job), store.count(job.job_id)) == ([1, 2, 3, 4], 6)

    for _ in range(2):
        store.close_lane(job, second, before=4)
    assert vids(store, job) == [1, 2, 3, 4, 5, 6, 7]
    store.close_lane(job, third, before=7)

    assert vids(store, job) == [1, 2, 3, 4, 5, 6, 7, 11, 12, 13]
    for start in range(11):
        for limit in range(11):
            expected = [1, 2, 3, 4, 5, 6, 7, 11, 12, 13][start : start + limit]
            assert vids(store, job, start=start, limit=limit) == expected
    numbers = [first.first_page, first.first_page + 1, second.first_page, third.first_page]
    assert [page.records for page in store.some(job.job_id, numbers)] == [2, 2, 2, 2]


def test_a_page_that_is_fetched_again_is_not_read_before_its_lane_is_sealed_again(store: PageStore) -> None:
    job = held()
    lane = stored_in_lane(store, job, new_lane(1), [5], [6])
    store.close_lane(job, lane, before=0)

    store.add(job, page_of([6, 7]), lane=replace(new_lane(1), pages=1, totals=ExportTotals(records=1)))

    assert vids(store, job) == [5]


def test_who_was_overtaken_neither_seals_nor_cuts(store: PageStore) -> None:
    old = held()
    lane = stored_in_lane(store, old, new_lane(1), [5], [6])
    store.close_lane(by_next_holder(old), lane, before=10)

    store.close_lane(old, lane, before=0)
    store.cut(old)

    assert vids(store, old, start=10) == [5, 6]


def test_pages_are_cut_by_their_numbers(store: PageStore) -> None:
    job, other = held(), held()
    for number in (0, 1, 2):
        stored_in_lane(store, job, new_lane(number), *[[number * 10 + place] for place in range(4)])
    stored_in_lane(store, other, new_lane(1), [5])

    store.cut(job, first=PAGES_A_LANE + 2, end=2 * PAGES_A_LANE)
    assert store.count(job.job_id) == 10
    store.cut(job, first=2 * PAGES_A_LANE)
    assert store.count(job.job_id) == 6
    store.cut(job)

    assert (store.count(job.job_id), store.count(other.job_id)) == (0, 1)


def test_pages_that_are_not_counted_go_and_those_that_are_stay(store: PageStore) -> None:
    job, other = held(), held()
    for number in (0, 1, 2, 5):
        stored_in_lane(store, job, new_lane(number), *[[number * 10 + place] for place in range(4)])
    stored_in_lane(store, other, new_lane(1), [5])
    end = ended(job)
    store.keep_summary(end, b"kept")
    counted = [(2 * PAGES_A_LANE, 3), (0, 2), (PAGES_A_LANE, 0)]

    for _ in range(2):
        store.keep_only(job, counted)

    numbers = [0, 1, 2 * PAGES_A_LANE, 2 * PAGES_A_LANE + 1, 2 * PAGES_A_LANE + 2]
    assert [page.records for page in store.some(job.job_id, numbers)] == [1] * 5
    assert (store.count(job.job_id), store.count(other.job_id)) == (5, 1)
    assert store.summary(end) == b"kept"
    store.keep_only(job, [(0, 0)])
    assert (store.count(job.job_id), store.count(other.job_id)) == (0, 1)


def test_who_was_overtaken_removes_its_own_late_page_and_none_of_a_newer_epoch(store: PageStore) -> None:
    old = held()
    stored_in_lane(store, by_next_holder(old), new_lane(1), [5], [6])
    stored_in_lane(store, old, new_lane(2), [7])

    store.keep_only(old, [(0, 0)])

    assert store.count(old.job_id) == 2


def test_pages_that_are_not_counted_are_passed_over(store: PageStore) -> None:
    job = stored(store, held(), page_of([1, 2]))
    lane = stored_in_lane(store, job, new_lane(1, after=2), [3, 4], [5])
    store.close_lane(job, lane, before=2)
    stored(store, job, page_of([3, 4, 5], padding=90))
    counted = [(0, 1), (lane.first_page, 2)]

    assert [page.records for page in store.all(job.job_id, counted=counted)] == [2, 2, 1]
    for start in range(6):
        for limit in range(6):
            found = store.read(job.job_id, CONTACTS, start=start, limit=limit, counted=counted)
            assert [json.loads(each)["vid"] for each in found.records] == [1, 2, 3, 4, 5][start : start + limit]


@pytest.mark.parametrize("by_cutting", [False, True])
def test_the_pages_of_all_lanes_go_with_their_job(store: PageStore, by_cutting: bool) -> None:  # noqa: FBT001 - both ways
    job = held()
    for number in (0, 3, 98):
        stored_in_lane(store, job, new_lane(number), *[[place] for place in range(5)])

    if by_cutting:
        store.cut(job)
    else:
        store.remove(job.job_id)

    assert store.count(job.job_id) == 0


def test_a_summary_is_kept_for_one_end_of_the_job(store: PageStore) -> None:
    job = ended(stored(store, held(), page_of([1])))
    assert store.summary(job) is None

    for text in (b"old", b"", b"new\x00\xff"):
        store.keep_summary(job, text)
        assert store.summary(job) == text

    assert store.summary(replace(job, finished_at=present() + timedelta(seconds=1))) is None
    assert store.summary(ended(held())) is None


def test_a_summary_is_no_page_and_goes_with_the_pages(store: PageStore) -> None:
    job = ended(stored(store, held(), page_of([1]), page_of([2], padding=90)))
    store.keep_summary(job, b"kept")
    assert (store.count(job.job_id), vids(store, job)) == (2, [1, 2])
    assert len(list(store.all(job.job_id))) == 2

    store.remove(job.job_id)

    assert store.summary(job) is None


def test_the_pages_of_a_job_are_removed_and_no_others(store: PageStore) -> None:
    one, other = held(), held()
    stored(store, one, *(page_of([number], padding=9) for number in range(9)))
    stored(store, other, page_of([1]))

    for _ in range(2):
        store.remove(one.job_id)

    assert (store.count(one.job_id), store.count(other.job_id)) == (0, 1)
    assert vids(store, one) == []


@pytest.fixture
def mongo(mongo_database: MongoDatabase) -> MongoPageStore:
    store = MongoPageStore(mongo_database, most_bytes=SMALL, pages_a_change=3)
    store.ensure_indexes()
    return store


def test_a_page_of_which_a_part_is_missing_does_not_count(mongo_database: MongoDatabase, mongo: MongoPageStore) -> None:
    job = stored(mongo, held(), page_of([1], padding=90), page_of([2], padding=90))
    parts = mongo_database[COLLECTION].find({"job_id": job.job_id, "number": None}, {"_id": True})

    mongo_database[COLLECTION].delete_one({"_id": next(parts)["_id"]})

    assert mongo.count(job.job_id) == 1


def test_pages_of_which_a_part_is_missing_are_not_given(mongo_database: MongoDatabase, mongo: MongoPageStore) -> None:
    job = stored(mongo, held(), page_of([1], padding=90))
    mongo_database[COLLECTION].delete_one({"job_id": job.job_id, "number": None})

    with pytest.raises(JobNotFoundError):
        list(mongo.some(job.job_id, [0]))
    with pytest.raises(JobNotFoundError):
        mongo.get(job.job_id, 0)


def test_while_pages_wait_to_be_taken_no_cursor_is_open(mongo_database: MongoDatabase, mongo: MongoPageStore) -> None:
    def open_cursors() -> int:
        status = mongo_database.client.admin.command("serverStatus")
        total: int = status["metrics"]["cursor"]["open"]["total"]
        return total

    job = stored(mongo, held(), *(page_of([number], padding=30) for number in range(20)))
    before = open_cursors()

    next(mongo.some(job.job_id, range(20)))

    assert open_cursors() == before


def test_an_end_is_set_for_all_pages_and_taken_back(mongo_database: MongoDatabase, mongo: MongoPageStore) -> None:
    job = stored(mongo, held(), *(page_of([number], padding=30) for number in range(10)))
    mongo.keep_summary(ended(job), b"kept")
    end = present() + timedelta(days=1)

    mongo.expire(job.job_id, at=end)
    assert mongo_database[COLLECTION].distinct("expires_at") == [end]

    mongo.expire(job.job_id, at=None)
    assert mongo_database[COLLECTION].distinct("expires_at") == [None]
    mongo.remove(job.job_id)
    assert mongo_database[COLLECTION].count_documents({}) == 0


def test_counting_pages_reads_no_page(mongo_database: MongoDatabase, mongo: MongoPageStore) -> None:
    job = stored(mongo, held(), *(page_of([number]) for number in range(20)))
    query = mongo_database[COLLECTION].find({"job_id": job.job_id}, {"_id": False, "parts": True})
    assert query.explain()["executionStats"]["totalDocsExamined"] == 0


def test_pages_that_are_not_counted_are_looked_for_in_an_index_and_not_among_the_others(
    mongo_database: MongoDatabase,
) -> None:
    store = MongoPageStore(mongo_database)
    store.ensure_indexes()
    job = held()
    for number in range(5):
        stored_in_lane(store, job, new_lane(number), *[[place] for place in range(40)])

    with profiled(mongo_database, COLLECTION) as noted:
        store.keep_only(job, [(number * PAGES_A_LANE, 40) for number in range(5)])

    assert len(noted) == 1
    assert noted[0]["docsExamined"] == 0
    assert noted[0]["keysExamined"] <= 12
    assert store.count(job.job_id) == 200
