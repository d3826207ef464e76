"""What HubSpot's two APIs give of one account: read by both, compared field by field, and written as a table.

python -m tests.both_apis      write the table into README.md
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import responses
from pydantic import SecretStr

from api_shim.commands.differences import ABSENT, FieldDifference, compare
from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.transport.mounting import mount
from worker.export.interfaces import CrmSource, PageQuery
from worker.hubspot.client import CrmClient, DatedClient, LegacyClient
from worker.hubspot.endpoints import legacy_endpoints
from worker.hubspot.transport import Transport
from worker.rate_limit.permits import FREE_PERMIT
from worker.records.crm_api import CrmApi
from worker.records.page import record_ids, split_records
from worker.records.types import COMPANIES, CONTACTS, DEALS, NOTES, ExportType
from worker.settings import WorkerSettings

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- differences of the APIs -->", "<!-- end of the differences -->"
HUB = 62515
RECORDS = {"contacts": 300, "companies": 200, "deals": 300, "engagements": 900}
LINKS = {"deals": {"contacts": 130}}
TIMES = frozenset({"createdate", "lastmodifieddate", "hs_lastmodifieddate", "closedate"})
ASKED: Mapping[ExportType, tuple[dict[str, Any], ...]] = {
    CONTACTS: (
        {},
        {"properties": ("email", "lastname", "createdate", "lastmodifieddate", "lifecyclestage")},
        {"properties": ("email", "lifecyclestage"), "history": ("email", "lifecyclestage")},
    ),
    COMPANIES: (
        {},
        {"properties": ("name", "domain", "createdate", "hs_lastmodifieddate")},
        {"properties": ("name", "domain"), "history": ("name", "domain")},
    ),
    DEALS: (
        {},
        {"properties": ("dealname", "amount", "closedate", "createdate")},
        {"properties": ("dealname", "amount"), "history": ("dealname", "amount")},
    ),
    NOTES: ({},),
}
"""What each type is asked for, in one export each."""

_OF_PROPERTIES = frozenset({"value", "timestamp", "source", "sourceId", "versions"})
_NOWHERE = "the dated API has it nowhere"
_WITH_HISTORY = "comes with `history`"
REASONS: Mapping[tuple[str, str], str] = {
    (CONTACTS, "form-submissions"): _NOWHERE,
    (CONTACTS, "identity-profiles"): _NOWHERE,
    (CONTACTS, "profile-token"): _NOWHERE,
    (CONTACTS, "properties.*"): "without `properties` each API gives a few default ones of its own",
    **{
        (each, f"properties.*.{name}"): _WITH_HISTORY
        for each in (COMPANIES, DEALS)
        for name in ("source", "sourceId", "timestamp", "versions")
    },
    (NOTES, "metadata.reminders"): "the legacy feed has them as `scheduledTasks` alone",
    (NOTES, "scheduledTasks[].uuid"): _NOWHERE,
    (NOTES, "*"): "engagements of kinds that HubSpot does not document have no dated list",
}
"""Why a field differs, by the type and the field; `*` of a type are whole records."""


def source() -> CrmSource:
    settings = WorkerSettings.model_validate({"hubspot_client_id": "id", "hubspot_client_secret": "secret"})
    transport, endpoints = Transport(), legacy_endpoints(settings)
    objects_url = settings.hubspot_objects_endpoint
    return CrmClient(
        legacy=LegacyClient(transport=transport, endpoints=endpoints, objects_url=objects_url),
        dated=DatedClient(transport=transport, objects_url=objects_url, legacy=endpoints),
    )


def read(hubspot: HubSpot, export_type: ExportType, api: CrmApi, **asked: Any) -> Iterator[tuple[int, Any]]:  # noqa: ANN401
    """Yield all records of a type with their ids, each once."""
    crm, token = source(), SecretStr(hubspot.issue_token(HUB).value)
    offset, last_id = None, None
    while True:
        query = PageQuery(
            export_type=export_type,
            count=100,
            offset=offset,
            offset_api=api if offset is not None else None,
            after_id=last_id,
            api=api,
            hub_id=HUB,
            time_properties=TIMES,
            further_call=lambda *_: FREE_PERMIT,
            **asked,
        )
        page = crm.fetch_page(query, token).page
        records = split_records(export_type, page.body)
        for record_id, record in zip(record_ids(export_type, page.body), records, strict=True):
            assert record_id is not None
            if record_id != last_id:
                yield record_id, json.loads(record)
            last_id = record_id
        if not page.has_more:
            return
        offset = page.offset


def differences_found() -> Mapping[tuple[str, str], str]:
    """Return what the dated API has in place of each field that differs, by type and field."""
    found: dict[tuple[str, str], str] = {}
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocked:
        hubspot = HubSpot()
        mount(hubspot, mocked)
        hubspot.add_account(HUB, records=RECORDS, long_history=True, merged_records=True, links=LINKS, rate_limit=0)
        for export_type, asks in ASKED.items():
            for asked in asks:
                both = (read(hubspot, export_type, api, **asked) for api in CrmApi)
                comparison = compare(*both)
                found |= {(export_type, general(path)): _shown(each) for path, each in comparison.fields.items()}
                if comparison.only_one:
                    found[export_type, "*"] = "absent"
                assert not comparison.only_other
    return found


def table() -> str:
    """Return the differences as a table in Markdown. Raises KeyError for one without a reason."""
    types: dict[tuple[str, str, str], list[str]] = {}
    for (export_type, field), shown in sorted(differences_found().items()):
        types.setdefault((field, shown, REASONS[export_type, field]), []).append(export_type)
    fields: dict[tuple[str, str, str], list[str]] = {}
    for (field, shown, reason), named in types.items():
        fields.setdefault((", ".join(named), shown, reason), []).append(_whole(field))
    rows = [f"| {named} | {', '.join(each)} | {shown} | {reason} |" for (named, shown, reason), each in fields.items()]
    return "\n".join(["| type | field | in the dated API | why |", "|---|---|---|---|", *rows])


def written_table() -> str:
    """Return the table that stands in the README."""
    found = re.search(rf"{re.escape(BEGIN)}\n(.*?)\n{re.escape(END)}", README.read_text(), re.DOTALL)
    assert found is not None, f"README.md has no {BEGIN}"
    return found[1].strip()


def fields_in_readme(export_type: str) -> set[str]:
    """Return the fields of a type that differ, by the table in the README."""
    rows = [[_listed(cell) for cell in row.strip("|").split("|")] for row in written_table().splitlines()[2:]]
    return {field for types, fields, *_ in rows if export_type in types for field in fields}


def _listed(cell: str) -> list[str]:
    return [each.strip(" `") for each in cell.split(",")]


def general(path: str) -> str:
    """Return the path with `*` for the name of a property, which may hold dots."""
    if not path.startswith("properties."):
        return path
    leaf = path.rpartition(".")[2]
    return f"properties.*.{leaf}" if leaf in _OF_PROPERTIES else "properties.*"


def _shown(each: FieldDifference) -> str:
    if each.other is ABSENT:
        return "absent"
    return "`[]`" if each.other == [] else "differs" if each.one is not ABSENT else "added"


def _whole(field: str) -> str:
    return "whole records" if field == "*" else f"`{field}`"


def main() -> None:
    text = README.read_text()
    before, _, rest = text.partition(BEGIN)
    README.write_text(f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
