"""What lists gave beyond a page, kept for the next one."""

from __future__ import annotations

from worker.export.interfaces import KEPT_FOR_S
from worker.hubspot.dated.activities.kept import KeptStretches
from worker.hubspot.dated.activities.merge import Entry, Stretch


def _stretch(*places: int, asked_at: float = 0.0, size: int = 1) -> Stretch:
    return Stretch(entries=tuple(Entry(each, b"x" * size) for each in places), after=99, asked_at=asked_at)


def test_what_was_kept_at_a_place_is_taken_there_once() -> None:
    kept = KeptStretches()
    kept.put("job", 5, {"notes": _stretch(5, 7)}, at=0.0)

    assert kept.take("job", 5, not_before=0.0) == {"notes": _stretch(5, 7)}
    assert kept.take("job", 5, not_before=0.0) == {}


def test_another_reader_and_another_place_have_nothing_of_it() -> None:
    kept = KeptStretches()
    kept.put("job", 5, {"notes": _stretch(5)}, at=0.0)

    assert kept.take("other", 5, not_before=0.0) == {}
    assert kept.take("job", 6, not_before=0.0) == {}


def test_a_list_that_was_asked_too_long_ago_is_left_out() -> None:
    kept = KeptStretches()
    kept.put("job", 5, {"notes": _stretch(5, asked_at=1.0), "calls": _stretch(6, asked_at=9.0)}, at=10.0)

    assert kept.take("job", 5, not_before=2.0) == {"calls": _stretch(6, asked_at=9.0)}


def test_what_is_too_much_goes_from_where_it_was_left_longest_ago() -> None:
    kept = KeptStretches(most_bytes=250)
    for place in (1, 2, 3):
        kept.put("job", place, {"notes": _stretch(place, size=100)}, at=0.0)

    assert [bool(kept.take("job", place, not_before=0.0)) for place in (1, 2, 3)] == [False, True, True]


def test_one_place_that_alone_is_too_much_is_not_kept() -> None:
    kept = KeptStretches(most_bytes=50)
    kept.put("job", 1, {"notes": _stretch(1, size=100)}, at=0.0)

    assert kept.take("job", 1, not_before=0.0) == {}


def test_there_are_only_so_many_places() -> None:
    kept = KeptStretches(most_places=2)
    for place in (1, 2, 3):
        kept.put("job", place, {"notes": _stretch(place)}, at=0.0)

    assert [bool(kept.take("job", place, not_before=0.0)) for place in (1, 2, 3)] == [False, True, True]


def test_what_nobody_has_come_back_for_goes_when_more_is_kept() -> None:
    kept = KeptStretches()
    kept.put("job", 1, {"notes": _stretch(1)}, at=0.0)
    kept.put("job", 2, {"notes": _stretch(2)}, at=KEPT_FOR_S + 1)

    assert kept.take("job", 1, not_before=0.0) == {}
    assert kept.take("job", 2, not_before=0.0) != {}


def test_a_reader_that_begins_anew_has_nothing_left() -> None:
    kept = KeptStretches()
    kept.put("job", 1, {"notes": _stretch(1)}, at=0.0)
    kept.put("other", 1, {"notes": _stretch(1)}, at=0.0)

    kept.forget("job")

    assert kept.take("job", 1, not_before=0.0) == {}
    assert kept.take("other", 1, not_before=0.0) != {}
