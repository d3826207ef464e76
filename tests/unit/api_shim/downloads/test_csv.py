"""The table of an export: its columns, its cells, and what a spreadsheet would make of them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from api_shim.downloads.lines import csv_lines, ndjson_lines
from tests.fakes.stores import InMemoryPageStore
from worker.errors import JobNotFoundError
from worker.jobs.job import Job
from worker.jobs.request import ExportRequest
from worker.jobs.status import JobKind
from worker.pages.interfaces import PageStore
from worker.records.page import read_page
from worker.records.registry import OBJECT_TYPES
from worker.records.types import ExportType

PRESENT = datetime(2026, 11, 23, tzinfo=UTC)

CONTACT = {
    "addedAt": 1700000000000,
    "vid": 501,
    "merged-vids": [7, 8],
    "is-contact": True,
    "properties": {"lastname": {"value": "Österberg"}, "email": {"value": "a@x.test", "versions": [{"value": "old"}]}},
    "identity-profiles": [{"vid": 501, "identities": [{"value": "a@x.test"}]}],
}
DEAL = {
    "portalId": 99,
    "dealId": 801,
    "isDeleted": False,
    "associations": {"associatedVids": [501], "associatedCompanyIds": []},
    "properties": {"dealname": {"value": "Big", "timestamp": 1700000000000, "source": "API", "sourceId": None}},
}
NOTE = {
    "engagement": {"id": 901, "active": True, "createdAt": 1700000000000, "ownerId": None, "type": "NOTE"},
    "associations": {"contactIds": [501]},
    "attachments": [],
    "metadata": {"from": {"email": "a@x.test"}, "body": "Hi"},
}


@dataclass(frozen=True, kw_only=True)
class Export:
    """A finished job and the store of its pages."""

    job: Job
    pages: InMemoryPageStore = field(default_factory=InMemoryPageStore)

    def csv(self, *, with_bom: bool = False) -> bytes:
        """Write it as a table."""
        return b"".join(csv_lines(self.pages, self.job, with_bom=with_bom))

    def rows(self) -> list[dict[str, str]]:
        """Read the table as a spreadsheet does."""
        return list(csv.DictReader(io.StringIO(self.csv().decode(), newline="")))

    def with_page(self, *records: object) -> Export:
        """Add one more page, and another end; a record that is bytes stands as it is."""
        texts = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in records]
        key = OBJECT_TYPES[self.job.records_type].page.list_key.encode()
        page = read_page(self.job.records_type, b'{"%b":[%b]}' % (key, b",".join(texts)))
        self.pages.add(self.job, page)
        ended_at = (self.job.finished_at or PRESENT) + timedelta(minutes=1)
        return replace(self, job=replace(self.job, progress=self.job.progress.after(page), finished_at=ended_at))


def export_of(export_type: str, *pages: Sequence[object]) -> Export:
    export = Export(
        job=Job(
            job_id="job",
            account_id="a1",
            owner="u1",
            export_type=ExportType(export_type),
            request=ExportRequest(page_size=100),
            kind=JobKind.EXPORT,
            created_at=PRESENT,
            updated_at=PRESENT,
        )
    )
    for records in pages:
        export = export.with_page(*records)
    return export


def table(export_type: str, *records: object) -> list[dict[str, str]]:
    return export_of(export_type, records).rows()


def cell(value: object) -> str:
    """Return what becomes of one property of a contact."""
    (row,) = table("contacts", {"vid": 1, "properties": {"x": {"value": value}}})
    return row["x"]


def test_a_property_is_a_column_and_the_rest_are_dotted_paths() -> None:
    assert table("contacts", CONTACT) == [
        {
            "vid": "501",
            "email": "a@x.test",
            "lastname": "Österberg",
            "addedAt": "1700000000000",
            "addedAt.iso": "2023-11-14T22:13:20.000Z",
            "identity-profiles": '[{"vid": 501, "identities": [{"value": "a@x.test"}]}]',
            "is-contact": "true",
            "merged-vids": "[7, 8]",
        }
    ]


def test_associations_and_what_is_nested_are_dotted_paths() -> None:
    assert table("deals", DEAL) == [
        {
            "dealId": "801",
            "dealname": "Big",
            "associations.associatedCompanyIds": "[]",
            "associations.associatedVids": "[501]",
            "isDeleted": "false",
            "portalId": "99",
        }
    ]
    assert table("notes", NOTE) == [
        {
            "engagement.id": "901",
            "associations.contactIds": "[501]",
            "attachments": "[]",
            "engagement.active": "true",
            "engagement.createdAt": "1700000000000",
            "engagement.createdAt.iso": "2023-11-14T22:13:20.000Z",
            "engagement.ownerId": "",
            "engagement.type": "NOTE",
            "metadata.body": "Hi",
            "metadata.from.email": "a@x.test",
        }
    ]


@pytest.mark.parametrize("export_type", ["contacts", "companies", "deals", "notes"])
def test_the_id_comes_first_even_when_nothing_was_exported(export_type: str) -> None:
    first = {"contacts": "vid", "companies": "companyId", "deals": "dealId", "notes": "engagement.id"}[export_type]

    assert export_of(export_type).csv() == f"{first}\r\n".encode()


def test_the_columns_are_those_of_all_records_in_the_order_of_their_names() -> None:
    early = {"vid": 1, "z": 1, "properties": {"b": {"value": "1"}}}
    late = {"a": 1, "properties": {"c": {"value": "2"}, "a": {"value": "3"}}, "vid": 2}
    one = export_of("contacts", [early], [{"vid": 3}], [late]).csv().decode()
    other = export_of("contacts", [late, early, {"vid": 3}]).csv().decode()

    assert one.splitlines() == ["vid,properties.a,b,c,a,z", "1,,1,,,1", "3,,,,,", "2,3,,2,1,"]
    assert other.splitlines()[0] == one.splitlines()[0]


def test_a_property_never_takes_the_place_of_the_id() -> None:
    (row,) = table("contacts", {"properties": {"vid": {"value": "7"}}})

    assert row == {"vid": "", "properties.vid": "7"}


def test_no_two_columns_have_one_title() -> None:
    properties = {name: {"value": name} for name in ("vid", "properties.vid", "createdate", "createdate.iso")}
    record = {"vid": 1, "properties": properties | {"addedAt.iso": {"value": "b"}}, "addedAt": 0}

    header, row = csv.reader(io.StringIO(export_of("contacts", [record]).csv().decode(), newline=""))

    assert dict(zip(header, row, strict=True)) == {
        "vid": "1",
        "properties.properties.vid": "vid",
        "properties.vid": "properties.vid",
        "createdate": "createdate",
        "createdate.iso": "createdate.iso",
        "createdate.iso.iso": "",
        "addedAt": "0",
        "addedAt.iso": "b",
        "addedAt.iso.iso": "1970-01-01T00:00:00.000Z",
    }
    assert len(header) == 9


def test_lines_end_and_cells_are_quoted_as_the_rfc_says() -> None:
    record = {"vid": 1, "properties": {"x": {"value": 'a,"b"\r\nc\nd'}, "y": {"value": " e;f' "}, "z": {"value": ""}}}

    content = export_of("contacts", [record, {"vid": 2}]).csv()

    assert content == b'vid,x,y,z\r\n1,"a,""b""\r\nc\nd", e;f\' ,\r\n2,,,\r\n'


def test_a_record_without_anything_is_a_line_nevertheless() -> None:
    assert len(table("contacts", {}, {"metadata": {}, "properties": {}})) == 2


def test_a_byte_order_mark_comes_when_it_is_wanted() -> None:
    assert export_of("contacts").csv(with_bom=True) == b"\xef\xbb\xbfvid\r\n"


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "=cmd|'/C calc'!A0",
        "+49 30 1234",
        "+491234",
        "+1",
        "-1+1",
        "-",
        "--1",
        "-A1",
        "-1e",
        "-2 apples",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "\0=1",
        "＝1",  # noqa: RUF001 - a full-width sign
    ],
)
def test_what_a_spreadsheet_might_run_is_defused(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize(
    "text", ["-5", "-5.25", "-1,234.50", "-1.5e-3", "5", "a=1", " =1", "'=1", "a@x.test", "1+1", ""]
)
def test_what_no_spreadsheet_runs_stays_as_it_is(text: str) -> None:
    assert cell(text) == text


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("Ann;=1+2", "Ann;'=1+2"),
        (";=1", ";'=1"),
        ("a;-5;-1+1", "a;-5;'-1+1"),
        ("a;@x;+49 30", "a;'@x;'+49 30"),
        ("a\t=1", "a\t'=1"),
        ("a\r\n=1", "a\r\n'=1"),
        ('a;"=1"', 'a;"\'=1"'),
        ("a;\uff1d1", "a;'\uff1d1"),
        ("=1;=2", "'=1;'=2"),
    ],
)
def test_what_would_be_a_formula_where_other_signs_separate_is_defused_and_quoted(text: str, safe: str) -> None:
    assert cell(text) == safe
    quoted = safe.replace('"', '""')
    assert f'"{quoted}"\r\n'.encode() in export_of("contacts", [{"properties": {"x": {"value": text}}}]).csv()


@pytest.mark.parametrize("text", ["a;b", "a; =1", "a;b=1", "a;;b", "a;-5"])
def test_lists_of_values_stay_as_they_are(text: str) -> None:
    assert (
        export_of("contacts", [{"vid": 1, "properties": {"x": {"value": text}}}])
        .csv()
        .endswith(f"1,{text}\r\n".encode())
    )


def test_titles_and_fields_beside_the_properties_are_defused_as_well() -> None:
    (row,) = table("contacts", {"vid": 1, "=x": "=y", "properties": {"@z": {"value": "1"}}})

    assert row == {"vid": "1", "'@z": "1", "'=x": "'=y"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"null", ""),
        (b"true", "true"),
        (b"1.10", "1.10"),
        (b"1e400", "1e400"),
        (b"-0.50", "-0.50"),
        (b"123456789012345678901234567890", "123456789012345678901234567890"),
        (b'[1,1.10,{"a":"\xc3\xa9"}]', '[1,1.10,{"a":"é"}]'),
    ],
)
def test_values_that_are_no_text_stay_as_hubspot_wrote_them(value: bytes, text: str) -> None:
    (row,) = table("contacts", b'{"vid":1,"field":%b,"properties":{"x":{"value":%b}}}' % (value, value))

    assert (row["field"], row["x"]) == (text, text)


def test_a_list_of_many_lines_is_put_on_one() -> None:
    (row,) = table("contacts", b'{"vid":1,"list":[\r\n  "a\\nb",\n  2\n]}')

    assert row["list"] == r'[  "a\nb",  2]'


def test_half_an_emoji_and_bytes_that_are_no_text_cost_a_character_and_no_more() -> None:
    cut = rb'{"vid":1,"a":"x\ud83d","properties":{"p":{"value":"\ud83d\ude00 \ude00","versions":["\ud83d"]}}}'
    broken = b'{"vid":2,"a":"x\xff","b\xff":1,"properties":{"p":{"value":"\xc3"}}}'

    one, other = table("contacts", cut, broken)

    assert (one["a"], one["p"]) == ("x\ufffd", "😀 \ufffd")
    assert (other["a"], other["b\ufffd"], other["p"]) == ("x\ufffd", "1", "\ufffd")


def test_properties_of_another_shape_are_shown_nevertheless() -> None:
    odd = b'{"vid":1,"properties":{"a":"plain","b":{"value":"\xc3\xbc"},"c":{"other":1},"d":[1.0],"e":null,"f":2.50}}'

    (row,) = table("contacts", odd)
    (none,) = table("contacts", {"vid": 1, "properties": [1]})

    assert row == {"vid": "1", "a": "plain", "b": "ü", "c": "", "d": "[1.0]", "e": "", "f": "2.50"}
    assert none == {"vid": "1", "properties": "[1]"}


def test_records_that_are_no_objects_are_shown_nevertheless() -> None:
    found = table("contacts", {"vid": 1}, b"null", b"7", b'"text"', b"[1]")

    assert [row["record"] for row in found] == ["", "", "7", "text", "[1]"]


def test_what_lies_very_deep_stays_json() -> None:
    deep: object = {"end": 1}
    for _ in range(20):
        deep = {"a": deep}

    (row,) = table("contacts", {"vid": 1, "a": deep})

    assert list(row) == ["vid", ".".join("a" * 8)]
    assert json.loads(row[".".join("a" * 8)])["a"]


@pytest.mark.parametrize(
    "name",
    [
        "createdate",
        "lastmodifieddate",
        "hs_lastmodifieddate",
        "closedate",
        "hs_timestamp",
        "notes_last_contacted",
        "hs_lifecyclestage_lead_date",
        "hs_v2_date_entered_123",
        "hs_analytics_last_visit_timestamp",
    ],
)
def test_hubspots_dates_are_shown_in_iso_beside_the_milliseconds(name: str) -> None:
    (row,) = table("companies", {"companyId": 1, "properties": {name: {"value": "1700000000001"}}})

    assert row == {"companyId": "1", name: "1700000000001", f"{name}.iso": "2023-11-14T22:13:20.001Z"}


@pytest.mark.parametrize("name", ["date_of_birth", "my_date", "hs_object_id", "notes", "createdated", "timestamp"])
def test_what_may_be_anything_is_not_taken_for_a_time(name: str) -> None:
    (row,) = table("companies", {"companyId": 1, "properties": {name: {"value": "1700000000001"}}})

    assert row == {"companyId": "1", name: "1700000000001"}


@pytest.mark.parametrize(
    ("value", "iso"),
    [
        ("0", "1970-01-01T00:00:00.000Z"),
        ("-86400000", "1969-12-31T00:00:00.000Z"),
        ("253402300799999", "9999-12-31T23:59:59.999Z"),
        ("253402300800000", ""),
        ("2026-02-25T16:23:49.023Z", "2026-02-25T16:23:49.023Z"),
        ("2026-02-25", "2026-02-25"),
        ("tomorrow", ""),
        ("1700000000001.5", ""),
        ("٣", ""),
        ("", ""),
    ],
)
def test_what_is_no_instant_has_no_iso_form(value: str, iso: str) -> None:
    (row,) = table("deals", {"dealId": 1, "properties": {"closedate": {"value": value}}})

    assert (row["closedate"], row["closedate.iso"]) == (value, iso)


@pytest.mark.parametrize("lines", [ndjson_lines, partial(csv_lines, with_bom=False)])
def test_fewer_records_than_were_counted_are_no_whole_file(lines: Callable[[PageStore, Job], Iterator[bytes]]) -> None:
    export = export_of("contacts", [CONTACT])
    counted = replace(export.job, progress=replace(export.job.progress, records=2))

    with pytest.raises(JobNotFoundError):
        list(lines(export.pages, counted))


def test_the_columns_of_a_job_are_looked_for_once() -> None:
    export = export_of("contacts", [CONTACT], [CONTACT])

    files = [export.csv() for _ in range(2)]

    assert files[0] == files[1]
    assert export.pages.reads == 3


def test_a_job_that_has_gone_on_has_its_columns_looked_for_again() -> None:
    before = export_of("contacts", [{"vid": 1}])
    assert before.rows() == [{"vid": "1"}]

    after = before.with_page({"vid": 2, "a": 3})

    assert after.rows() == [{"vid": "1", "a": ""}, {"vid": "2", "a": "3"}]


def test_columns_that_another_version_has_found_are_looked_for_again() -> None:
    export = export_of("contacts", [{"vid": 1, "a": 2}])
    export.pages.keep_summary(export.job, b'{"rules":0,"columns":{"properties":[],"paths":["b"]}}')

    assert export.rows() == [{"vid": "1", "a": "2"}]
