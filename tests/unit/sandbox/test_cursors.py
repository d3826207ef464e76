"""Every recorded form of a legacy list's offsets: each leads through the list, each record once."""

import itertools
import json
from collections.abc import Callable
from typing import Any, get_args

import pytest

from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.messages import Answer
from sandbox.fake_hubspot.records.cursors import CursorForm, FinalCursor, ListOrder, ListReader
from sandbox.fake_hubspot.records.record_counts import RecordSet
from tests.unit.sandbox.test_legacy_lists import LISTS, parts

Get = Callable[..., Answer]
Page = Callable[..., dict[str, Any]]
FORMS = get_args(CursorForm)
ORDERS = get_args(ListOrder)


def walk(reader: ListReader, size: int) -> tuple[list[int], list[tuple[int, int]]]:
    """Return the ids of all pages, and of every page but the last its last id and its offset."""
    ids: list[int] = []
    ends: list[tuple[int, int]] = []
    cursor = 0
    for _ in range(1000):
        page = reader.page(cursor, size)
        ids += [reader.record_set.id_at(index) for index in page.indexes]
        if not page.more:
            return ids, ends
        assert page.cursor is not None
        cursor = page.cursor
        ends.append((ids[-1], cursor))
    pytest.fail("the list has no end")


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("form", FORMS)
def test_following_the_offset_gives_every_record_once(form: CursorForm, order: ListOrder) -> None:
    for size, stride in itertools.product((1, 2, 7), (1, 2, 3, 37)):
        record_set = RecordSet("contacts", count=120, seed=3, stride=stride)
        expected = record_set.ids()

        ids, _ = walk(ListReader(record_set, form, order=order), size)

        assert ids == (expected if order == "ascending" else expected[::-1]), (size, stride)


@pytest.mark.parametrize("form", FORMS)
def test_an_offset_lies_between_the_last_id_and_the_next_one(form: CursorForm) -> None:
    record_set = RecordSet("contacts", count=200, seed=3)
    ids = record_set.ids()
    following = dict(itertools.pairwise(ids))

    _, ends = walk(ListReader(record_set, form), 3)

    assert all(last <= cursor <= following[last] for last, cursor in ends)
    forms = {cursor - last if cursor - last < 2 else "next" for last, cursor in ends if following[last] - last > 1}
    assert forms == {"last_id": {0}, "last_id_plus_1": {1}, "next_id": {"next"}, "mixed": {0, 1, "next"}}[form]


@pytest.mark.parametrize("form", FORMS)
def test_any_id_will_do_as_an_offset_and_may_or_may_not_be_given_itself(form: CursorForm) -> None:
    record_set = RecordSet("contacts", count=50, seed=3)
    ids = record_set.ids()
    reader = ListReader(record_set, form)

    first = [record_set.id_at(reader.page(each, 1).indexes[0]) for each in ids[:-1]]

    itself = {given == asked for given, asked in zip(first, ids[:-1], strict=True)}
    assert itself == {"last_id": {False}, "mixed": {False, True}}.get(form, {True})
    assert all(given in pair for given, pair in zip(first, itertools.pairwise(ids), strict=True))


@pytest.mark.parametrize("type_", LISTS)
@pytest.mark.parametrize("form", FORMS)
def test_accounts_choose_the_form_of_each_list(type_: str, form: CursorForm, page: Page, hubspot: HubSpot) -> None:
    hubspot.accounts[99].change({"cursor_forms": {type_: form}})
    path, _, cursor_in, size, *_ = LISTS[type_]
    seen: list[int] = []
    more, cursor = True, 0

    while more:
        ids, more, cursor = parts(page(f"{path}?{size}=3&{cursor_in}={cursor}"))
        seen += ids

    assert seen == hubspot.accounts[99].records[type_].ids()
    assert cursor == seen[-1] + (form != "last_id")


@pytest.mark.parametrize(("final", "expected"), [("last_id", 0), ("last_id_plus_1", 1), ("zero", None), ("none", None)])
@pytest.mark.parametrize("type_", LISTS)
def test_accounts_choose_what_the_last_page_says(
    type_: str, final: FinalCursor, expected: int | None, get: Get, hubspot: HubSpot
) -> None:
    hubspot.add_account(5, records={type_: 5}, final_cursors={type_: final})  # type: ignore[dict-item]  # a literal
    path, keys, *_ = LISTS[type_]
    last = hubspot.accounts[5].records[type_].ids()[-1]

    body = json.loads(get(path, hub_id=5).body)

    cursor = body.get("vid-offset", body.get("offset"))
    assert cursor == (last + expected if expected is not None else {"zero": 0, "none": None}[final])
    assert [key for key in keys if key in body] == list(body)


def test_ids_may_follow_each_other(hubspot: HubSpot) -> None:
    hubspot.add_account(5, records={"contacts": 4, "deals": 4}, id_strides={"contacts": 1})

    first, *others = hubspot.accounts[5].records["contacts"].ids()

    assert others == [first + 1, first + 2, first + 3]
    assert len(set(hubspot.accounts[5].records["deals"].ids())) == 4


def test_deals_may_come_the_latest_first(page: Page, hubspot: HubSpot) -> None:
    hubspot.accounts[99].change({"list_orders": {"deals": "descending"}})

    ids, *_ = parts(page(LISTS["deals"][0]))

    assert ids == hubspot.accounts[99].records["deals"].ids()[::-1]


def test_the_dated_lists_may_name_the_next_record(page: Page, hubspot: HubSpot) -> None:
    hubspot.accounts[99].change({"dated_cursor_form": "next_id"})
    ids = hubspot.accounts[99].records["contacts"].ids()

    body = page("/crm/objects/2026-09/contacts?limit=3")

    assert body["paging"]["next"]["after"] == str(ids[3])
