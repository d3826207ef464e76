"""All kinds of engagements from five lists, page by page as one list in the order of ids."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.worker.hubspot.dated.activities.kind_lists import KINDS, Clock, Desk, ListsInMemory, ids_of, refusal
from worker.errors import (
    CallAbandonedError,
    ExportError,
    FatalHubSpotError,
    NoPermitError,
    RetryableHubSpotError,
    TokenRefusedError,
)
from worker.export.interfaces import FeedQuery
from worker.hubspot.dated.activities.kept import KeptStretches
from worker.rate_limit.permits import FREE_PERMIT, Permit
from worker.records.findings import NOT_ASKED, PageFindings

ids_by_kind = st.dictionaries(st.integers(1, 400), st.sampled_from(KINDS), max_size=120).map(
    lambda kinds: {kind: sorted(each for each, of in kinds.items() if of == kind) for kind in KINDS}
)


def skewed(*, records: int, share: float = 0.9, seed: int = 7) -> dict[str, list[int]]:
    """Return ids of which this share are e-mails."""
    dice = random.Random(seed)  # noqa: S311 - the same every time
    kinds = ["emails" if dice.random() < share else dice.choice(KINDS) for _ in range(records)]
    return {kind: [1 + place * 3 for place, of in enumerate(kinds) if of == kind] for kind in KINDS}


@given(
    ids=ids_by_kind,
    count=st.integers(1, 30),
    refused=st.sets(st.sampled_from(KINDS), max_size=4),
    first=st.integers(0, 420),
)
def test_pages_from_any_place_hold_what_one_sorted_list_would(
    ids: dict[str, list[int]], count: int, refused: set[str], first: int
) -> None:
    desk = Desk(ListsInMemory(ids, errors={kind: refusal() for kind in refused}))

    pages = desk.read_all(first or None, count=count)

    wanted = sorted(each for kind in KINDS if kind not in refused for each in ids[kind] if each >= first)
    assert ids_of(pages) == wanted
    assert all(len(ids_of([each])) <= count for each in pages)
    assert all(each.page.records for each in pages[:-1])
    assert {name for each in pages for name in each.findings.left_out} == refused


@given(ids=ids_by_kind, count=st.integers(1, 30), bytes_kept=st.integers(0, 4000), data=st.data())
def test_what_is_lost_between_two_pages_costs_calls_and_no_record(
    ids: dict[str, list[int]], count: int, bytes_kept: int, data: st.DataObject
) -> None:
    desk = Desk(ListsInMemory(ids), kept=KeptStretches(most_bytes=bytes_kept))
    found, place = list[int | None](), None
    while True:
        fetched = desk.fetch(place, count=count)
        found += ids_of([fetched])
        if not fetched.page.has_more:
            break
        assert isinstance(fetched.page.offset, int)
        place = fetched.page.offset
        if data.draw(st.booleans()):
            desk.clock.at += 61.0

    assert found == sorted(each for some in ids.values() for each in some)


def test_a_long_feed_takes_about_as_many_calls_as_its_lists_have_pages() -> None:
    ids = skewed(records=20_000)
    desk = Desk(ListsInMemory(ids))

    pages = desk.read_all()

    least = sum(math.ceil(len(some) / 100) for some in ids.values())
    assert sum(desk.lists.calls.values()) <= least + len(KINDS)
    assert sum(sum(each.findings.calls.values()) for each in pages) == sum(desk.lists.calls.values())
    assert len(pages) == 20_000 / 100


def test_kinds_of_equal_shares_take_no_more_calls_than_pages() -> None:
    ids = {kind: list(range(1 + place, 10_000, len(KINDS))) for place, kind in enumerate(KINDS)}
    desk = Desk(ListsInMemory(ids))

    pages = desk.read_all()

    assert sum(desk.lists.calls.values()) == 100
    assert len(pages) == 100
    assert any(each.took_no_call for each in pages)
    assert {sum(each.findings.calls.values()) for each in pages if each.took_no_call} == {0}


def test_without_a_reader_nothing_is_kept() -> None:
    desk = Desk(ListsInMemory(skewed(records=400)))

    first = desk.fetch(reader=None)
    assert isinstance(first.page.offset, int)
    desk.fetch(first.page.offset, reader=None)

    assert sum(desk.lists.calls.values()) == 2 * len(KINDS)


def test_whoever_begins_anew_gets_everything_anew() -> None:
    desk = Desk(ListsInMemory(skewed(records=400)))
    desk.fetch()
    desk.lists.ids = {"notes": [1]}

    assert ids_of(desk.read_all()) == [1]


def test_what_others_have_read_is_of_no_use() -> None:
    desk = Desk(ListsInMemory(skewed(records=400)))
    place = desk.fetch().page.offset
    assert isinstance(place, int)

    desk.fetch(place, reader="another")

    assert sum(desk.lists.calls.values()) == 2 * len(KINDS)


def test_what_was_asked_for_before_the_copy_was_begun_is_asked_for_again() -> None:
    desk = Desk(ListsInMemory(skewed(records=400)))
    place = desk.fetch().page.offset
    assert isinstance(place, int)
    desk.clock.at += 5.0

    desk.fetch(place, kept_for_s=4.0)

    assert sum(desk.lists.calls.values()) == 2 * len(KINDS)


def test_a_page_is_as_old_as_the_oldest_answer_that_it_rests_on() -> None:
    clock = Clock()
    desk = Desk(ListsInMemory(skewed(records=400)), clock=clock)
    place = desk.fetch().page.offset
    assert isinstance(place, int)
    clock.at += 5.0

    assert desk.fetch(place).asked_s_ago == 5.0


def test_a_refused_kind_is_named_with_the_reason_and_asked_no_more() -> None:
    desk = Desk(ListsInMemory(skewed(records=400), errors={"emails": refusal(message="sales-email-read is missing")}))

    first = desk.fetch()

    assert first.findings.left_out == {"emails": "sales-email-read is missing"}
    assert first.refused == (403,)
    desk.fetch(left_out=frozenset({"emails"}))
    assert desk.lists.calls["emails"] == 1


def test_a_list_that_a_portal_does_not_have_is_left_out() -> None:
    desk = Desk(ListsInMemory({"notes": [1]}, errors={"meetings": refusal(404, "resource not found")}))

    fetched = desk.fetch()

    assert ids_of([fetched]) == [1]
    assert fetched.findings.left_out == {"meetings": "resource not found"}


def test_with_every_kind_refused_the_page_fails_as_one_list_does() -> None:
    desk = Desk(ListsInMemory({}, errors={kind: refusal() for kind in KINDS}))

    with pytest.raises(FatalHubSpotError) as refused:
        desk.fetch()

    assert refused.value.status == 403


def test_the_last_kind_that_is_refused_later_fails_the_page() -> None:
    desk = Desk(ListsInMemory({}, errors={"notes": refusal()}))

    with pytest.raises(FatalHubSpotError):
        desk.fetch(5, left_out=frozenset(KINDS) - {"notes"})


@pytest.mark.parametrize(
    "error",
    [RetryableHubSpotError("x", status=500), refusal(400), TokenRefusedError("x", status=401), NoPermitError(wait_s=1)],
)
def test_any_other_error_of_a_list_fails_the_page_which_keeps_what_it_has(error: ExportError) -> None:
    desk = Desk(ListsInMemory(skewed(records=400), errors={"meetings": error}))

    with pytest.raises(type(error)):
        desk.fetch(2)
    desk.lists.errors.clear()
    desk.fetch(2)

    assert desk.lists.calls == {"notes": 1, "calls": 1, "emails": 1, "meetings": 2, "tasks": 1}


def test_kinds_that_the_operator_does_not_want_are_not_asked_and_named() -> None:
    desk = Desk(ListsInMemory(skewed(records=400)), kinds=("notes", "tasks"))

    fetched = desk.fetch()

    assert set(desk.lists.calls) == {"notes", "tasks"}
    assert fetched.findings.left_out == {"calls": NOT_ASKED, "emails": NOT_ASKED, "meetings": NOT_ASKED}
    assert fetched.refused == ()


def test_a_list_out_of_the_order_of_its_ids_fails_the_page() -> None:
    class Disordered(ListsInMemory):
        @staticmethod
        def record(record_id: int) -> object:  # type: ignore[override]
            return ListsInMemory.record(500 - record_id)

    desk = Desk(Disordered({"notes": [1, 2, 3]}))

    with pytest.raises(RetryableHubSpotError, match="notes is not in the order of its ids"):
        desk.fetch()


def test_what_the_lists_tell_of_their_pages_is_told_of_the_page() -> None:
    findings = PageFindings(vanished=2, incomplete_associations=1)
    desk = Desk(ListsInMemory({"notes": [1], "calls": [2]}, findings=findings))

    found = desk.fetch().findings

    assert (found.vanished, found.incomplete_associations) == (2 * len(KINDS), len(KINDS))
    assert "engagements of other types" in found.not_available


def test_an_empty_account_has_one_empty_page() -> None:
    fetched = Desk(ListsInMemory({})).fetch()

    assert not fetched.page.has_more
    assert fetched.page.records == 0
    assert fetched.page.says_more


def test_every_list_is_asked_for_what_its_shape_takes_and_for_what_the_caller_wants() -> None:
    desk = Desk(ListsInMemory({}))

    desk.fetch(archived=True, associations=("contacts", "leads"), properties=("custom", "hs_note_body"))

    for asked in desk.lists.asked:
        assert asked.archived
        assert asked.associations == ("contacts", "companies", "deals", "tickets", "leads")
        assert {"hs_timestamp", "custom", "hs_note_body"} < set(asked.properties)
        assert len(set(asked.properties)) == len(asked.properties)
    by_path = {each.path: set(each.properties) for each in desk.lists.asked}
    assert "hs_email_headers" in by_path["emails"]
    assert "hs_email_headers" not in by_path["calls"]


def test_what_was_read_for_other_properties_is_of_no_use() -> None:
    desk = Desk(ListsInMemory(skewed(records=400)))
    place = desk.fetch(properties=("a",)).page.offset
    assert isinstance(place, int)

    desk.fetch(place, properties=("b",))

    assert sum(desk.lists.calls.values()) == 2 * len(KINDS)


@pytest.mark.parametrize("error", [NoPermitError(wait_s=1), CallAbandonedError("The worker stops")])
def test_a_page_that_gets_no_further_call_holds_what_is_known_by_then(error: Exception) -> None:
    ids = {"notes": list(range(1, 300, 2)), "calls": list(range(2, 2000, 100))}
    desk = Desk(ListsInMemory(ids))
    permits = iter(range(len(KINDS) - 1))

    def further_call() -> Permit:
        if next(permits, None) is None:
            raise error
        return FREE_PERMIT

    short = desk.fetch(count=200, further_call=further_call)

    assert ids_of([short]) == [each for each in sorted([*ids["notes"], *ids["calls"]]) if each <= 199]
    assert short.page.has_more
    assert isinstance(short.page.offset, int)
    rest = desk.read_all(short.page.offset)
    assert ids_of([short, *rest]) == sorted([*ids["notes"], *ids["calls"]])
    assert sum(desk.lists.calls.values()) == len(KINDS) + 1


def test_a_list_of_all_and_one_of_changes_are_kept_apart() -> None:
    desk = Desk(ListsInMemory(skewed(records=400)))
    place = desk.fetch(feed=FeedQuery(since=datetime(2026, 11, 1, tzinfo=UTC))).page.offset
    assert isinstance(place, int)

    desk.fetch(place)

    assert sum(desk.lists.calls.values()) == 2 * len(KINDS)
