"""Both of HubSpot's APIs, asked side by side about one account: the same records in the same shape."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import msgspec
import pytest
import responses
from pydantic import SecretStr

from sandbox.fake_hubspot.accounts import DatedCursorForm
from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.records.cursors import CursorForm
from sandbox.fake_hubspot.transport.mounting import mount
from tests.unit.worker.hubspot.dated.dated_pages import to_documented_body
from worker.errors import CursorLostError, RetryableHubSpotError
from worker.export.interfaces import CrmSource, PageQuery
from worker.hubspot.client import DatedClient, LegacyClient
from worker.hubspot.dated.format import to_dated_query
from worker.hubspot.endpoints import Endpoint, legacy_endpoints
from worker.hubspot.list_question import ListQuestion, question_of
from worker.hubspot.transport import Transport
from worker.records.envelope import PageUnreadableError
from worker.records.page import read_page, without_repeat
from worker.records.registry import OBJECT_TYPES
from worker.records.types import COMPANIES, CONTACTS, DEALS, NOTES, ExportType, Offset
from worker.settings import WorkerSettings

HUB = 7
Record = dict[str, Any]


@pytest.fixture
def hubspot() -> Iterator[HubSpot]:
    portal = HubSpot()
    portal.add_account(
        HUB,
        records={"contacts": 25, "companies": 25, "deals": 25, "engagements": 60},
        id_strides={"contacts": 1, "companies": 2},  # one more or less than the right offset loses a record there
        rate_limit=0,
    )
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocked:
        mount(portal, mocked)
        yield portal


@pytest.fixture
def endpoints() -> Mapping[str, Endpoint]:
    return legacy_endpoints(
        WorkerSettings.model_validate({"hubspot_client_id": "id", "hubspot_client_secret": "secret"})
    )


@pytest.fixture
def legacy(endpoints: Mapping[str, Endpoint]) -> LegacyClient:
    return LegacyClient(
        transport=Transport(), endpoints=endpoints, objects_url="https://api.hubapi.com/crm/objects/2026-09"
    )


@pytest.fixture
def dated(endpoints: Mapping[str, Endpoint]) -> DatedClient:
    objects = "https://api.hubapi.com/crm/objects/2026-09"
    return DatedClient(transport=Transport(), objects_url=objects, legacy=endpoints)


def read_all(
    hubspot: HubSpot, source: CrmSource, export_type: ExportType, *params: tuple[str, str], offset: Offset | None = None
) -> list[Record]:
    token = SecretStr(hubspot.issue_token(HUB).value)
    records: list[Record] = []
    while True:
        query = PageQuery(export_type=export_type, count=10, offset=offset, params=params)
        page = source.fetch_page(query, token).page
        body = msgspec.json.decode(page.body)
        assert set(body) == {
            OBJECT_TYPES[export_type].page.list_key,
            OBJECT_TYPES[export_type].page.more_key,
            OBJECT_TYPES[export_type].page.offset_key,
        }
        records += body[OBJECT_TYPES[export_type].page.list_key]
        if not page.has_more:
            return records
        offset = page.offset


def choose(
    hubspot: HubSpot, *, legacy_form: CursorForm = "last_id", dated_form: DatedCursorForm = "last_id_plus_1"
) -> None:
    forms = dict.fromkeys(("contacts", "companies", "deals", "engagements"), legacy_form)
    hubspot.accounts[HUB].change({"cursor_forms": forms, "dated_cursor_form": dated_form})


def values_of(record: Record) -> dict[str, str]:
    return {name: content["value"] for name, content in record["properties"].items()}


def id_of(record: Record) -> int:
    return int(record.get("vid") or record.get("companyId") or record.get("dealId") or record["engagement"]["id"])


def test_contacts_come_alike(hubspot: HubSpot, legacy: LegacyClient, dated: DatedClient) -> None:
    asked = (("property", "email"), ("property", "lastname"))
    old, new = (read_all(hubspot, source, CONTACTS, *asked) for source in (legacy, dated))
    assert [r["vid"] for r in new] == [r["vid"] for r in old]
    for before, after in zip(old, new, strict=True):
        assert {n: values_of(after)[n] for n in ("email", "lastname")} == {
            n: values_of(before)[n] for n in ("email", "lastname")
        }


def test_companies_bring_the_properties_that_the_legacy_address_asks_for(
    hubspot: HubSpot, legacy: LegacyClient, dated: DatedClient
) -> None:
    old, new = (read_all(hubspot, source, COMPANIES) for source in (legacy, dated))
    assert [r["companyId"] for r in new] == [r["companyId"] for r in old]
    assert [values_of(r)["name"] for r in new] == [values_of(r)["name"] for r in old]


def test_deals_bring_their_associations(hubspot: HubSpot, legacy: LegacyClient, dated: DatedClient) -> None:
    old, new = (read_all(hubspot, source, DEALS) for source in (legacy, dated))
    assert [r["dealId"] for r in new] == [r["dealId"] for r in old]
    for before, after in zip(old, new, strict=True):
        for name in ("associatedVids", "associatedCompanyIds"):
            assert sorted(after["associations"][name]) == sorted(before["associations"][name])


def test_notes_are_the_engagements_of_all_kinds(hubspot: HubSpot, legacy: LegacyClient, dated: DatedClient) -> None:
    old, new = (read_all(hubspot, source, NOTES) for source in (legacy, dated))
    notes = [record for record in old if record["engagement"]["type"] != "PUBLISHING_TASK"]
    assert [r["engagement"]["id"] for r in new] == [r["engagement"]["id"] for r in notes]
    assert [r["metadata"].get("body") for r in new] == [r["metadata"].get("body") for r in notes]
    assert [r["engagement"]["timestamp"] for r in new] == [r["engagement"]["timestamp"] for r in notes]


@pytest.mark.parametrize("form", get_args(CursorForm))
@pytest.mark.parametrize("export_type", [CONTACTS, COMPANIES, DEALS])
def test_a_callers_legacy_offset_leads_on_in_the_dated_api_and_repeats_one_record_at_worst(
    hubspot: HubSpot, legacy: LegacyClient, dated: DatedClient, export_type: ExportType, form: CursorForm
) -> None:
    choose(hubspot, legacy_form=form)
    everything = [id_of(record) for record in read_all(hubspot, legacy, export_type)]
    for size in range(1, 12):
        query = PageQuery(export_type=export_type, count=size, offset=None)
        page = legacy.fetch_page(query, SecretStr(hubspot.issue_token(HUB).value)).page

        rest = [id_of(record) for record in read_all(hubspot, dated, export_type, offset=page.offset)]

        assert rest in (everything[size:], everything[size - 1 :])


@pytest.mark.parametrize("forms", list(itertools.product(get_args(CursorForm), get_args(DatedCursorForm))))
@pytest.mark.parametrize("export_type", [CONTACTS, COMPANIES, DEALS])
def test_either_api_goes_on_behind_the_last_id_that_was_read_of_the_other(
    hubspot: HubSpot,
    legacy: LegacyClient,
    dated: DatedClient,
    export_type: ExportType,
    forms: tuple[CursorForm, DatedCursorForm],
) -> None:
    choose(hubspot, legacy_form=forms[0], dated_form=forms[1])
    token = SecretStr(hubspot.issue_token(HUB).value)
    everything = [id_of(record) for record in read_all(hubspot, legacy, export_type)]
    ways: list[tuple[CrmSource, CrmSource]] = [(legacy, dated), (dated, legacy)]
    for size, (first, second) in itertools.product(range(1, 12), ways):
        fetched = first.fetch_page(PageQuery(export_type=export_type, count=size, offset=None), token)
        last_id = everything[size - 1]
        query = PageQuery(
            export_type=export_type,
            count=100,
            offset=fetched.page.offset,
            offset_api=fetched.api,
            after_id=last_id,
        )

        page = second.fetch_page(query, token).page

        _, ids = without_repeat(export_type, page, last_id=last_id)
        assert list(ids) == everything[size:]


def test_an_offset_of_the_other_api_alone_leads_nowhere(
    hubspot: HubSpot, legacy: LegacyClient, dated: DatedClient
) -> None:
    token = SecretStr(hubspot.issue_token(HUB).value)
    for source, other in ((legacy, "dated"), (dated, "legacy")):
        query = PageQuery(export_type=DEALS, count=10, offset=901, offset_api=other)
        with pytest.raises(CursorLostError, match=other):
            source.fetch_page(query, token)


@pytest.mark.parametrize("form", get_args(DatedCursorForm))
def test_the_dated_cursor_is_handed_out_and_sent_back_as_it_is(
    hubspot: HubSpot, dated: DatedClient, form: DatedCursorForm
) -> None:
    choose(hubspot, dated_form=form)
    ids = hubspot.accounts[HUB].records["contacts"].ids()
    named = {"last_id_plus_1": ids[9] + 1, "next_id": ids[10]}[form]
    page = dated.fetch_page(
        PageQuery(export_type=CONTACTS, count=10, offset=None), SecretStr(hubspot.issue_token(HUB).value)
    ).page

    assert page.offset == named
    assert [id_of(record) for record in read_all(hubspot, dated, CONTACTS)] == ids
    assert [dict(call.query).get("after") for call in hubspot.journal.calls][2] == str(named)


def test_the_dated_apis_last_page_has_an_offset_behind_the_last_record(hubspot: HubSpot, dated: DatedClient) -> None:
    token = SecretStr(hubspot.issue_token(HUB).value)
    page = dated.fetch_page(PageQuery(export_type=CONTACTS, count=100, offset=None), token).page
    assert page.offset == hubspot.accounts[HUB].records["contacts"].ids()[-1] + 1
    assert read_all(hubspot, dated, CONTACTS, offset=page.offset) == []


def test_a_dated_cursor_that_is_no_number_goes_on_as_it_is() -> None:
    page = read_page(
        CONTACTS,
        to_documented_body(CONTACTS, b'{"results":[],"paging":{"next":{"after":"NTI1Cg%3D%3D"}}}'),
    )
    assert (page.offset, page.has_more) == ("NTI1Cg%3D%3D", True)
    asked = to_dated_query(CONTACTS, ListQuestion(), count=10, after=page.offset)
    assert asked.to_pairs()[:2] == [("limit", "10"), ("after", "NTI1Cg%3D%3D")]


def test_an_empty_account_has_no_more_and_no_offset(hubspot: HubSpot, dated: DatedClient) -> None:
    hubspot.add_account(8)
    token = SecretStr(hubspot.issue_token(8).value)
    page = dated.fetch_page(PageQuery(export_type=DEALS, count=10, offset=None), token).page
    assert (page.records, page.has_more, page.offset) == (0, False, None)


def test_questions_are_put_in_the_dated_apis_words() -> None:
    params = (("includeAssociations", "true"), ("properties", "amount"), ("x", "1"))
    query = PageQuery(export_type=DEALS, count=250, offset=801, params=params)
    question = question_of(query, "https://x.test/deals?properties=dealname")
    assert to_dated_query(DEALS, question, count=250, after=801).to_pairs() == [
        ("limit", "100"),
        ("after", "801"),
        ("properties", "dealname,amount"),
        ("associations", "contacts,companies,deals,tickets"),
        ("x", "1"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b'{"contacts":[]}',
        b'{"results":{}}',
        b'{"results":[],"paging":"more"}',
        b'{"results":[],"paging":{"next":{}}}',
        b'{"results":[],"paging":{"next":{"after":null}}}',
        b'{"results":[],"paging":{"next":{"after":""}}}',
        b'{"results":[],"paging":{"next":{"after":["5"]}}}',
        b'{"results":[{"id":' + b"[" * 2_000 + b"]" * 2_000 + b"}]}",
    ],
)
def test_anything_else_is_not_a_dated_page(body: bytes, hubspot: HubSpot, dated: DatedClient) -> None:
    with pytest.raises(PageUnreadableError):
        to_documented_body(CONTACTS, body)
    hubspot.fail_next(status=200, body=body.decode(), type="contacts")
    with pytest.raises(RetryableHubSpotError):
        read_all(hubspot, dated, CONTACTS)
