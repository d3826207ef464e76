"""Tables of records of HubSpot's own shape, and tables of the columns that a request asked for, in either shape."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_shim.downloads.choice import useful_columns
from api_shim.downloads.layouts import layout_of
from api_shim.downloads.lines import ndjson_lines
from api_shim.downloads.surveys import Survey
from api_shim.downloads.tables import Columns, Table
from tests.contract.test_erasing_pages import erase, erasure_of
from tests.unit.api_shim.downloads.test_csv import Export, export_of
from tests.unit.api_shim.downloads.test_writing import _AS_BYTES as LEGACY_RECORDS
from tests.unit.api_shim.downloads.test_writing import _LEAVES, _TEXTS, _VALUES, by_the_writer, one_by_one
from worker.jobs.selection import Selection
from worker.records.types import CONTACTS, ExportType

TICKETS = "tickets"
TIMES = {"createdAt": "2026-02-25T16:23:49.023Z", "updatedAt": "2026-03-12T10:04:17.969Z"}
TICKET = {
    "id": "1301",
    "properties": {"subject": "It does, not add up", "hs_pipeline": None, "createdate": "2026-02-25T16:23:49.023Z"},
    **TIMES,
    "archived": False,
    "associations": {
        "companies": {"results": [{"id": "7", "type": "ticket_to_company"}, {"id": "7", "type": "primary"}]},
        "p99_cars": {
            "results": [{"id": "12", "type": "a"}, {"id": "9", "type": "a"}],
            "paging": {"next": {"after": "13"}},
        },
    },
    "propertiesWithHistory": {"subject": [{"value": "old", "timestamp": "2026-01-01T00:00:00Z"}]},
}


def table(export_type: str, *records: object) -> list[dict[str, str]]:
    return export_of(export_type, records).rows()


# All that there is


@pytest.mark.parametrize("export_type", [TICKETS, "p99_cars"])
def test_the_id_comes_first_then_the_properties_then_the_rest_with_the_ids_of_what_is_associated(
    export_type: str,
) -> None:
    (row,) = table(export_type, TICKET)
    assert list(row.items()) == [
        ("id", "1301"),
        ("createdate", "2026-02-25T16:23:49.023Z"),
        ("hs_pipeline", ""),
        ("subject", "It does, not add up"),
        ("archived", "false"),
        ("associations.companies", "7"),
        ("associations.p99_cars", "12;9"),
        ("createdAt", "2026-02-25T16:23:49.023Z"),
        ("updatedAt", "2026-03-12T10:04:17.969Z"),
    ]


def test_owners_have_no_properties_and_a_column_for_each_field() -> None:
    (row,) = table("owners", {"id": "9", "email": "a@x.test", "teams": [{"id": "1"}], "userId": 5, "archived": False})
    assert row == {"id": "9", "archived": "false", "email": "a@x.test", "teams": '[{"id": "1"}]', "userId": "5"}


@pytest.mark.parametrize(
    ("odd", "column", "text"),
    [
        ({"properties": {"subject": 7}}, "subject", "7"),
        ({"properties": {"subject": {"a": [1]}}}, "subject", '{"a": [1]}'),
        ({"properties": {"subject": "=1+1"}}, "subject", "'=1+1"),
        ({"associations": {"companies": {"results": []}}}, "associations.companies", ""),
        ({"associations": {"companies": {"results": None}}}, "associations.companies", ""),
        ({"associations": {"companies": {"results": [{"id": 7}, {"id": "8"}]}}}, "associations.companies", "7;8"),
        ({"associations": {"companies": ["7"]}}, "associations.companies", '["7"]'),
        ({"associations": {"companies": {"results": [{}]}}}, "associations.companies", '{"results": [{}]}'),
        ({"associations": [7]}, "associations", "[7]"),
    ],
)
@pytest.mark.parametrize("like_it", [0, 60])
def test_a_value_that_is_not_what_it_should_be_stands_in_its_column(
    odd: dict[str, object], column: str, text: str, like_it: int
) -> None:
    rows = table(TICKETS, *[TICKET] * like_it, {"id": "1302", **odd}, *[TICKET] * like_it)
    assert rows[like_it][column] == text
    assert rows[-1].get("subject", "") == rows[0].get("subject", "")


def test_records_are_lines_of_json_as_hubspot_sent_them() -> None:
    export = export_of(TICKETS, [b'{"id" : "1","n":1.10}', b'{"id":"2",\n"a":null}'])
    assert b"".join(ndjson_lines(export.pages, export.job)) == b'{"id" : "1","n":1.10}\n{"id":"2","a":null}\n'


def test_an_erased_record_has_no_line() -> None:
    export = export_of(TICKETS, [{"id": "1"}, {"id": "2"}])
    assert erase(export.pages, erasure_of(1, export_type=ExportType(TICKETS))) == 1
    assert export.rows() == [{"id": "2"}]


_OWN_PROPERTIES = st.dictionaries(
    st.sampled_from(["id", "a", "closedate", "=x", "é"]), st.none() | _TEXTS | _VALUES, max_size=4
)
_LINK = st.fixed_dictionaries({}, optional={"id": st.sampled_from(["7", "8", 7, None]), "type": _TEXTS})
_LINKS = (
    st.fixed_dictionaries({}, optional={"results": st.lists(_LINK, max_size=3) | _LEAVES, "paging": _VALUES}) | _VALUES
)
_ASSOCIATIONS = st.dictionaries(st.sampled_from(["companies", "p9_cars", "é", "a.b"]), _LINKS, max_size=3) | _VALUES
_OTHERS = st.dictionaries(
    st.sampled_from(["id", "a", "archived", "associations.companies", "createdAt", "propertiesWithHistory"]), _VALUES
)
OWN_RECORDS = LEGACY_RECORDS | st.fixed_dictionaries(
    {"id": st.sampled_from(["1", "2", 3, None])},
    optional={"properties": _OWN_PROPERTIES | _LEAVES, "associations": _ASSOCIATIONS, "archived": st.booleans()},
).flatmap(
    lambda known: _OTHERS.map(
        lambda others: json.dumps(others | known, ensure_ascii=False).encode(errors="replace"),
    )
)


@given(records=st.lists(OWN_RECORDS, min_size=1, max_size=10), at_once=st.integers(1, 4), worth=st.integers(1, 3))
def test_lines_are_those_of_the_rows_and_columns_those_of_the_records(
    records: list[bytes], at_once: int, worth: int
) -> None:
    careful, learning = (Survey(layout_of(TICKETS), worth_learning=each) for each in (len(records) + 1, worth))
    for record in records:
        careful.note(record)
        learning.note(record)
    assert learning.columns() == careful.columns()
    whole = Table(TICKETS, careful.columns())

    lines = by_the_writer(whole, records, worth_learning=worth, at_once=at_once)

    assert lines == "".join(f"{line}\r\n" for line in one_by_one(whole, records))


@pytest.mark.parametrize(("export_type", "records"), [(TICKETS, OWN_RECORDS), (CONTACTS, LEGACY_RECORDS)])
@given(data=st.data(), names=st.lists(st.sampled_from(["a", "id", "vid", "closedate", "none"]), unique=True))
def test_lines_of_chosen_columns_are_those_of_the_rows(
    export_type: str, records: st.SearchStrategy[bytes], data: st.DataObject, names: list[str]
) -> None:
    drawn = data.draw(st.lists(records, min_size=1, max_size=10))
    chosen = Table(export_type, useful_columns(export_type, names, associations=["companies"]), chosen=True)

    lines = by_the_writer(chosen, drawn, worth_learning=1, at_once=3)

    assert lines == "".join(f"{line}\r\n" for line in one_by_one(chosen, drawn))


# What was asked for


def asking(export: Export, *asked: str, selected: Sequence[str] | None = None, **request: Any) -> Export:  # noqa: ANN401
    """Let the request of an export name properties, of which `selected` were found to exist."""
    selection = Selection(properties=tuple(asked if selected is None else selected))
    job = replace(export.job, request=replace(export.job.request, properties=asked, **request), selection=selection)
    return replace(export, job=job)


def test_who_asks_for_properties_gets_them_in_that_order_and_what_is_of_use_beside_them() -> None:
    tickets = asking(export_of(TICKETS, [TICKET, {"id": "5"}]), "subject", "owner", associations=("companies", "deals"))
    assert tickets.csv().decode().split("\r\n") == [
        "id,subject,owner,associations.companies,associations.deals,createdAt,updatedAt",
        '1301,"It does, not add up",,7,,2026-02-25T16:23:49.023Z,2026-03-12T10:04:17.969Z',
        "5,,,,,,",
        "",
    ]


def test_columns_of_contacts_are_those_asked_for_with_instants_in_iso_as_ever() -> None:
    contact = {
        "vid": 501,
        "addedAt": 1700000000000,
        "is-contact": True,
        "associations": {"companies": [7, 8]},
        "properties": {"email": {"value": "a@x.test"}, "closedate": {"value": "1700000000000"}, "x": {"value": "y"}},
    }
    contacts = asking(export_of("contacts", [contact]), "email", "closedate", associations=("companies",))
    assert contacts.rows() == [
        {
            "vid": "501",
            "email": "a@x.test",
            "closedate": "1700000000000",
            "closedate.iso": "2023-11-14T22:13:20.000Z",
            "associations.companies": "7;8",
            "addedAt": "1700000000000",
            "addedAt.iso": "2023-11-14T22:13:20.000Z",
        }
    ]


@pytest.mark.parametrize(
    ("export_type", "header"),
    [
        ("companies", "companyId,b,a"),
        (
            "deals",
            (
                "dealId,b,a,associations.associatedVids,associations.associatedCompanyIds,associations.associatedDealIds,"
                "associations.associatedTicketIds,associations.p99_cars"
            ),
        ),
        (
            "notes",
            (
                "engagement.id,b,a,associations.contactIds,associations.companyIds,associations.dealIds,"
                "associations.ticketIds,engagement.createdAt,engagement.createdAt.iso,engagement.lastUpdated,"
                "engagement.lastUpdated.iso"
            ),
        ),
        ("owners", "id,b,a,createdAt,updatedAt"),
    ],
)
def test_each_type_has_the_columns_that_its_shape_knows(export_type: str, header: str) -> None:
    associations = ("tickets", "p99_cars") if export_type == "deals" else ()
    export = asking(export_of(export_type, []), "*", selected=["b", "a", "b"], associations=associations)
    assert export.csv().decode() == header + "\r\n"


def test_what_a_legacy_record_is_associated_with_is_joined_and_an_odd_list_stands_as_it_is() -> None:
    deals = [
        {"dealId": 1, "associations": {"associatedVids": [501, 502, 501], "associatedCompanyIds": []}},
        {"dealId": 2, "associations": {"associatedVids": ["x", 5]}},
    ]
    first, second = asking(export_of("deals", deals), "dealname").rows()
    assert (first["associations.associatedVids"], first["associations.associatedCompanyIds"]) == ("501;502", "")
    assert second["associations.associatedVids"] == '["x", 5]'


def test_without_properties_in_the_request_a_legacy_file_is_what_it_was() -> None:
    deal = {"dealId": 1, "associations": {"associatedVids": [501]}, "properties": {"b": {"value": "1"}}}
    assert export_of("deals", [deal]).csv() == b"dealId,b,associations.associatedVids\r\n1,1,[501]\r\n"


def test_a_job_that_never_began_has_the_columns_that_were_named() -> None:
    export = asking(export_of(TICKETS), "subject", "*")
    job = replace(export.job, selection=None)
    assert replace(export, job=job).csv() == b"id,subject,createdAt,updatedAt\r\n"


def test_a_property_with_the_name_of_a_field_has_another_title() -> None:
    assert Table(TICKETS, Columns(["id", "createdAt"], ["createdAt"]), chosen=True).header == [
        "id",
        "properties.id",
        "properties.createdAt",
        "createdAt",
    ]
