"""CopyUpkeep: with a portal the copies of all types go, whatever types the account has."""

from __future__ import annotations

from dataclasses import replace

from tests.fakes.clock import ManualClock
from tests.fakes.portals import InMemoryPortalStore
from tests.fakes.records import InMemoryRecordStore
from worker.current_copy.record import Record
from worker.current_copy.upkeep import CopyUpkeep
from worker.records.types import CONTACTS, CopyId, ExportType

HUB, OTHER_HUB = 111, 222
TYPES = (CONTACTS, *map(ExportType, ("tickets", "owners", "p111_cars", "p111_pets")))
COPIES = [CopyId(account_id="a1", export_type=each, hub_id=HUB) for each in TYPES]


def test_the_copies_of_all_types_are_removed_and_no_others() -> None:
    clock = ManualClock()
    records, portals = InMemoryRecordStore(clock), InMemoryPortalStore(clock)
    kept = [*(replace(copy, hub_id=OTHER_HUB) for copy in COPIES), replace(COPIES[-1], account_id="a2")]
    for copy in (*COPIES, *kept):
        at = records.begin_change(copy).at
        records.insert(copy, [Record.of(number, b"{}") for number in range(3)], at=at, sync_id="s1")
    portals.see("a1", HUB)
    portals.start_removal("a1", HUB)

    assert CopyUpkeep(records=records, portals=portals).remove("a1", HUB, within_s=60)

    for copies, ids in ((COPIES, []), (kept, [0, 1, 2])):
        assert [list(records.ids(copy, after=None, through=None)) for copy in copies] == [ids] * len(copies)
    assert (records.types_of("a1", HUB), len(records.types_of("a1", OTHER_HUB))) == ([], len(TYPES))
    assert portals.seen_by("a1") == []
