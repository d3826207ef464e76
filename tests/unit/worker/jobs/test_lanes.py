"""Lanes: how an export's ids are split, merged, and numbered; and when a split is not worth a call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.jobs.lanes import PAGES_A_LANE, Lane, Lanes
from worker.jobs.mongo.lanes import lanes_from_document
from worker.jobs.page_runs import PageRun, gaps_between, is_among, numbers_of
from worker.jobs.totals import ExportTotals
from worker.records.cursor import Cursor

PAGE = 100


def totals(ids: Sequence[int]) -> ExportTotals:
    return ExportTotals().after_page(ids, api="legacy")


def begun(pages: int = 10, *, distance: int = 10) -> Lanes:
    """Return lanes of a sequential read: so many pages of ids with such a distance."""
    ids = range(distance, distance * (pages * PAGE + 1), distance)
    return Lanes.of_first(cursor=Cursor(after_id=ids[-1]), pages=pages, totals=totals(ids))


def split(lanes: Lanes, *, wasted: int = 0) -> Lanes:
    found = lanes.split(page_size=PAGE, wasted=wasted)
    assert found is not None
    return found[0]


def with_page(lanes: Lanes, after: int, ids: Sequence[int]) -> Lanes:
    """Read a page of a lane that has more."""
    lane = lanes.find(after)
    assert lane is not None
    lanes, lane = lanes.numbered(lane)
    moved = lane.moved(ids[-1], has_more=True).with_page(lane.totals.after_page(ids, api="legacy"))
    return lanes.with_lane(moved)


def ranges(lanes: Lanes) -> list[tuple[int, int | None]]:
    return [(lane.after, lane.until) for lane in lanes.parts]


def test_the_first_new_lane_looks_for_the_end_further_ahead_than_what_is_read() -> None:
    lanes = split(begun())
    assert ranges(lanes) == [(0, 29_980), (29_980, None)]
    assert lanes.first.read_through == 10_000


def test_the_end_is_looked_for_in_leaps_that_grow() -> None:
    lanes = with_page(split(begun(40)), 119_980, range(120_000, 121_000, 10))
    assert ranges(split(lanes))[1:] == [(119_980, 362_950), (362_950, None)]


def test_a_lane_that_brought_nothing_is_given_up_and_what_it_saw_is_remembered() -> None:
    lanes = split(begun(20))
    empty = lanes.parts[-1]

    lanes = lanes.ended_with(empty)

    assert ranges(lanes) == [(0, None)]
    assert (lanes.first.known_end, lanes.first.has_more) == (empty.after, True)
    assert 20_000 < split(lanes, wasted=0).parts[-1].after < empty.after


def test_new_records_are_looked_for_behind_the_last_one_there_is() -> None:
    lanes = with_page(split(begun(40)), 119_980, range(120_000, 121_000, 10))
    lanes = split(lanes)
    last_with_records, empty = lanes.parts[1:]
    lanes = lanes.with_lane(last_with_records.moved(121_500, has_more=False))

    lanes = lanes.ended_with(empty)

    assert ranges(lanes) == [(0, 119_980), (119_980, None)]
    assert lanes.parts[-1].has_more


def test_a_lane_without_records_keeps_the_open_end_when_the_one_before_has_passed_its_own() -> None:
    lanes = split(begun())
    passed = lanes.first.moved(30_500, has_more=True)
    assert not passed.has_more

    lanes = lanes.with_lane(passed).ended_with(lanes.parts[-1])

    assert ranges(lanes) == [(0, 29_980), (29_980, None)]
    assert lanes.are_read


def test_the_lane_with_the_most_left_is_split_in_the_middle() -> None:
    lanes = with_page(split(begun(40)), 119_980, range(120_000, 120_200, 2))
    lanes = lanes.with_lane(replace(lanes.parts[-1], has_more=False))

    assert ranges(split(lanes)) == [(0, 79_990), (79_990, 119_980), (119_980, None)]


def test_a_gap_is_not_taken_for_as_many_records_as_would_fill_it() -> None:
    far = 10**12
    lanes = split(begun(40))
    lanes = Lanes(
        parts=(replace(lanes.first, until=far), Lane(after=far, until=None, read_through=far, has_more=False))
    )

    assert split(lanes).parts[1].after < 40_000 * 4


@pytest.mark.parametrize(
    "lanes",
    [
        Lanes(parts=(replace(begun().first, until=10_000 + 3 * PAGE * 10),)),
        Lanes(parts=(replace(begun().first, has_more=False),)),
        Lanes(parts=(replace(begun().first, totals=totals([7])),)),
        Lanes(parts=begun().parts, made=99),
        Lanes.of_first(cursor=Cursor(after_id=2**62), pages=10, totals=totals([1, 2**62])),
    ],
    ids=["little left", "nothing left", "unknown distance", "no number left", "beyond all ids"],
)
def test_a_split_that_is_not_worth_a_call_is_not_made(lanes: Lanes) -> None:
    assert lanes.split(page_size=PAGE, wasted=0) is None


def test_a_lane_whose_first_page_is_not_there_yet_is_not_split() -> None:
    lanes = split(begun(60))
    assert split(lanes).parts[-1] == lanes.parts[-1]


def test_calls_that_return_nothing_are_a_small_part_of_all() -> None:
    for pages in (10, 40, 100, 1000):
        lanes, wasted = begun(pages), 0
        while (found := lanes.split(page_size=PAGE, wasted=wasted)) is not None:
            lanes, wasted = found[0].ended_with(found[1]), wasted + 1
            lanes = lanes.with_lane(replace(lanes.first, known_end=None))
        assert 1 <= wasted <= 1 + 0.03 * pages


def test_the_open_end_is_taken_in_last_and_only_when_all_is_read() -> None:
    lanes = with_page(split(begun()), 29_980, [30_000, 30_010])
    lanes = lanes.with_lane(replace(lanes.first, has_more=False)).with_lane(replace(lanes.parts[-1], has_more=False))
    first, last = lanes.parts

    assert lanes.next_to_merge(is_at_end=False) == first
    lanes = lanes.with_merged()
    assert lanes.next_to_merge(is_at_end=False) is None
    assert lanes.next_to_merge(is_at_end=True) == last
    assert not lanes.are_one
    lanes = lanes.with_merged()

    assert lanes.are_one
    assert (lanes.pages, lanes.records, lanes.first.page_runs) == (11, 1002, ((0, 10), (PAGES_A_LANE, 1)))
    assert (lanes.first.totals.first_id, lanes.first.totals.last_id, lanes.first.totals.order) == (
        10,
        30_010,
        "ascending",
    )
    assert lanes.next_to_merge(is_at_end=True) is None


def test_a_lane_that_is_not_read_is_not_taken_in() -> None:
    lanes = with_page(split(begun()), 29_980, [30_000, 30_010])
    assert lanes.next_to_merge(is_at_end=False) is None
    lanes = lanes.with_lane(replace(lanes.first, has_more=False)).with_merged()
    assert lanes.next_to_merge(is_at_end=True) is None


def test_what_a_dead_worker_may_have_stored_ahead_has_numbers_that_are_known() -> None:
    lanes = with_page(split(begun()), 29_980, [30_000, 30_010])

    assert lanes.counted_pages == ((0, 10), (PAGES_A_LANE, 1))
    assert list(gaps_between(lanes.counted_pages)) == [(10, PAGES_A_LANE), (PAGES_A_LANE + 1, None)]


def test_pages_stay_counted_when_their_lane_is_taken_in() -> None:
    lanes = with_page(split(begun()), 29_980, [30_000, 30_010])
    counted = lanes.counted_pages
    lanes = lanes.with_lane(replace(lanes.first, has_more=False)).with_merged()
    assert lanes.counted_pages == counted
    lanes = lanes.with_lane(replace(lanes.parts[1], has_more=False)).with_merged()
    assert lanes.counted_pages == counted == lanes.first.page_runs


@pytest.mark.parametrize(
    ("page_runs", "gaps"),
    [
        ([], [(0, None)]),
        ([(0, 0)], [(0, None)]),
        ([(0, 3)], [(3, None)]),
        ([(0, 3), (3, 2)], [(5, None)]),
        ([(7, 2), (0, 3)], [(3, 7), (9, None)]),
        ([(7, 0), (9, 1)], [(0, 7), (7, 9), (10, None)]),
    ],
)
def test_a_number_is_in_a_block_or_in_a_gap_and_never_in_both(
    page_runs: list[PageRun], gaps: list[tuple[int, int | None]]
) -> None:
    assert list(gaps_between(page_runs)) == gaps
    for number in range(12):
        in_gap = any(first <= number and (end is None or number < end) for first, end in gaps)
        assert in_gap is not is_among(page_runs, number)


def test_a_retry_has_fresh_patience_in_every_lane() -> None:
    lanes = split(begun())
    tired = Lanes(parts=tuple(replace(lane, attempts=9, backoff_s=99.0) for lane in lanes.parts))
    assert (tired.attempts, tired.before_retry()) == (9, lanes)


@pytest.mark.parametrize(
    ("ids", "until", "own"), [([1, 2, 3], None, 3), ([1, 2, 3], 3, 3), ([1, 2, 3], 2, 2), ([4], 3, 0)]
)
def test_records_beyond_a_lanes_end_are_the_next_ones(ids: list[int], until: int | None, own: int) -> None:
    assert Lane(after=0, until=until, read_through=0).count_within(ids) == own


def test_a_lane_keeps_hubspots_offset_for_its_next_call_and_none_behind_its_end() -> None:
    lane = Lane(after=0, until=None, read_through=7)
    assert lane.cursor == Cursor(after_id=7)

    moved = lane.moved(10, has_more=True, offset=12, api="legacy")
    assert moved.cursor == Cursor(offset=12, api="legacy", after_id=10)
    assert moved.moved(15, has_more=False, offset=16, api="legacy").cursor == Cursor(after_id=15)


def test_lanes_that_were_stored_without_offsets_go_on_behind_their_places() -> None:
    stored = {"after": 0, "until": 900, "place": 200, "number": 0, "has_more": True, "pages": 10}
    lanes = lanes_from_document({"parts": [stored], "made": 1})
    assert lanes.first.cursor == Cursor(after_id=200)


def test_what_has_no_order_is_not_split() -> None:
    with pytest.raises(ValueError, match="order"):
        Lanes.of_first(cursor=Cursor(offset=7, api="legacy"), pages=10, totals=ExportTotals())


page_runs_of_lanes = st.lists(st.integers(1, 5), max_size=6).map(
    lambda sizes: tuple((number * PAGES_A_LANE, size) for number, size in enumerate(sizes))
)


@given(page_runs_of_lanes)
def test_pages_are_found_by_their_places_whatever_blocks_they_lie_in(page_runs: tuple[PageRun, ...]) -> None:
    in_order = [first + position for first, pages in page_runs for position in range(pages)]
    assert numbers_of(page_runs, range(len(in_order))) == in_order
    assert numbers_of(page_runs, reversed(range(len(in_order)))) == in_order[::-1]


def test_without_blocks_a_page_has_the_number_of_its_place() -> None:
    assert numbers_of((), range(3, 6)) == [3, 4, 5]
