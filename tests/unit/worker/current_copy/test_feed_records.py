"""Records of feeds lack fields of lists: that does not count as a change, and the list's values stay."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest

from tests.fakes.clock import START
from tests.unit.worker.workshop import HUB, Workshop
from worker.current_copy.feed_records import completed
from worker.current_copy.record import KnownRecord, Record
from worker.jobs.copy_progress import Changes, SyncMode
from worker.jobs.status import JobStatus
from worker.records.types import COMPANIES, DEALS, CopyId, ExportType

RECORDS = 6
MOMENT_S = 3600.0
_numbers = count(1)


def known(record: Record, shop: Workshop) -> KnownRecord:
    return KnownRecord(digest=record.digest, is_deleted=False, changed_at=shop.clock(), sync_id="s")


def merged(shop: Workshop, brought: bytes, listed: bytes, held: bytes | None = None) -> Record:
    """Complete a feed's record by one of a list, which the copy holds as `held`."""
    return completed(Record.of(5, brought), known(Record.of(5, listed), shop), listed if held is None else held)


def test_what_a_feed_leaves_out_is_no_change(shop: Workshop) -> None:
    listed = b'{"dealId":5,"properties":{"a":{"value":"1"},"b":{"value":"2"}},"imports":[{"x":1}],"stateChanges":[]}'
    brought = b'{ "properties": {"b":{"value":"2"}, "a":{"value":"1"}}, "dealId": 5}'
    assert merged(shop, brought, listed) == Record.of(5, listed)


def test_a_change_is_completed_with_the_lists_fields_in_the_lists_order(shop: Workshop) -> None:
    listed = b'{"dealId":5,"properties":{"a":{"value":"1"},"b":{"value":"2"}},"imports":[{"x":1}]}'
    brought = b'{"properties":{"c":{"value":"3"},"b":{"value":"9"}},"dealId":5,"new":1.10}'
    whole = b'{"dealId":5,"properties":{"b":{"value":"9"},"c":{"value":"3"}},"imports":[{"x":1}],"new":1.10}'
    assert merged(shop, brought, listed) == Record.of(5, whole)


def test_a_copy_that_gives_a_record_in_another_spelling_holds_it_all_the_same(shop: Workshop) -> None:
    listed, held = rb'{ "dealId": 5,"n":"\u00fc","imports":[]}', '{"dealId":5,"n":"ü","imports":[]}'.encode()
    found = merged(shop, b'{"dealId":5,"n":"\xc3\xbc"}', listed, held)
    assert (found.digest, found.body) == (Record.of(5, listed).digest, held)


@pytest.mark.parametrize("odd", [b"7", b"null", b'{"dealId":5,"properties":7}', b'{"a":%b}' % (b"9" * 5000)])
def test_what_cannot_be_compared_is_stored_as_it_came(odd: bytes, shop: Workshop) -> None:
    whole = b'{"dealId":5,"properties":{"a":{"value":"1"}}}'
    assert merged(shop, whole, odd).digest != Record.of(5, odd).digest
    assert merged(shop, odd, whole).digest != Record.of(5, whole).digest
    assert merged(shop, odd, odd).digest == Record.of(5, odd).digest


DEAL = (
    b'{"dealId":5,"associations":{"associatedVids":[1,2],"associatedCompanyIds":[]},"properties":{"b":{"value":"2"}}}'
)


@pytest.mark.parametrize(
    ("brought", "whole"),
    [
        (DEAL.replace(b"[1,2]", b"[2,1]"), DEAL),
        (DEAL.replace(b"[1,2]", b"[2,3]"), DEAL.replace(b"[1,2]", b"[2,3]")),
        (DEAL.replace(b"[1,2]", b"[2]"), DEAL.replace(b"[1,2]", b"[2]")),
        (b'{"dealId":5,"properties":{"b":{"value":"2"}}}', b'{"dealId":5,"properties":{"b":{"value":"2"}}}'),
        (DEAL.replace(b'{"b"', b'{"a":{},"b"'), DEAL.replace(b'{"b"', b'{"a":{},"b"')),
    ],
    ids=["another order", "another one", "one less", "none any more", "a new property"],
)
def test_what_a_search_has_brought_is_whole(brought: bytes, whole: bytes) -> None:
    known = KnownRecord(digest=Record.of(5, DEAL).digest, is_deleted=False, changed_at=START, sync_id="s")
    assert completed(Record.of(5, brought), known, DEAL, is_of_search=True) == Record.of(5, whole)


def synced(shop: Workshop, export_type: ExportType, mode: SyncMode, *, after_s: float = MOMENT_S) -> Changes:
    shop.clock.advance(after_s)
    job_id = shop.add_sync(f"f{next(_numbers)}", mode=mode, types=(export_type,))
    shop.run_until_finished(job_id)
    job = shop.job(job_id)
    assert (job.status, job.changes is None) == (JobStatus.SUCCEEDED, False)
    if job.copying is not None and mode is SyncMode.INCREMENTAL:
        assert job.copying.mode_used is SyncMode.INCREMENTAL
    assert job.changes is not None
    return job.changes


def record_in_copy(shop: Workshop, export_type: ExportType, record_id: int) -> dict[str, Any]:
    copy = CopyId(account_id="a1", export_type=export_type)
    found: dict[str, Any] = json.loads(shop.records.find(copy, record_id).body)
    return found


@pytest.mark.parametrize("shows_all", [False, True])
@pytest.mark.parametrize("export_type", [COMPANIES, DEALS])
def test_a_record_that_a_feed_brought_changes_once_and_stays_whole(
    shop: Workshop, export_type: ExportType, *, shows_all: bool
) -> None:
    shop.hubspot.add_account(
        HUB, records={"companies": RECORDS, "deals": RECORDS}, rate_limit=0, feeds_show_all=shows_all
    )
    record_set = shop.hubspot.accounts[HUB].records[export_type]
    assert synced(shop, export_type, SyncMode.FULL).created == RECORDS
    shop.clock.advance(MOMENT_S)
    (changed,) = record_set.touch([record_set.ids()[2]], at_ms=int(shop.clock().timestamp() * 1000))
    before = record_in_copy(shop, export_type, changed)

    assert synced(shop, export_type, SyncMode.INCREMENTAL).changed == 1
    after = record_in_copy(shop, export_type, changed)
    assert (after.keys(), after["properties"].keys()) == (before.keys(), before["properties"].keys())
    assert after != before

    assert synced(shop, export_type, SyncMode.FULL) == Changes(created=0, changed=0, unchanged=RECORDS, deleted=0)


@pytest.mark.parametrize("export_type", [COMPANIES, DEALS])
def test_an_unchanged_record_of_a_feed_changes_nothing(shop: Workshop, export_type: ExportType) -> None:
    shop.hubspot.add_account(HUB, records={"companies": RECORDS, "deals": RECORDS}, rate_limit=0, feeds_show_all=True)
    record_set = shop.hubspot.accounts[HUB].records[export_type]
    shop.clock.advance(MOMENT_S)
    record_set.touch(record_set.ids(), at_ms=int(shop.clock().timestamp() * 1000))
    assert synced(shop, export_type, SyncMode.FULL, after_s=60).created == RECORDS  # the feed goes back ten minutes
    written = shop.records.written

    again = synced(shop, export_type, SyncMode.INCREMENTAL, after_s=60)

    assert again == Changes(created=0, changed=0, unchanged=RECORDS, deleted=0)
    assert shop.records.written == written
