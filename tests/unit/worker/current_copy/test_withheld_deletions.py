"""Deletions need proof: a list that is suspiciously short takes nothing out of the copy before another one agrees."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from tests.unit.worker.current_copy.test_writer import (
    COPY,
    NO_GUARD,
    Interrupting,
    Listing,
    begun,
    came_to,
    changes,
    contact,
    control,
    ids,
    listed,
    retry_without_pages,
    survived,
)
from tests.unit.worker.mortal import Mortal
from tests.unit.worker.workshop import HUB, Scopes, Workshop
from worker.current_copy.deletion_guard import DeletionGuard
from worker.current_copy.record import Shown
from worker.errors import StoreUnavailableError
from worker.export.api_choice import ApiSetting
from worker.export.context import SliceLimits
from worker.export.interfaces import FetchedPage, PageQuery
from worker.jobs.copy_progress import Changes, CopyProgress, SyncMode
from worker.jobs.receipt import Receipt
from worker.jobs.status import JobStatus
from worker.records.findings import NOT_ASKED, PageFindings
from worker.records.page import read_page
from worker.records.types import NOTES, CopyId

ALL = range(1, 301)
_numbers = count(1)
COPY_OF_NOTES = CopyId(account_id="a1", export_type=NOTES)


def thirds(ids: Sequence[int] = ALL) -> list[Sequence[int]]:
    return [ids[first : first + 100] for first in range(0, len(ids), 100)]


def receipt(shop: Workshop) -> Receipt:
    """Return the receipt of the latest export."""
    found = shop.jobs.all[-1].receipt
    assert found is not None
    return found


def missed(shop: Workshop) -> list[int]:
    """Return the ids of records whose deletion is not proven yet."""
    known = shop.records.known(COPY, ids(shop, Shown.ALL))
    return [record_id for record_id, held in known.items() if held.missed is not None]


# A list that is too short


def test_an_empty_list_deletes_nothing_and_the_job_says_so(shop: Workshop) -> None:
    listed(shop, *thirds())
    before = shop.records.read(COPY, shown=Shown.ALL, since=None, after=None, limit=999)

    with capture_logs() as logs:
        assert listed(shop, []) == came_to(withheld=300)

    assert shop.records.read(COPY, shown=Shown.ALL, since=None, after=None, limit=999) == before, "no follower sees it"
    assert (receipt(shop).complete, receipt(shop).withheld_deletions) == (False, 300)
    assert (receipt(shop).incomplete_because or "").startswith("300 deletions withheld: ")
    (warning,) = [line for line in logs if line["event"] == "deletions_withheld"]
    assert warning["log_level"] == "warning"
    assert (warning["withheld"], warning["living"], warning["listed"]) == (300, 300, 0)


def test_a_list_that_ends_early_deletes_nothing(shop: Workshop) -> None:
    listed(shop, *thirds())
    assert listed(shop, ALL[:100]) == came_to(unchanged=100, withheld=200)
    assert ids(shop) == [*ALL]
    assert listed(shop, *thirds()) == came_to(unchanged=300)
    assert (receipt(shop).complete, receipt(shop).withheld_deletions, missed(shop)) == (True, 0, [])


def test_they_are_done_when_a_later_sync_finds_the_same(shop: Workshop) -> None:
    listed(shop, *thirds())
    listed(shop, ALL[:100])
    assert listed(shop, ALL[:100]) == came_to(unchanged=100, deleted=200)
    assert (ids(shop), receipt(shop).complete, receipt(shop).withheld_deletions) == ([*ALL[:100]], True, 0)


def test_an_emptied_account_has_an_empty_copy_after_the_second_sync(shop: Workshop) -> None:
    listed(shop, *thirds())
    listed(shop, [])
    assert listed(shop, []) == came_to(deleted=300)
    assert ids(shop) == []
    assert listed(shop, []) == came_to()
    assert receipt(shop).complete


def test_a_copy_that_is_empty_stays_so_without_fuss(shop: Workshop) -> None:
    shop.scopes.told = None
    assert listed(shop, []) == came_to()
    assert (receipt(shop).complete, receipt(shop).incomplete_because) == (True, None)


def test_a_few_records_are_withheld_as_well_where_the_list_is_empty(shop: Workshop) -> None:
    listed(shop, [1, 2])
    assert listed(shop, []) == came_to(withheld=2)
    assert ids(shop) == [1, 2]


@pytest.mark.parametrize(("gone", "deleted"), [(30, 30), (31, 0)])
def test_a_tenth_of_the_copy_goes_at_once_and_not_one_record_more(shop: Workshop, gone: int, deleted: int) -> None:
    listed(shop, *thirds())
    assert listed(shop, ALL[gone:]) == came_to(unchanged=300 - gone, deleted=deleted, withheld=gone - deleted)


@pytest.mark.parametrize(("gone", "deleted"), [(20, 20), (21, 0)])
def test_of_a_small_copy_twenty_records_go_at_once(shop: Workshop, gone: int, deleted: int) -> None:
    listed(shop, range(40))
    assert listed(shop, range(gone, 40)) == came_to(unchanged=40 - gone, deleted=deleted, withheld=gone - deleted)


def test_the_share_is_of_the_records_that_live(shop: Workshop) -> None:
    listed(shop, *thirds())
    shop.guard = NO_GUARD
    listed(shop, ALL[:250])
    shop.guard = DeletionGuard()
    assert listed(shop, ALL[:225]) == came_to(unchanged=225, deleted=25)
    assert listed(shop, ALL[:202]) == came_to(unchanged=202, withheld=23)


def test_without_a_guard_all_goes_at_once(shop: Workshop) -> None:
    shop.guard = NO_GUARD
    listed(shop, *thirds())
    assert listed(shop, ALL[:10]) == came_to(unchanged=10, deleted=290)
    assert listed(shop, []) == came_to(deleted=10)


# What is proof


def test_a_record_that_was_seen_in_between_needs_proof_anew(shop: Workshop) -> None:
    listed(shop, *thirds())
    listed(shop, ALL[:100])
    assert listed(shop, *thirds()) == came_to(unchanged=300)
    assert listed(shop, ALL[:100]) == came_to(unchanged=100, withheld=200)
    assert ids(shop) == [*ALL]


def test_a_sync_that_failed_has_seen_what_it_has_seen(shop: Workshop) -> None:
    listed(shop, *thirds())
    listed(shop, ALL[:100])
    job_id = begun(shop, "cancelled")
    shop.exporter(source=Listing(thirds()), limits=SliceLimits(pages=2)).run_slice(job_id)
    control(shop).cancel(job_id, account_id="a1")

    assert listed(shop, ALL[:100]) == came_to(unchanged=100, deleted=100, withheld=100)
    assert ids(shop) == [*ALL[:200]]


def test_what_is_missing_for_the_first_time_counts_against_the_guard_anew(shop: Workshop) -> None:
    listed(shop, *thirds())
    listed(shop, ALL[:200])
    assert listed(shop, ALL[:100]) == came_to(unchanged=100, deleted=100, withheld=100)
    assert ids(shop) == [*ALL[:200]]
    assert listed(shop, ALL[:95]) == came_to(unchanged=95, deleted=105)
    assert ids(shop) == [*ALL[:95]]


def test_a_feed_that_brings_a_record_takes_its_mark_away(shop: Workshop) -> None:
    contacts = shop.hubspot.accounts[HUB].records["contacts"]
    shop.run_until_finished(shop.add_sync("first"))
    listed(shop, contacts.ids()[:100])
    shop.clock.advance(60)
    contacts.touch([back := contacts.ids()[120]], at_ms=int(shop.clock().timestamp() * 1000))
    job_id = shop.add_sync("incremental", mode=SyncMode.INCREMENTAL)
    shop.run_until_finished(job_id)
    assert changes(shop, job_id).changed == 1
    assert back not in missed(shop)
    assert len(missed(shop)) == 349


def test_a_retried_sync_is_not_a_second_proof(shop: Workshop) -> None:
    listed(shop, *thirds())
    job_id = begun(shop, "again")
    shop.transactions = Interrupting(
        shop.transactions, after=1, happening=lambda: control(shop).cancel(job_id, account_id="a1")
    )
    tenths = [[number] for number in range(10, 201, 10)]
    shop.exporter(source=Listing([*tenths, [300]])).run_slice(job_id)
    assert shop.job(job_id).status is JobStatus.CANCELLED
    assert len(missed(shop)) == 180
    retry_without_pages(shop, job_id)

    shop.exporter(source=Listing([*tenths, [300]])).run_slice(job_id)

    assert changes(shop, job_id) == came_to(unchanged=21, withheld=279)
    assert ids(shop) == [*ALL]


def test_a_list_that_was_read_before_the_other_comparison_ended_proves_nothing(shop: Workshop) -> None:
    listed(shop, *thirds())
    early = begun(shop, "early")
    shop.exporter(source=Listing([ALL[:50], []]), limits=SliceLimits(pages=1)).run_slice(early)
    assert listed(shop, ALL[:50]) == came_to(unchanged=50, withheld=250)

    shop.exporter(source=Listing([ALL[:50], []])).run_slice(early)

    assert changes(shop, early) == came_to(unchanged=50, withheld=250)
    assert listed(shop, ALL[:50]) == came_to(unchanged=50, deleted=250)


@dataclass
class BetweenThePasses(Scopes):
    """A ScopeSource, which is asked when the first pass is over: `happening` is called then."""

    happening: Callable[[], object] = field(default=lambda: None)

    def granted(self, account_id: str, owner: str) -> Sequence[str] | None:
        self.happening()
        return super().granted(account_id, owner)


def test_what_another_sync_finds_between_the_passes_is_not_deleted(shop: Workshop) -> None:
    listed(shop, *thirds())
    listed(shop, ALL[:100])
    job_id = begun(shop, "second")

    def see_all_but_the_last() -> None:
        other = begun(shop, "other")
        shop.exporter(source=Listing([*thirds()[:2], []]), limits=SliceLimits(pages=2)).run_slice(other)

    shop.scopes = BetweenThePasses(happening=see_all_but_the_last)
    shop.exporter(source=Listing([ALL[:100]])).run_slice(job_id)

    assert changes(shop, job_id) == came_to(unchanged=100, deleted=100, withheld=100)
    assert ids(shop) == [*ALL[:200]]


def test_a_record_that_was_missed_and_changed_is_a_changed_one(shop: Workshop) -> None:
    listed(shop, *thirds())
    listed(shop, ALL[:100])
    shop.guard = NO_GUARD
    assert listed(shop, ALL[:100], [(150, "new")]) == came_to(changed=1, unchanged=100, deleted=199)
    assert (contact(shop, 150)["says"], missed(shop)) == ("new", [])


def test_a_deleted_record_has_no_mark_when_it_comes_back(shop: Workshop) -> None:
    listed(shop, *thirds())
    listed(shop, ALL[:100])
    listed(shop, ALL[:100])
    assert listed(shop, *thirds()) == came_to(created=200, unchanged=100)
    assert missed(shop) == []


@pytest.mark.parametrize("pages", [[], [ALL[:100]]], ids=["empty", "short"])
def test_who_confirms_has_them_done_at_once(shop: Workshop, pages: list[Sequence[int]]) -> None:
    shop.scopes.told = None
    listed(shop, *thirds())
    shop.clock.advance(60)
    kept = sum(map(len, pages))
    job_id = shop.add_sync("confirmed", confirm_deletions=True)
    shop.exporter(source=Listing(pages or [[]])).run_slice(job_id)
    assert changes(shop, job_id) == came_to(unchanged=kept, deleted=300 - kept)
    assert (receipt(shop).complete, receipt(shop).withheld_deletions) == (True, 0)


def test_a_retry_of_a_confirmed_sync_is_confirmed(shop: Workshop) -> None:
    listed(shop, *thirds())
    job_id = shop.add_sync("confirmed", confirm_deletions=True)
    shop.exporter(source=Listing([ALL[:10], []]), limits=SliceLimits(pages=1)).run_slice(job_id)
    control(shop).cancel(job_id, account_id="a1")
    retry_without_pages(shop, job_id)
    shop.exporter(source=Listing([ALL[:10]])).run_slice(job_id)
    assert changes(shop, job_id) == came_to(unchanged=10, deleted=290)


def test_the_next_incremental_sync_does_not_build_on_a_list_that_was_too_short(shop: Workshop) -> None:
    shop.run_until_finished(shop.add_sync("first"))
    contacts = shop.hubspot.accounts[HUB].records["contacts"]
    shop.clock.advance(3600)
    contacts.touch([unseen := contacts.ids()[400]], at_ms=int(shop.clock().timestamp() * 1000))
    before = contact(shop, unseen)
    shop.clock.advance(3600)
    listed(shop, contacts.ids()[:100], after_s=3600)
    shop.run_until_finished(shop.add_sync("incremental", mode=SyncMode.INCREMENTAL))
    assert contact(shop, unseen) != before


def test_progress_of_a_version_without_passes_is_resumed(shop: Workshop) -> None:
    known = {"mode": "full", "since": shop.clock(), "created": 2, "changed": 1, "left_out": [], "deleted": 3}
    stored = {**known, "compared_pages": 20, "compared_through": 41, "is_compared": False}
    assert CopyProgress.from_stored(stored).changes(seen=9) == came_to(created=2, changed=1, unchanged=6, deleted=3)
    assert CopyProgress.from_stored(stored).is_comparing


# Scopes


def test_with_scopes_unknown_only_an_empty_list_needs_a_second_proof_without_a_guard(shop: Workshop) -> None:
    shop.guard, shop.scopes.told = NO_GUARD, None
    listed(shop, *thirds())
    assert listed(shop, ALL[:10]) == came_to(unchanged=10, deleted=290)
    assert listed(shop, []) == came_to(withheld=10)
    assert listed(shop, []) == came_to(deleted=10)


def test_scopes_that_cannot_be_asked_for_are_unknown(shop: Workshop) -> None:
    shop.guard, shop.scopes = NO_GUARD, Scopes(error=StoreUnavailableError())
    listed(shop, *thirds())
    assert listed(shop, []) == came_to(withheld=300)


def test_a_list_whose_scope_is_missing_by_now_proves_nothing_at_all(shop: Workshop) -> None:
    listed(shop, *thirds())
    listed(shop, ALL[:295])
    assert listed(shop, *thirds()[:1], [*ALL[100:150]]) == came_to(unchanged=150, withheld=145)
    shop.scopes.told = ["crm.objects.deals.read"]
    assert listed(shop, [*ALL[:150]]) == came_to(unchanged=150, withheld=145)
    assert listed(shop, [*ALL[:150]]) == came_to(unchanged=150, withheld=145)
    assert len(ids(shop)) == 295


def test_who_confirms_knows_nothing_of_a_list_whose_scope_is_missing(shop: Workshop) -> None:
    listed(shop, *thirds())
    shop.scopes.told = ["crm.objects.deals.read"]
    shop.clock.advance(60)
    job_id = shop.add_sync("confirmed", confirm_deletions=True)
    shop.exporter(source=Listing([[]])).run_slice(job_id)
    assert changes(shop, job_id) == came_to(withheld=300)
    assert ids(shop) == [*ALL]


# What a list cannot hold


@dataclass
class Engagements:
    """A CrmSource of engagements, each by its id and its type; `apis` answer one page each, all without `left_out`."""

    pages: Sequence[Sequence[tuple[int, str | None]]]
    apis: Sequence[str] = ("legacy",)
    left_out: Mapping[str, str] = field(default_factory=dict)

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:  # noqa: ARG002 - the seam's
        number = int(query.offset or 0)
        results = [{"engagement": {"id": each, "type": kind}} for each, kind in self.pages[number]]
        body = {"results": results, "hasMore": number + 1 < len(self.pages), "offset": number + 1}
        page = read_page(NOTES, json.dumps(body).encode())
        api = self.apis[min(number, len(self.apis) - 1)]
        return FetchedPage(page=page, api=api, findings=PageFindings(left_out=self.left_out if api == "dated" else {}))


KINDS = [(number, kind) for number, kind in enumerate(["NOTE", "CALL", "EMAIL", "MEETING", "TASK"] * 4, start=1)]
OTHERS = [(21, "PUBLISHING_TASK"), (22, "INCOMING_EMAIL")]


def engaged(shop: Workshop, source: Engagements) -> Changes:
    shop.clock.advance(60)
    job_id = shop.add_sync(f"e{next(_numbers)}", types=(NOTES,))
    setting: ApiSetting = "dated" if "legacy" not in source.apis else "legacy"
    shop.exporter(source=source, api=setting).run_slice(job_id)
    return changes(shop, job_id)


def living_notes(shop: Workshop) -> list[int]:
    found = shop.records.read(COPY_OF_NOTES, shown=Shown.LIVING, since=None, after=None, limit=999)
    return sorted(record.record_id for record in found)


@pytest.mark.parametrize("guard", [DeletionGuard(), NO_GUARD])
def test_the_dated_lists_delete_engagements_of_every_kind_that_they_hold(shop: Workshop, guard: DeletionGuard) -> None:
    shop.guard = guard
    engaged(shop, Engagements([KINDS + OTHERS]))
    assert engaged(shop, Engagements([KINDS[5:]], ["dated"])) == came_to(unchanged=15, deleted=6)
    assert living_notes(shop) == list(range(6, 22))
    assert receipt(shop).complete
    assert receipt(shop).withheld_deletions == 0


@pytest.mark.parametrize(
    ("reason", "complete"), [("sales-email-read is missing", False), (NOT_ASKED, True)], ids=["refused", "not asked"]
)
def test_of_a_kind_that_was_left_out_nothing_is_deleted_and_of_all_others_what_is_missing(
    shop: Workshop, reason: str, *, complete: bool
) -> None:
    engaged(shop, Engagements([KINDS + OTHERS]))
    without = [(number, kind) for number, kind in KINDS[5:] if kind != "EMAIL"]
    found = engaged(shop, Engagements([without], ["dated"], {"emails": reason}))
    assert found == came_to(unchanged=12, deleted=4)
    assert living_notes(shop) == [3, *range(6, 23)]
    assert receipt(shop).complete is complete
    assert receipt(shop).left_out == {"emails": reason}
    assert (receipt(shop).incomplete_because or "").startswith("" if complete else "HubSpot refused the list of emails")


def test_the_legacy_list_deletes_engagements_of_every_type(shop: Workshop) -> None:
    engaged(shop, Engagements([KINDS]))
    assert engaged(shop, Engagements([KINDS[5:]])) == came_to(unchanged=15, deleted=5)
    assert living_notes(shop) == list(range(6, 21))


def test_an_engagement_whose_type_is_not_known_is_not_deleted_by_the_dated_list(shop: Workshop) -> None:
    engaged(shop, Engagements([[(1, None), (2, "NOTE"), (3, "NOTE")]]))
    assert engaged(shop, Engagements([[(2, "NOTE")]], ["dated"])) == came_to(unchanged=1, deleted=1)
    assert living_notes(shop) == [1, 2]


def test_what_was_read_partly_by_one_api_and_partly_by_the_other_deletes_what_both_would_hold(shop: Workshop) -> None:
    engaged(shop, Engagements([KINDS + OTHERS]))
    both = Engagements([KINDS[:3], KINDS[8:]], ["legacy", "dated"])
    assert engaged(shop, both) == came_to(unchanged=15, deleted=6)
    assert living_notes(shop) == [1, 2, 3, *range(9, 22)]
    assert receipt(shop).complete


def test_what_was_read_partly_from_the_legacy_list_and_then_without_a_kind_is_no_whole(shop: Workshop) -> None:
    engaged(shop, Engagements([KINDS]))
    both = Engagements([KINDS[:3], KINDS[8:]], ["legacy", "dated"], {"calls": NOT_ASKED})
    assert engaged(shop, both) == came_to(unchanged=15, deleted=4)
    assert 7 in living_notes(shop)
    assert "without those of calls" in (receipt(shop).incomplete_because or "")


def test_what_only_one_of_two_apis_holds_is_no_start_for_a_feed_of_all(shop: Workshop) -> None:
    engaged(shop, Engagements([KINDS + OTHERS]))
    whole = shop.records.last_sync(COPY_OF_NOTES, SyncMode.FULL)
    engaged(shop, Engagements([KINDS[:3], KINDS[3:]], ["legacy", "dated"]))
    assert shop.records.last_sync(COPY_OF_NOTES, SyncMode.FULL) == whole


def test_what_the_dated_lists_lack_so_does_what_they_tell_of_changes(shop: Workshop) -> None:
    engaged(shop, Engagements([KINDS + OTHERS]))
    whole = shop.records.last_sync(COPY_OF_NOTES, SyncMode.FULL)
    engaged(shop, Engagements([KINDS], ["dated"]))
    assert shop.records.last_sync(COPY_OF_NOTES, SyncMode.FULL) != whole


@pytest.mark.parametrize("setting", ["dated", "auto"])
def test_when_hubspots_list_of_engagements_is_gone_the_dated_ones_delete_none_but_what_is_missing(
    shop: Workshop, setting: ApiSetting
) -> None:
    shop.hubspot.add_account(HUB, records={"engagements": 640}, rate_limit=0)
    shop.clock.advance(60)
    shop.run_until_finished(shop.add_sync("legacy", types=(NOTES,)))
    known = shop.records.known(COPY_OF_NOTES, living_notes(shop))
    calls = [each for each, held in known.items() if held.kind == "CALL"]
    shop.hubspot.accounts[HUB].records["engagements"].delete(calls[:5])
    shop.hubspot.fail_next("not_found", type="engagements", times=None)
    shop.clock.advance(60)
    job_id = shop.add_sync("dated", types=(NOTES,))
    while not shop.job(job_id).status.is_terminal:
        shop.exporter(api=setting).run_slice(job_id)

    found = changes(shop, job_id)
    assert (found.created, found.deleted, found.withheld) == (0, 5, 0)
    assert len(living_notes(shop)) == 635
    assert "PUBLISHING_TASK" in {held.kind for held in known.values()}
    assert shop.job(job_id).totals.apis == ("dated",)


# A list that lags behind the feed


def fed(shop: Workshop) -> int:
    """Add a record by an incremental sync, and return its id."""
    contacts = shop.hubspot.accounts[HUB].records["contacts"]
    shop.run_until_finished(shop.add_sync("first"))
    shop.clock.advance(60)
    (added,) = contacts.add(1, at_ms=int(shop.clock().timestamp() * 1000))
    shop.run_until_finished(shop.add_sync("incremental", mode=SyncMode.INCREMENTAL))
    assert added in ids(shop)
    return added


@pytest.mark.parametrize(("after_s", "lives"), [(1, True), (590, True), (611, False)])
def test_what_a_feed_has_just_brought_is_not_deleted_by_a_list_that_lags(
    shop: Workshop, after_s: float, *, lives: bool
) -> None:
    shop.guard = NO_GUARD
    added = fed(shop)
    rest = [each for each in ids(shop) if each != added]
    found = listed(shop, rest, after_s=after_s)
    assert (found.deleted, found.withheld, added in ids(shop)) == (0 if lives else 1, 0, lives)


def test_what_the_list_has_brought_since_is_deleted_like_any_other(shop: Workshop) -> None:
    added = fed(shop)
    rest = [each for each in ids(shop) if each != added]
    listed(shop, [*rest, (added, "from the list")], after_s=1)
    found = listed(shop, rest, after_s=1)
    assert (found.deleted, added in ids(shop)) == (1, False)


# Whatever dies in between


@pytest.mark.parametrize("is_late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("which", ["records", "pages", "jobs", "transactions"])
def test_wherever_a_worker_dies_nothing_is_deleted_without_proof_and_all_is_counted_once(
    shop: Workshop,
    which: str,
    is_late: bool,  # noqa: FBT001 - before or after
) -> None:
    shop.guard = DeletionGuard(share=Decimal(0))
    looks = [[*range(60), *range(80, 100)], range(30)]
    # Before a call is as good as after the one before it, so either parameter takes every other call.
    for at_call in count(1 + is_late, 2):
        shop.records.clear()
        listed(shop, range(50), range(50, 100))
        deaths = []
        for seen in looks:
            death = Mortal(getattr(shop, which), at_call, is_late=is_late)
            deaths.append((survived(shop, [seen[:10], seen[10:]], death, which), death))
        (first, _), (second, last) = deaths
        assert changes(shop, first) == came_to(unchanged=80, deleted=20), f"in call {at_call}"
        assert changes(shop, second) == came_to(unchanged=30, withheld=50), f"in call {at_call}"
        third = survived(shop, [range(20)], Mortal(getattr(shop, which), at_call, is_late=is_late), which)
        assert changes(shop, third) == came_to(unchanged=20, deleted=60), f"in call {at_call}"
        assert ids(shop) == [*range(20)]
        if last.calls_left > 0:
            break
    assert at_call > (1 if which == "transactions" else 2), "it has died at every one of its calls"


@pytest.mark.parametrize(("order", "records"), [("ascending", 5200), ("descending", 5200), ("mixed", 22_000)])
def test_a_large_copy_is_compared_in_groups_of_pages_in_any_order(shop: Workshop, order: str, records: int) -> None:
    whole = [range(first, first + 200) for first in range(0, records, 200)]
    kept = [list(page)[:100] for page in whole]
    listed(shop, *whole)
    pages = {
        "ascending": kept,
        "descending": [page[::-1] for page in kept[::-1]],
        "mixed": [kept[9], *kept[:9], *kept[10:]],
    }
    half = records // 2
    assert listed(shop, *pages[order]) == came_to(unchanged=half, withheld=half)
    assert listed(shop, *pages[order], limits=SliceLimits(pages=9)) == came_to(unchanged=half, deleted=half)


def test_a_record_goes_when_two_lists_in_a_row_lack_it_or_when_few_enough_do(shop: Workshop) -> None:
    dice = random.Random(7)  # noqa: S311 - draws cases
    for round_ in range(12):
        shop.records.clear()
        listed(shop, *thirds())
        living, marked = set(ALL), set[int]()
        for _ in range(6):
            seen = sorted(dice.sample([*ALL], dice.choice([0, 100, 250, 275, 295, 300])))
            found = listed(shop, *(seen[first : first + 120] for first in range(0, len(seen) or 1, 120)))
            created, gone = set(seen) - living, living - set(seen)
            alive = living | set(seen)
            news = gone - marked
            is_allowed = bool(seen) and len(news) <= max(20, len(alive) // 10)
            deleted = gone if is_allowed or not news else gone & marked
            expected = came_to(
                created=len(created),
                unchanged=len(set(seen) & living),
                deleted=len(deleted),
                withheld=len(gone - deleted),
            )
            assert found == expected, round_
            living, marked = alive - deleted, gone - deleted
            assert (set(ids(shop)), set(missed(shop))) == (living, marked), round_
