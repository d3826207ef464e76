"""The registry of object types: complete, asked by everybody, and all that a further type needs."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import cast
from urllib.parse import parse_qsl, urlsplit

import pytest
import responses
from pydantic import SecretStr

from api_shim.downloads.tables import Columns, Table
from worker.export.interfaces import CrmSource, FeedQuery, FetchedPage, PageQuery
from worker.hubspot.client import CrmClient, DatedClient, LegacyClient
from worker.hubspot.dated.records import RECORD_WRITERS
from worker.hubspot.endpoints import Endpoint, legacy_endpoints
from worker.hubspot.transport import Transport
from worker.records.crm_api import CrmApi
from worker.records.object_type import (
    ActivityKind,
    ChangeFeed,
    DatedList,
    LegacyList,
    ObjectType,
    PageFormat,
    RecordShape,
)
from worker.records.page import ids_of, read_page, record_ids, without_first_record
from worker.records.registry import OBJECT_TYPES, is_custom_name, is_type
from worker.records.types import DOCUMENTED_TYPES
from worker.settings import WorkerSettings

ROOT = Path(__file__).parents[4]
SETTINGS = WorkerSettings.model_validate({"hubspot_client_id": "id", "hubspot_client_secret": "secret"})
HUBAPI = "https://api.hubapi.com"

NAMES_TYPES_ITSELF = {
    "worker/records/registry.py": "the registry",
    "worker/records/activity_kinds.py": "the registry's kinds of activities",
    "worker/records/dated_types.py": "the types of the registry that the dated API alone has",
    "worker/records/types.py": "the names of the types that can be asked for",
    "worker/settings.py": "each legacy list has an environment variable, and so a field, of its own",
    "api_shim/auth/jwt.py": "`contacts` is a scope of the caller's token there",
}

PARCELS = ObjectType(
    name="parcels",
    type_id="0-421",
    page=PageFormat(list_key="parcelRows", more_key="hasMore", offset_key="offset", most_records=50),
    id_path=("parcel", "key", "id"),
    scopes=("parcels",),
    legacy=LegacyList(
        path="/parcels/v1/parcels/paged",
        query="properties=subject",
        count_parameter="size",
        offset_parameter="from",
        properties_parameter="properties",
        feed=ChangeFeed(path="/parcels/v1/parcels/recent", list_key="results", gives_all_properties=True),
    ),
    dated=DatedList(path="0-421", shape=RecordShape.DEAL, properties=("hs_parcel_id",)),
    example={"parcel": {"key": {"id": 1301}}, "properties": {"subject": {"value": "It does not add up"}}},
)


@pytest.fixture
def parcels(monkeypatch: pytest.MonkeyPatch) -> ObjectType:
    monkeypatch.setitem(cast("dict[str, ObjectType]", OBJECT_TYPES), PARCELS.name, PARCELS)
    return PARCELS


def test_every_type_that_can_be_asked_for_is_declared_under_its_name_and_no_other() -> None:
    assert list(OBJECT_TYPES)[: len(DOCUMENTED_TYPES)] == list(DOCUMENTED_TYPES)
    assert all(name == each.name for name, each in OBJECT_TYPES.items())
    assert all(is_type(name) and not is_custom_name(name) for name in OBJECT_TYPES)


def test_hubspot_s_number_of_a_type_is_that_of_no_other() -> None:
    numbers = [each.type_id for each in OBJECT_TYPES.values() if each.type_id is not None]
    assert len({*numbers}) == len(numbers) == len(OBJECT_TYPES) - len(["owners"])


def test_a_type_has_a_legacy_list_or_its_records_are_hubspot_s_own() -> None:
    for each in OBJECT_TYPES.values():
        is_own = each.dated.shape is RecordShape.OBJECT
        assert (each.legacy is None, each.page.is_paging) == (is_own, is_own)
        assert (each.created_path in each.time_paths) == (each.created_path is not None)


@pytest.mark.parametrize("name", ["p1_cars", "p62515_My_Cars2"])
def test_a_custom_object_is_declared_when_it_is_asked_for_and_listed_nowhere(name: str) -> None:
    before = list(OBJECT_TYPES)
    known = OBJECT_TYPES[name]

    assert (known.name, known.dated.path, known.legacy, known.page.is_paging) == (name, name, None, True)
    assert is_type(name)
    assert list(OBJECT_TYPES) == before
    with pytest.raises(ValueError, match=name):
        _ = known.legacy_list


@pytest.mark.parametrize("name", ["cars", "p_cars", "p1_", "p1_a-b", "px_cars", "p1_a:b", "Contacts", "", "p1_cars\n"])
def test_what_is_no_type_is_none(name: str) -> None:
    assert not is_type(name)
    with pytest.raises(KeyError):
        OBJECT_TYPES[name]


def test_every_shape_of_record_can_be_written() -> None:
    as_it_comes = {RecordShape.OBJECT}
    assert set(RECORD_WRITERS) == set(RecordShape) - as_it_comes


@pytest.mark.parametrize(
    "known", [*OBJECT_TYPES.values(), OBJECT_TYPES["p99_cars"], PARCELS], ids=lambda each: each.name
)
def test_a_type_s_example_is_a_page_of_it(known: ObjectType, parcels: ObjectType) -> None:
    assert parcels.name in OBJECT_TYPES
    body = json.dumps(known.example_page(next_offset=9)).encode()

    page = read_page(known.name, body)

    assert (page.records, page.has_more, page.says_more, page.offset) == (1, True, True, 9)
    (record_id,) = ids_of(known.name, page)
    assert record_id is not None
    assert record_ids(known.name, body) == [record_id]
    assert record_id > 0
    assert without_first_record(known.name, page).records == 0


@pytest.mark.parametrize(
    "known", [*OBJECT_TYPES.values(), OBJECT_TYPES["p99_cars"], PARCELS], ids=lambda each: each.name
)
def test_a_table_begins_with_the_type_s_id(known: ObjectType, parcels: ObjectType) -> None:
    record = json.dumps(known.example).encode()
    table = Table(known.name, Columns(properties=[*known.example.get("properties", {})], paths=_paths(known.example)))

    (record_id,) = record_ids(known.name, json.dumps({known.page.list_key: [known.example]}).encode())

    assert parcels.id_column == "parcel.key.id"
    assert table.header[0] == known.id_column
    assert table.row(record)[0] == str(record_id)


@pytest.mark.parametrize("known", [OBJECT_TYPES[each] for each in DOCUMENTED_TYPES], ids=lambda each: each.name)
def test_a_type_s_list_is_where_its_setting_says_and_its_feed_beside_it(known: ObjectType) -> None:
    address = urlsplit(SETTINGS.list_address(known.name))
    assert (address.path, address.query) == (known.legacy_list.path, known.legacy_list.query)
    assert legacy_endpoints(SETTINGS)[known.name].url == address.geturl()


@pytest.mark.parametrize("api", CrmApi)
def test_a_further_type_is_asked_for_and_read_as_it_is_declared(api: CrmApi, parcels: ObjectType) -> None:
    query = PageQuery(export_type=parcels.name, count=50, offset=7, offset_api=api, api=api)
    dated = {"results": [{"id": "1301", "properties": {"subject": "S"}}], "paging": {"next": {"after": "9"}}}
    legacy = parcels.example_page(next_offset=9)
    path, asked, fetched = _fetched(query, legacy if api is CrmApi.LEGACY else dated)

    assert (path, asked) == {
        CrmApi.LEGACY: (parcels.legacy_list.path, [("properties", "subject"), ("size", "50"), ("from", "7")]),
        CrmApi.DATED: (
            "/crm/objects/2026-09/0-421",
            [("limit", "50"), ("after", "7"), ("properties", "hs_parcel_id,subject")],
        ),
    }[api]
    assert (fetched.page.records, fetched.page.has_more, fetched.page.offset) == (1, True, 9)
    assert [*json.loads(fetched.page.body)] == ["parcelRows", "hasMore", "offset"]


def test_a_further_type_s_feed_is_read_as_it_is_declared(parcels: ObjectType) -> None:
    feed = FeedQuery(since=datetime(2026, 11, 23, tzinfo=UTC))
    answer = {"results": [parcels.example], "hasMore": True, "offset": 9, "total": 20}

    path, _, fetched = _fetched(PageQuery(export_type=parcels.name, count=50, offset=None, feed=feed), answer)

    assert path == parcels.legacy_list.feed.path
    assert record_ids(parcels.name, fetched.page.body) == [1301]
    assert fetched.total == 20


def _fetched(query: PageQuery, answer: object) -> tuple[str, list[tuple[str, str]], FetchedPage]:
    known = OBJECT_TYPES[query.export_type]
    url = f"{HUBAPI}{known.legacy_list.path}?{known.legacy_list.query}"
    endpoint = Endpoint(
        url=url, count_name=known.legacy_list.count_parameter, offset_name=known.legacy_list.offset_parameter
    )
    transport, endpoints = Transport(), {**legacy_endpoints_of_settings(), known.name: endpoint}
    dated = DatedClient(transport=transport, objects_url=SETTINGS.hubspot_objects_endpoint, legacy=endpoints)
    client: CrmSource = CrmClient(
        legacy=LegacyClient(transport=transport, endpoints=endpoints, objects_url=SETTINGS.hubspot_objects_endpoint),
        dated=dated,
    )
    with responses.RequestsMock() as hubspot:
        path = known.legacy_list.feed.path if query.feed is not None else known.legacy_list.path
        path = f"/crm/objects/2026-09/{known.dated.path}" if query.api is CrmApi.DATED else path
        hubspot.get(HUBAPI + path, json=answer)
        fetched = client.fetch_page(query, SecretStr("token"))
        address = urlsplit(hubspot.calls[0].request.url or "")
    return address.path, parse_qsl(address.query), fetched


def legacy_endpoints_of_settings() -> dict[str, Endpoint]:
    return {each: Endpoint(url=SETTINGS.list_address(each), count_name="", offset_name="") for each in DOCUMENTED_TYPES}


def test_nobody_else_names_a_type() -> None:
    named = {str(path.relative_to(ROOT)) for path in _modules() if any(_names_of_types(ast.parse(path.read_text())))}
    assert named == set(NAMES_TYPES_ITSELF)


@pytest.mark.parametrize(
    "decides",
    [
        'name == "tasks"',
        'name in {"calls", "emails"}',
        'name in ("a", *others, "leads")',
        'OBJECT_TYPES["owners"]',
        'ExportType("tickets")',
        "match name:\n    case 'quotes' | 'x': pass",
        'kinds = {"contacts": 1}',
        "path = DEALS",
    ],
)
def test_what_decides_by_the_name_of_a_type_names_it(decides: str) -> None:
    assert any(_names_of_types(ast.parse(decides)))


@pytest.mark.parametrize("ordinary", ['{"calls": 7}', 'label("tasks")', 'path = "owners"', 'count["list"] == "rate"'])
def test_an_ordinary_word_names_none(ordinary: str) -> None:
    assert not any(_names_of_types(ast.parse(ordinary)))


@pytest.mark.parametrize("declaration", [ObjectType, PageFormat, LegacyList, ChangeFeed, DatedList, ActivityKind])
def test_everything_that_is_declared_is_asked_for(declaration: type) -> None:
    asked = {
        node.attr
        for path in _modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }
    assert {each.name for each in fields(declaration)} <= asked


_CONSTANTS = {each.upper() for each in DOCUMENTED_TYPES}


def _modules() -> Iterator[Path]:
    for package in ("worker", "api_shim"):
        yield from (ROOT / package).rglob("*.py")


def _names_of_types(module: ast.Module) -> Iterator[ast.expr]:
    """Yield what names a documented type, and what decides by the name of a further one, which are ordinary words."""
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and node.value in DOCUMENTED_TYPES:
            yield node
        if isinstance(node, ast.Name) and node.id in _CONSTANTS:
            yield node
        yield from (
            each for each in _decisive(node) if isinstance(each, ast.Constant) and each.value in {*OBJECT_TYPES}
        )


def _decisive(node: ast.AST) -> Iterator[ast.expr]:
    """Yield what something is compared with, looked up by, or made a type of."""
    match node:
        case ast.Compare(left=left, comparators=others):
            for each in (left, *others):
                yield from each.elts if isinstance(each, ast.Tuple | ast.List | ast.Set) else [each]
        case ast.MatchValue(value=value):
            yield value
        case ast.Subscript(slice=key):
            yield key
        case ast.Call(func=ast.Name(id="ExportType"), args=given):
            yield from given


def _paths(record: object, at: str = "") -> list[str]:
    if not isinstance(record, dict):
        return [at]
    inner = ((f"{at}.{name}" if at else name, value) for name, value in record.items())
    return [path for name, value in inner if name != "properties" for path in _paths(value, name)]
