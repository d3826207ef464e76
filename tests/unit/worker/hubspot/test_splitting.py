"""Pages whose properties are too many for one address: several calls, one page, each property of each record once."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests
import responses
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from sandbox.fake_hubspot import hubspot as portal
from tests.unit.worker.export.lanes.test_reader import IN_LANES, LANES, PAGE, Bench
from tests.unit.worker.export.lanes.test_reader import RECORDS as IN_ALL
from tests.unit.worker.export.test_runner import Waits
from tests.unit.worker.hubspot.test_client import HUBAPI, PATHS, client_of
from tests.unit.worker.workshop import HUB, Workshop
from worker.errors import AddressTooLongError, FatalHubSpotError, RetryableHubSpotError
from worker.export.interfaces import PageQuery
from worker.hubspot.splitting import LONGEST_QUERY, split_query
from worker.jobs.status import JobKind, JobStatus
from worker.rate_limit.permits import FREE_PERMIT, Permit
from worker.records.registry import OBJECT_TYPES
from worker.records.types import COMPANIES, CONTACTS, DEALS, ExportType

TOKEN = SecretStr("token")
KNOWN = ("firstname", "email", "lastmodifieddate", "phone", "company")
NAMES = tuple(("property", f"custom_property_with_a_long_name_{number:04}") for number in range(450))
MANY = (*[("property", name) for name in KNOWN[:2]], *NAMES, *[("property", name) for name in KNOWN[2:]])
IDS = {
    CONTACTS: lambda number: {"vid": number},
    COMPANIES: lambda number: {"companyId": number},
    DEALS: lambda number: {"dealId": number},
}

Answer = tuple[int, dict[str, str], bytes]


def counted(places: list[int], number: int) -> Permit:
    """Note that a further call was asked for, and grant it."""
    places.append(number)
    return FREE_PERMIT


def naming(pairs: list[tuple[str, str]]) -> list[str]:
    return [value for name, value in pairs if name in {"property", "properties", "propertiesWithHistory"}]


@given(
    names=st.lists(
        st.tuples(
            st.sampled_from(["property", "properties", "propertiesWithHistory", "count", "x"]), st.text(max_size=30)
        ),
        max_size=40,
    ),
    longest=st.integers(1, 400),
)
def test_each_name_is_asked_for_once_and_everything_else_with_each_call(
    names: list[tuple[str, str]], longest: int
) -> None:
    parts = split_query(names, longest=longest)
    others = [pair for pair in names if pair[0] in {"count", "x"}]
    for part in parts:
        assert [pair for pair in part if pair[0] in {"count", "x"}] == others
        assert len(urlencode(part)) <= longest or len(naming(part)) <= 1
    assert set(naming(names)) == {name for part in parts for name in naming(part)}
    if len(parts) > 1:
        pairs = [pair for part in parts for pair in part if pair[0] not in {"count", "x"}]
        assert len(pairs) == len(set(pairs))
        assert all(naming(part) for part in parts)


def fetched(
    export_type: ExportType, answer: Callable[[requests.PreparedRequest, int], Answer], *pairs: tuple[str, str]
) -> tuple[dict[str, object], list[list[tuple[str, str]]], int]:
    """Fetch a page that takes several calls; give its body, what was asked, and how many further calls were made."""
    asked: list[list[tuple[str, str]]] = []
    places: list[int] = []

    def told(request: requests.PreparedRequest) -> Answer:
        asked.append(parse_qsl(urlsplit(request.url or "").query))
        return answer(request, len(asked) - 1)

    query = PageQuery(
        export_type=export_type, count=2, offset=7, params=pairs, further_call=lambda: counted(places, len(asked))
    )
    with responses.RequestsMock() as hubspot:
        hubspot.add_callback("GET", HUBAPI + PATHS[export_type], callback=told)
        page = client_of().fetch_page(query, TOKEN).page
    return json.loads(page.body), asked, len(places)


def body_of(export_type: ExportType, records: list[dict[str, object]]) -> bytes:
    keys = OBJECT_TYPES[export_type].page
    return json.dumps({keys.list_key: records, keys.more_key: True, keys.offset_key: 9, "extra": [1.50]}).encode()


@pytest.mark.parametrize("export_type", IDS)
@pytest.mark.parametrize("name", ["properties", "propertiesWithHistory", "property"])
def test_the_records_of_several_calls_are_put_together_by_id(export_type: ExportType, name: str) -> None:
    pairs = tuple((name, value) for _, value in NAMES)

    def answer(request: requests.PreparedRequest, number: int) -> Answer:
        names = naming(parse_qsl(urlsplit(request.url or "").query))
        assert len(urlsplit(request.url or "").query) <= LONGEST_QUERY
        records = [
            {**IDS[export_type](vid), "properties": {each: {"value": f"{vid}"} for each in names}, "call": number}
            for vid in (8, 9)
        ]
        return 200, {}, body_of(export_type, records)

    body, asked, further = fetched(export_type, answer, *pairs, ("includeAssociations", "true"))

    assert len(asked) == 2
    assert further == 1
    assert all(("includeAssociations", "true") in each for each in asked)
    assert (
        len({tuple(pair for pair in each if pair[0] in {"count", "limit", "vidOffset", "offset"}) for each in asked})
        == 1
    )
    records = body[OBJECT_TYPES[export_type].page.list_key]
    assert isinstance(records, list)
    for vid, record in zip((8, 9), records, strict=True):
        assert {value for _, value in NAMES} <= record["properties"].keys()
        assert record["call"] == 0
        assert all(each == {"value": f"{vid}"} for each in record["properties"].values())
    assert body["extra"] == [1.5]


def test_records_that_differ_from_call_to_call_are_read_again() -> None:
    def answer(_: requests.PreparedRequest, number: int) -> Answer:
        ids = (8, 9) if number == 0 else (9, 10)
        return 200, {}, body_of(CONTACTS, [{"vid": vid, "properties": {}} for vid in ids])

    body, asked, further = fetched(CONTACTS, answer, *NAMES)

    assert body["contacts"] == [{"vid": 9, "properties": {}}, {"vid": 10, "properties": {}}]
    assert (len(asked), further) == (4, 3)


def test_a_list_that_changes_again_and_again_is_given_up_in_plain_words() -> None:
    asked: list[int] = []

    def answer(_: requests.PreparedRequest, number: int) -> Answer:
        asked.append(number)
        return 200, {}, body_of(CONTACTS, [{"vid": number, "properties": {}}])

    with pytest.raises(RetryableHubSpotError, match="changed again and again"):
        fetched(CONTACTS, answer, *NAMES)
    assert len(asked) == 6


@pytest.mark.parametrize("odd", [[], None, 5, {"vid": 8}, {"vid": 8, "properties": None}, {"vid": 8, "properties": []}])
def test_an_odd_record_costs_nothing_but_itself(odd: object) -> None:
    def answer(request: requests.PreparedRequest, _: int) -> Answer:
        names = naming(parse_qsl(urlsplit(request.url or "").query))
        whole = {"vid": 9, "properties": {name: {"value": 'half \\ "', "n": 1.50} for name in names}}
        return (
            200,
            {},
            b'{"contacts":[%b,%b],"has-more":false}' % (json.dumps(odd).encode(), json.dumps(whole).encode()),
        )

    body, _, _ = fetched(CONTACTS, answer, *NAMES)

    contacts = body["contacts"]
    assert isinstance(contacts, list)
    assert contacts[0] == odd
    assert len(contacts[1]["properties"]) == 450


def test_half_an_emoji_in_a_part_costs_nothing() -> None:
    def answer(_: requests.PreparedRequest, number: int) -> Answer:
        return 200, {}, rb'{"contacts":[{"vid":8,"properties":{"p%d":{"value":"x\ud83d"}}}],"has-more":false}' % number

    body, _, _ = fetched(CONTACTS, answer, *NAMES)

    contacts = body["contacts"]
    assert isinstance(contacts, list)
    assert contacts[0]["properties"].keys() == {"p0", "p1"}


def test_a_part_that_is_an_error_is_that_error() -> None:
    def answer(_: requests.PreparedRequest, number: int) -> Answer:
        if number == 0:
            return 200, {}, body_of(CONTACTS, [{"vid": 8, "properties": {}}])
        return 200, {}, b'{"status":"error","message":"backend gave up"}'

    with pytest.raises(RetryableHubSpotError, match="backend gave up"):
        fetched(CONTACTS, answer, *NAMES)


def test_a_414_asks_for_shorter_addresses_until_a_name_stands_alone() -> None:
    def answer(_: requests.PreparedRequest, __: int) -> Answer:
        return 414, {}, b"<html>Request-URI Too Large</html>"

    with pytest.raises(AddressTooLongError) as shorter:
        fetched(CONTACTS, answer, ("property", "a"), ("property", "b"))
    assert shorter.value.longest_query < len("property=a&property=b&count=2&vidOffset=7")
    with pytest.raises(FatalHubSpotError, match="fewer properties"):
        fetched(CONTACTS, answer, ("property", "a"))


def asked_for(shop: Workshop) -> int:
    """Return the length of the longest address that was asked for."""
    return max(len(f"{call.path}?{urlencode(call.query)}") for call in shop.hubspot.journal.calls)


@pytest.mark.parametrize("kind", [JobKind.EXPORT, JobKind.PAGE])
def test_an_export_of_450_properties_brings_them_all(shop: Workshop, kind: JobKind) -> None:
    shop.run_until_finished(shop.add_job(kind=kind, params=MANY))
    job = shop.job()
    assert job.status is JobStatus.SUCCEEDED
    assert asked_for(shop) < 14_100
    assert job.receipt is not None
    assert job.receipt.calls == {"200": 2 * job.progress.pages}
    assert job.pages_fetched == job.progress.pages
    for page in shop.pages.all("j1"):
        for record in json.loads(page.body)["contacts"]:
            assert {"firstname", "lastmodifieddate"} <= record["properties"].keys()


def test_a_job_that_has_met_414_asks_for_no_longer_address_again(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portal, "LONGEST_TARGET", 5_000)
    shop.run_until_finished(shop.add_job(params=MANY))
    job = shop.job()
    assert job.status is JobStatus.SUCCEEDED
    assert job.receipt is not None
    assert job.receipt.calls["414"] == 2
    assert job.longest_query is not None
    assert shop.stored_ids() == shop.ids_in_hubspot()


def test_each_call_of_a_page_has_a_place_of_its_own_in_the_limit(shop: Workshop) -> None:
    waits = Waits()
    shop.exporter(limiter=waits).run_slice(shop.add_job(params=MANY))
    job = shop.job()
    assert job.status is JobStatus.SUCCEEDED
    assert waits.granted == shop.calls() == 2 * job.progress.pages


def test_a_page_whose_further_call_finds_no_place_is_read_anew(shop: Workshop) -> None:
    waits = Waits([0.0, 60.0])
    job_id = shop.add_job(params=MANY)
    shop.exporter(limiter=waits).run_slice(job_id)
    assert (shop.job().status, shop.job().progress.pages, shop.calls()) == (JobStatus.WAITING, 0, 1)
    shop.run_until_finished(job_id)
    job = shop.job()
    assert job.receipt is not None
    assert job.receipt.calls == {"200": 2 * job.progress.pages + 1}
    assert shop.stored_ids() == shop.ids_in_hubspot()


@pytest.fixture
def bench(shop: Workshop) -> Bench:
    shop.hubspot.add_account(HUB, records={"contacts": IN_ALL}, rate_limit=0)
    shop.add_job(page_size=PAGE, params=MANY)
    return Bench(shop)


def test_lanes_read_pages_that_take_several_calls(bench: Bench) -> None:
    bench.finish()

    bench.require_whole()
    pages = bench.job.progress.pages
    assert bench.job.page_runs
    assert 2 * pages <= bench.receipt.calls["200"] <= 2 * pages * 1.1


def test_lanes_go_on_with_shorter_addresses_when_they_meet_414(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.after_call[IN_LANES] = lambda: monkeypatch.setattr(portal, "LONGEST_TARGET", 8_000)

    bench.finish()

    bench.require_whole()
    assert 1 <= bench.receipt.calls["414"] <= LANES


def test_what_is_no_json_in_one_of_the_answers_is_mended_and_told() -> None:
    bodies = (
        b'\xef\xbb\xbf{"contacts":[{"vid":"8","properties":{"a":{"value":NaN}}},{"vid":9}],"has-more":"true","vid-offset":9}',
        rb'{"contacts":[{"vid":8,"properties":{"b":{"value":"\ud83d"}}},{"vid":9}],"has-more":true,"vid-offset":9}',
    )
    query = PageQuery(export_type=CONTACTS, count=2, offset=7, params=NAMES)
    with responses.RequestsMock() as hubspot:
        for body in bodies:
            hubspot.get(HUBAPI + PATHS[CONTACTS], body=body)
        page = client_of().fetch_page(query, TOKEN).page

    (record, _) = json.loads(page.body, parse_constant=pytest.fail)["contacts"]
    assert (record["properties"], page.has_more) == ({"a": {"value": None}, "b": {"value": "\ufffd"}}, True)
    assert [(mend.place, mend.kind.value) for mend in page.mends] == [
        (0, "byte_order_mark"),
        (0, "not_a_number"),
        (0, "half_characters"),
    ]
