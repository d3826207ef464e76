"""What a run asks for: all of it decided by the seed, in sizes that make limits and page borders matter."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import get_args

from benchmarks.soak.plan import HUBSPOT_TYPES, Size, make_plan
from sandbox.fake_hubspot.accounts import RecordTypeName
from sandbox.fake_hubspot.records.cursors import CursorForm, FinalCursor

SIZE = Size(accounts=20, exports=40, pages=30, seconds=100, reads_per_s=2, seed=7)


def test_the_same_seed_gives_the_same_plan() -> None:
    assert make_plan(SIZE) == make_plan(SIZE)


def test_another_seed_gives_another_plan() -> None:
    assert make_plan(SIZE) != make_plan(replace(SIZE, seed=8))


def test_every_export_is_asked_for_in_the_first_part_of_the_run_in_order() -> None:
    exports = make_plan(SIZE).exports

    assert [export.number for export in exports] == list(range(1, 41))
    assert all(before.at_s <= after.at_s for before, after in pairwise(exports))
    assert exports[0].at_s == 0
    assert exports[-1].at_s < 80


def test_an_account_is_not_asked_for_a_type_twice_while_there_are_others() -> None:
    exports = make_plan(SIZE).exports

    assert len({(export.account, export.export_type) for export in exports}) == len(exports)


def test_more_exports_than_there_are_types_of_accounts_come_round_again() -> None:
    exports = make_plan(replace(SIZE, accounts=2, exports=20)).exports

    assert len(exports) == 20
    assert len({(export.account, export.export_type) for export in exports}) == 8


def test_an_export_that_comes_round_again_has_the_page_size_that_its_records_were_chosen_for() -> None:
    exports = make_plan(replace(SIZE, accounts=2, exports=20)).exports

    assert len({(export.account, export.export_type, export.page_size) for export in exports}) == 8


def test_an_account_s_exports_follow_each_other_so_that_they_share_its_limit() -> None:
    owners = [export.account.account_id for export in make_plan(SIZE).exports]

    changes = sum(before != after for before, after in pairwise(owners))
    assert changes == len(set(owners)) - 1


def test_the_exports_have_about_as_many_pages_as_asked_for_some_far_fewer_and_some_far_more() -> None:
    plan = make_plan(SIZE)
    held = {planned.account: planned.records for planned in plan.accounts}

    pages = [held[e.account][HUBSPOT_TYPES[e.export_type]] / e.page_size for e in plan.exports]
    assert 20 < sum(pages) / len(pages) < 40
    assert min(pages) < 15
    assert max(pages) > 45


def test_some_exports_end_with_a_full_page_and_some_do_not() -> None:
    plan = make_plan(SIZE)
    held = {planned.account: planned.records for planned in plan.accounts}

    rests = {held[e.account][HUBSPOT_TYPES[e.export_type]] % e.page_size > 0 for e in plan.exports}
    assert rests == {True, False}


def test_what_nobody_exports_holds_more_than_a_synchronous_read_shows() -> None:
    plan = make_plan(replace(SIZE, exports=1))

    assert all(count > 10 for planned in plan.accounts[:1] for count in planned.records.values())


def test_reads_trickle_through_the_whole_run() -> None:
    reads = make_plan(SIZE).reads

    assert len(reads) == 200
    assert {after.at_s - before.at_s for before, after in pairwise(reads)} == {0.5}
    assert {read.export_type for read in reads} == set(HUBSPOT_TYPES)


def test_every_form_of_an_offset_is_met_by_every_type() -> None:
    accounts = make_plan(SIZE).accounts

    for name in get_args(RecordTypeName):
        assert {each.cursor_forms[name] for each in accounts} == set(get_args(CursorForm))
        assert {each.final_cursors[name] for each in accounts} == set(get_args(FinalCursor))


def test_a_flood_comes_from_an_account_of_its_own_and_changes_nothing_else() -> None:
    plain, flooded = make_plan(SIZE), make_plan(replace(SIZE, flood=150))

    assert plain.flood == ()
    assert replace(flooded, flood=(), accounts=flooded.accounts[:-1]) == plain
    assert len(flooded.flood) == 150
    assert {(each.page_size, each.at_s) for each in flooded.flood} == {(1, 10.0)}
    assert {each.account for each in flooded.flood} == {flooded.accounts[-1].account}
    numbers = [each.number for each in flooded.all_exports]
    assert len(numbers) == len(set(numbers))


def test_small_exports_of_an_account_of_its_own_come_one_after_the_other() -> None:
    plan = make_plan(SIZE)

    assert [each.at_s for each in plan.small] == [12.5 + 5 * number for number in range(len(plan.small))]
    assert 10 < len(plan.small) < 20
    assert {each.account for each in plan.small}.isdisjoint({each.account for each in plan.exports})
