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
from worker.hubspot.dated_records import RECORD_WRITERS
from worker.hubspot.endpoints import Endpoint, legacy_endpoints
from worker.hubspot.transport import Transport
from worker.records.crm_api import CrmApi
from worker.records.object_type import (
    ChangeFeed,
    DatedList,
    LegacyList,
    ObjectType,
    PageFormat,
    RecordShape,
)
from worker.records.page import ids_of, read_page, record_ids, without_first_record
from worker.records.registry import OBJECT_TYPES
from worker.records.types import DOCUMENTED_TYPES
from worker.settings import WorkerSettings

ROOT = Path(__file__).parents[4]
SETTINGS = WorkerSettings.model_validate({"hubspot_client_id": "id", "hubspot_client_secret": "secret"})
HUBAPI = "https://api.hubapi.com"

NAMES_TYPES_ITSELF = {
    "worker/records/registry.py": "the registry",
    "worker/records/types.py": "the names of the types that can be asked for",
    "worker/settings.py": "each legacy list has an environment variable, and so a field, of its own",
    "api_shim/auth/jwt.py": "`contacts` is a scope of the caller's token there",
}

TICKETS = ObjectType(
    name="tickets",
    type_id="0-5",
    page=PageFormat(list_key="ticketRows", more_key="hasMore", offset_key="offset", most_records=50),
    id_path=("ticket", "key", "id"),
    scopes=("tickets",),
    legacy=LegacyList(
        path="/tickets/v1/tickets/paged",
        query="properties=subject",
        count_parameter="size",
        offset_parameter="from",
        properties_parameter="properties",
        feed=ChangeFeed(path="/tickets/v1/tickets/recent", list_key="results", gives_all_properties=True),
    ),
    dated=DatedList(path="0-5", shape=RecordShape.DEAL, properties=("hs_ticket_id",)),
    example={"ticket": {"key": {"id": 1301}}, "properties": {"subject": {"value": "It does not add up"}}},
)


@pytest.fixture
def tickets(monkeypatch: pytest.MonkeyPatch) -> ObjectType:
    monkeypatch.setitem(cast("dict[str, ObjectType]", OBJECT_TYPES), TICKETS.name, TICKETS)
    return TICKETS


def test_every_type_that_can_be_asked_for_is_declared_under_its_name_and_no_other() -> None:
    assert list(DOCUMENTED_TYPES) == list(OBJECT_TYPES)
    assert all(name == each.name for name, each in OBJECT_TYPES.items())


def test_every_shape_of_record_can_be_written() -> None:
    assert set(RECORD_WRITERS) == set(RecordShape)


@pytest.mark.parametrize("known", [*OBJECT_TYPES.values(), TICKETS], ids=lambda each: each.name)
def test_a_type_s_example_is_a_page_of_it(known: ObjectType, tickets: ObjectType) -> None:
    assert tickets.name in OBJECT_TYPES
    body = json.dumps(known.example_page(next_offset=9)).encode()

    page = read_page(known.name, body)

    assert (page.records, page.has_more, page.says_more, page.offset) == (1, True, True, 9)
    (record_id,) = ids_of(known.name, page)
    assert record_id is not None
    assert record_ids(known.name, body) == [record_id]
    assert without_first_record(known.name, page).records == 0


@pytest.mark.parametrize("known", [*OBJECT_TYPES.values(), TICKETS], ids=lambda each: each.name)
def test_a_table_begins_with_the_type_s_id(known: ObjectType, tickets: ObjectType) -> None:
    record = json.dumps(known.example).encode()
    table = Table(known.name, Columns(properties=[*known.example.get("properties", {})], paths=_paths(known.example)))

    (record_id,) = record_ids(known.name, json.dumps({known.page.list_key: [known.example]}).encode())

    assert tickets.id_column == "ticket.key.id"
    assert table.header[0] == known.id_column
    assert table.row(record)[0] == str(record_id)


@pytest.mark.parametrize("known", OBJECT_TYPES.values(), ids=lambda each: each.name)
def test_a_type_s_list_is_where_its_setting_says_and_its_feed_beside_it(known: ObjectType) -> None:
    address = urlsplit(SETTINGS.list_address(known.name))
    assert (address.path, address.query) == (known.legacy_list.path, known.legacy_list.query)
    assert legacy_endpoints(SETTINGS)[known.name].url == address.geturl()


