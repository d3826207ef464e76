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
SCOPES = ["oauth", "crm.objects.contacts.read", "crm.objects.companies.read", "crm.objects.deals.read", "tickets"]
SETTINGS = WorkerSettings.model_validate({"hubspot_client_id": "id", "hubspot_client_secret": "secret"})

Records = dict[int, dict[str, Any]]


@pytest.fixture
def hubspot() -> Iterator[HubSpot]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as network:
        hubspot = HubSpot()
        records = {"contacts": 500, "companies": 100, "deals": 100, "engagements": ENGAGEMENTS}
        hubspot.add_account(HUB, records=records, rate_limit=0, scopes=[*SCOPES, "sales-email-read"])
        mount(hubspot, network)
        yield hubspot


def client(hubspot: HubSpot) -> CrmSource:
    endpoints, objects_url = legacy_endpoints(SETTINGS), SETTINGS.hubspot_objects_endpoint
    legacy = LegacyClient(transport=Transport(), endpoints=endpoints, objects_url=objects_url)
    dated = DatedClient(transport=Transport(), objects_url=objects_url, legacy=endpoints)
    return CrmClient(legacy=legacy, dated=dated)


def read(hubspot: HubSpot, api: CrmApi, **query: Any) -> Records:  # noqa: ANN401 - of a query
    """Read all engagements, from page to page."""
    source, token = client(hubspot), SecretStr(hubspot.issue_token(HUB).value)
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
