"""Several lists in the order of their ids, merged page by page."""

from __future__ import annotations

import pytest

from worker.hubspot.dated.activities.merge import Entry, Stretch, first_page, is_in_order


def _entries(*places: int) -> tuple[Entry, ...]:
    return tuple(Entry(each, b"%d" % each) for each in places)


def _stretch(*places: int, after: int | None = None, asked_at: float = 0.0) -> Stretch:
    return Stretch(entries=_entries(*places), after=after, asked_at=asked_at)


def test_a_page_reaches_as_far_as_every_list_is_known() -> None:
    page = first_page({"notes": _stretch(1, 4, 9, after=10), "calls": _stretch(2, 3, after=4)}, most=10)

    assert [each.place for each in page.entries] == [1, 2, 3]
    assert page.through == 3
    assert page.rest == {"notes": _stretch(4, 9, after=10), "calls": _stretch(after=4)}
    assert page.has_more


def test_a_list_that_has_ended_holds_nothing_back() -> None:
    page = first_page({"notes": _stretch(1, 4, 9), "calls": _stretch(2), "tasks": _stretch()}, most=10)

    assert [each.place for each in page.entries] == [1, 2, 4, 9]
    assert not page.has_more


def test_a_list_that_continues_behind_all_records_leaves_more() -> None:
    page = first_page({"notes": _stretch(1), "calls": _stretch(2, after=3)}, most=10)

    assert [each.place for each in page.entries] == [1, 2]
    assert page.has_more


def test_a_page_has_as_many_records_as_are_asked_for() -> None:
    page = first_page({"notes": _stretch(1, 4, 9), "calls": _stretch(2, 3)}, most=3)

    assert [each.place for each in page.entries] == [1, 2, 3]
    assert page.rest["notes"] == _stretch(4, 9)
    assert page.has_more


def test_records_of_one_place_are_never_parted() -> None:
    page = first_page({"notes": _stretch(1, 2, 2, 3), "calls": _stretch(2)}, most=2)

    assert [each.place for each in page.entries] == [1, 2, 2, 2]
    assert page.rest["notes"] == _stretch(3)


def test_lists_without_records_make_an_empty_last_page() -> None:
    page = first_page({"notes": _stretch(), "calls": _stretch()}, most=10)

    assert page.entries == []
    assert page.through is None
    assert not page.has_more


def test_a_page_is_as_old_as_the_oldest_answer_that_it_rests_on() -> None:
    page = first_page({"notes": _stretch(1, asked_at=7.0), "calls": _stretch(asked_at=3.0)}, most=10)

    assert page.asked_at == 3.0


@pytest.mark.parametrize(("places", "expected"), [((), True), ((1, 1, 2), True), ((1, 3, 2), False)])
def test_an_order_may_repeat_ids_but_not_go_back(places: tuple[int, ...], *, expected: bool) -> None:
    assert is_in_order(_entries(*places)) is expected