@pytest.mark.parametrize("api", CrmApi)
def test_a_further_type_is_asked_for_and_read_as_it_is_declared(api: CrmApi, tickets: ObjectType) -> None:
    query = PageQuery(export_type=tickets.name, count=50, offset=7, offset_api=api, api=api)
    dated = {"results": [{"id": "1301", "properties": {"subject": "S"}}], "paging": {"next": {"after": "9"}}}
    legacy = tickets.example_page(next_offset=9)
    path, asked, fetched = _fetched(query, legacy if api is CrmApi.LEGACY else dated)

    assert (path, asked) == {
        CrmApi.LEGACY: (tickets.legacy_list.path, [("properties", "subject"), ("size", "50"), ("from", "7")]),
        CrmApi.DATED: (
            "/crm/objects/2026-09/0-5",
            [("limit", "50"), ("after", "7"), ("properties", "hs_ticket_id,subject")],
        ),
    }[api]
    assert (fetched.page.records, fetched.page.has_more, fetched.page.offset) == (1, True, 9)
    assert [*json.loads(fetched.page.body)] == ["ticketRows", "hasMore", "offset"]


def test_a_further_type_s_feed_is_read_as_it_is_declared(tickets: ObjectType) -> None:
    feed = FeedQuery(since=datetime(2026, 11, 23, tzinfo=UTC))
    answer = {"results": [tickets.example], "hasMore": True, "offset": 9, "total": 20}

    path, _, fetched = _fetched(PageQuery(export_type=tickets.name, count=50, offset=None, feed=feed), answer)

    assert path == tickets.legacy_list.feed.path
    assert record_ids(tickets.name, fetched.page.body) == [1301]
    assert fetched.total == 20


def _fetched(query: PageQuery, answer: object) -> tuple[str, list[tuple[str, str]], FetchedPage]:
    known = OBJECT_TYPES[query.export_type]
    url = f"{HUBAPI}{known.legacy_list.path}?{known.legacy_list.query}"
    endpoint = Endpoint(
        url=url, count_name=known.legacy_list.count_parameter, offset_name=known.legacy_list.offset_parameter
    )
    transport, endpoints = Transport(), {**legacy_endpoints_of_settings(), known.name: endpoint}
    dated = DatedClient(transport=transport, objects_url=SETTINGS.hubspot_objects_endpoint, legacy=endpoints)
    client: CrmSource = CrmClient(legacy=LegacyClient(transport=transport, endpoints=endpoints), dated=dated)
    with responses.RequestsMock() as hubspot:
        path = known.legacy_list.feed.path if query.feed is not None else known.legacy_list.path
        path = f"/crm/objects/2026-09/{known.dated.path}" if query.api is CrmApi.DATED else path
        hubspot.get(HUBAPI + path, json=answer)
        fetched = client.fetch_page(query, SecretStr("token"))
        address = urlsplit(hubspot.calls[0].request.url or "")
    return address.path, parse_qsl(address.query), fetched


def legacy_endpoints_of_settings() -> dict[str, Endpoint]:
    known = (each for each in OBJECT_TYPES if each != TICKETS.name)
    return {each: Endpoint(url=SETTINGS.list_address(each), count_name="", offset_name="") for each in known}


def test_nobody_else_names_a_type() -> None:
    named = {str(path.relative_to(ROOT)) for path in _modules() if any(_names_of_types(ast.parse(path.read_text())))}
    assert named == set(NAMES_TYPES_ITSELF)


@pytest.mark.parametrize("declaration", [ObjectType, PageFormat, LegacyList, ChangeFeed, DatedList])
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
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and node.value in {*OBJECT_TYPES}:
            yield node
        if isinstance(node, ast.Name) and node.id in _CONSTANTS:
            yield node


def _paths(record: object, at: str = "") -> list[str]:
    if not isinstance(record, dict):
        return [at]
    inner = ((f"{at}.{name}" if at else name, value) for name, value in record.items())
    return [path for name, value in inner if name != "properties" for path in _paths(value, name)]
