"""Engagements from the dated API beside the legacy feed of the same account: equal, but for what is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import responses
from pydantic import SecretStr

from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.transport.mounting import mount
from worker.export.interfaces import CrmSource, PageQuery
from worker.hubspot.client import CrmClient, DatedClient, LegacyClient
from worker.hubspot.endpoints import legacy_endpoints
from worker.hubspot.transport import Transport
from worker.records.crm_api import CrmApi
from worker.records.types import NOTES
from worker.settings import WorkerSettings

HUB = 62515
ENGAGEMENTS = 430
SCOPES = ("oauth", "crm.objects.contacts.read", "crm.objects.companies.read", "crm.objects.deals.read", "tickets")
SETTINGS = WorkerSettings.model_validate({"hubspot_client_id": "id", "hubspot_client_secret": "secret"})

Records = dict[int, dict[str, Any]]


@pytest.fixture
def hubspot() -> Iterator[HubSpot]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as network:
        hubspot = HubSpot()
        connect(hubspot, *SCOPES, "sales-email-read")
        mount(hubspot, network)
        yield hubspot


def connect(hubspot: HubSpot, *scopes: str) -> None:
    hubspot.add_account(
        HUB,
        records={"contacts": 500, "companies": 100, "deals": 100, "engagements": ENGAGEMENTS},
        rate_limit=0,
        scopes=scopes,
    )


def client() -> CrmSource:
    endpoints, objects_url = legacy_endpoints(SETTINGS), SETTINGS.hubspot_objects_endpoint
    legacy = LegacyClient(transport=Transport(), endpoints=endpoints, objects_url=objects_url)
    dated = DatedClient(transport=Transport(), objects_url=objects_url, legacy=endpoints)
    return CrmClient(legacy=legacy, dated=dated)


def read(hubspot: HubSpot, api: CrmApi, **query: Any) -> Records:  # noqa: ANN401 - of a query
    """Read all engagements, from page to page."""
    source, token = client(), SecretStr(hubspot.issue_token(HUB).value)
    found: Records = {}
    offset, has_more = None, True
    while has_more:
        asked = PageQuery(
            export_type=NOTES, count=100, offset=offset, api=api, hub_id=HUB, reader="job", kept_for_s=60, **query
        )
        page = source.fetch_page(asked, token).page
        offset, has_more = page.offset, page.has_more
        for record in msgspec.json.decode(page.body)["results"]:
            found[record["engagement"]["id"]] = record
    return found


def test_every_kind_is_as_the_legacy_feed_has_it(hubspot: HubSpot) -> None:
    legacy, dated = read(hubspot, CrmApi.LEGACY), read(hubspot, CrmApi.DATED)
    known = {each: record for each, record in legacy.items() if record["engagement"]["type"] != "PUBLISHING_TASK"}

    assert len(legacy) == ENGAGEMENTS
    assert {record["engagement"]["type"] for record in known.values()} == {"NOTE", "CALL", "EMAIL", "MEETING", "TASK"}
    assert list(dated) == list(known)
    for each, record in known.items():
        assert comparable(dated[each]) == comparable(record)


def comparable(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record without what the dated API does not tell, or the feed tells in another place."""
    reminders = [
        {name: value for name, value in task.items() if name != "uuid"} for task in record.get("scheduledTasks", [])
    ]
    metadata = {name: value for name, value in record["metadata"].items() if name != "reminders"}
    return {**record, "metadata": metadata, "scheduledTasks": reminders}


def test_without_the_scope_of_emails_all_other_kinds_come(hubspot: HubSpot) -> None:
    legacy = read(hubspot, CrmApi.LEGACY)
    connect(hubspot, *SCOPES)

    fetched = client().fetch_page(
        PageQuery(export_type=NOTES, count=100, offset=None, api=CrmApi.DATED),
        SecretStr(hubspot.issue_token(HUB).value),
    )

    kinds = {each["engagement"]["type"] for each in msgspec.json.decode(fetched.page.body)["results"]}
    assert kinds == {each["engagement"]["type"] for each in legacy.values()} - {"EMAIL", "PUBLISHING_TASK"}
    assert set(fetched.findings.left_out) == {"emails"}
    assert "sales-email-read" in fetched.findings.left_out["emails"]


def test_properties_that_a_caller_names_come_beside_the_documented_shape(hubspot: HubSpot) -> None:
    plain = read(hubspot, CrmApi.DATED)
    named = read(hubspot, CrmApi.DATED, properties=("hs_call_duration", "hs_timestamp", "nonsense"))

    calls = [each for each in named.values() if each["engagement"]["type"] == "CALL"]
    assert calls
    for each in calls:
        at = str(each["engagement"]["timestamp"])
        duration = str(each["metadata"]["durationMilliseconds"])
        assert each["properties"] == {"hs_call_duration": {"value": duration}, "hs_timestamp": {"value": at}}
    assert {each: {**record, "properties": {}} for each, record in named.items()} == {
        each: {**record, "properties": {}} for each, record in plain.items()
    }


def test_more_properties_than_an_address_holds_are_read_by_ids_and_give_the_same(hubspot: HubSpot) -> None:
    many = tuple(f"custom_property_with_a_long_name_{number:04}" for number in range(450))
    plain, read_by_ids = (
        read(hubspot, CrmApi.DATED, properties=names) for names in (("hs_timestamp",), (*many, "hs_timestamp"))
    )

    assert read_by_ids == plain
