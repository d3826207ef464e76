"""Odd values of the stand-in: told by an account, the same at every call, and read by the product."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.messages import Answer
from sandbox.fake_hubspot.records.oddities import ODD_ENVELOPES, ODD_RECORDS, OddEnvelope, OddRecord
from tests.unit.sandbox.test_legacy_lists import LISTS
from tests.unit.worker.hubspot.dated.dated_pages import read_dated_page
from worker.records.page import read_page, record_ids
from worker.records.types import COMPANIES, CONTACTS, DEALS, DOCUMENTED_TYPES, NOTES, ExportType

Get = Callable[..., Answer]
TYPES = {CONTACTS: "contacts", COMPANIES: "companies", DEALS: "deals"}
TYPES[NOTES] = "engagements"
COUNT = 12
NOT_JSON = {
    "not_a_number": "not_a_number",
    "infinity": "not_a_number",
    "control_character": "control_characters",
    "half_character": "half_characters",
    "invalid_utf8": "invalid_utf8",
    "invalid_escape": "invalid_escapes",
}
LOST = {"no_id", "no_object"}
LISTS_OF_BOTH_APIS = list(itertools.product(DOCUMENTED_TYPES, ("legacy", "dated")))


@pytest.fixture
def portal(hubspot: HubSpot) -> HubSpot:
    hubspot.add_account(99, records=dict.fromkeys(("contacts", "companies", "deals", "engagements"), COUNT))
    return hubspot


def path_of(export_type: ExportType, api: str) -> str:
    if api == "dated":
        return f"/crm/objects/2026-09/{export_type}?limit={COUNT}&properties=createdate&associations=contacts"
    return f"{LISTS[TYPES[export_type]][0]}?limit={COUNT}&count={COUNT}&property=email&properties=name"


def read(export_type: ExportType, api: str, body: bytes) -> tuple[list[int | None], list[str]]:
    page = (read_dated_page if api == "dated" else read_page)(export_type, body)
    return record_ids(export_type, page.body), list(page.mended_in(None))


@pytest.mark.parametrize("name", ODD_RECORDS)
def test_an_odd_record_costs_itself_at_most(name: OddRecord, portal: HubSpot, get: Get) -> None:
    for export_type, api in LISTS_OF_BOTH_APIS:
        path = path_of(export_type, api)
        portal.accounts[99].change({"odd_records": {}})
        whole = get(path).body
        portal.accounts[99].change({"odd_records": {TYPES[export_type]: [name]}})

        body = get(path).body

        assert body == get(path).body
        plain, odd = read(export_type, api, whole)[0], read(export_type, api, body)
        assert None not in plain
        assert odd[0] == plain if name not in LOST else {*odd[0]} < {None, *plain}
        assert {*odd[1]} == ({NOT_JSON[name]} if name in NOT_JSON else set())


@pytest.mark.parametrize("name", ODD_ENVELOPES)
def test_an_odd_page_is_read_all_the_same(name: OddEnvelope, portal: HubSpot, get: Get) -> None:
    for export_type, api in LISTS_OF_BOTH_APIS:
        path = path_of(export_type, api).replace(f"={COUNT}", "=5")
        reader = read_dated_page if api == "dated" else read_page
        portal.accounts[99].change({"odd_pages": []})
        whole = reader(export_type, get(path).body)
        portal.accounts[99].change({"odd_pages": [name]})
        odd = reader(export_type, get(path).body)
        assert (odd.records, odd.has_more, odd.offset) == (whole.records, whole.has_more, whole.offset)
        assert [mend.kind.value for mend in odd.mends] == (["byte_order_mark"] if name == "byte_order_mark" else [])


@pytest.mark.parametrize("spelling", ["true", "True", "TRUE", "1"])
def test_archived_is_understood_in_any_spelling(spelling: str, portal: HubSpot, page: Callable[..., Any]) -> None:
    assert page(f"/crm/objects/2026-09/contacts?archived={spelling}")["results"] == []
    assert len(page("/crm/objects/2026-09/contacts?archived=False")["results"]) == 10


def test_a_name_that_there_is_not_is_refused(portal: HubSpot) -> None:
    with pytest.raises(Exception, match="odd_records"):
        portal.accounts[99].change({"odd_records": {"contacts": ["nonsense"]}})


def test_what_is_no_json_is_none(portal: HubSpot, get: Get) -> None:
    portal.accounts[99].change({"odd_records": {"contacts": ["control_character"]}})
    with pytest.raises(json.JSONDecodeError):
        json.loads(get(path_of(CONTACTS, "legacy")).body)
