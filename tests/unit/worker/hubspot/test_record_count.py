"""HubSpot's own count of records, which engagements have one of for each kind."""

from __future__ import annotations

import pytest
import responses
from pydantic import SecretStr

from worker.errors import FatalHubSpotError, RetryableHubSpotError
from worker.hubspot.record_count import SearchTotals
from worker.hubspot.transport import Transport
from worker.records.types import CONTACTS, NOTES

OBJECTS = "https://api.hubapi.com/crm/objects/2026-09"
TOKEN = SecretStr("token")
COUNTS = {"notes": 7, "calls": 20, "emails": 300, "meetings": 0, "tasks": 5}


def counted(network: responses.RequestsMock, statuses: dict[str, int], *, kinds: tuple[str, ...] = (*COUNTS,)) -> int:
    for kind, total in COUNTS.items():
        network.post(f"{OBJECTS}/{kind}/search", json={"total": total}, status=statuses.get(kind, 200))
    return SearchTotals(transport=Transport(), objects_url=OBJECTS, notes_kinds=kinds).count(NOTES, TOKEN)


def test_engagements_are_those_of_all_kinds(mocked: responses.RequestsMock) -> None:
    assert counted(mocked, {}) == 332


def test_engagements_are_those_of_the_kinds_that_the_operator_wants(mocked: responses.RequestsMock) -> None:
    assert counted(mocked, {}, kinds=("notes", "tasks")) == 12


def test_a_kind_that_hubspot_refuses_counts_none(mocked: responses.RequestsMock) -> None:
    assert counted(mocked, {"emails": 403, "meetings": 404}) == 32


def test_with_every_kind_refused_there_is_no_count(mocked: responses.RequestsMock) -> None:
    with pytest.raises(FatalHubSpotError):
        counted(mocked, dict.fromkeys(COUNTS, 403))


def test_a_kind_that_cannot_be_counted_now_leaves_the_sum_unknown(mocked: responses.RequestsMock) -> None:
    with pytest.raises(RetryableHubSpotError):
        counted(mocked, {"tasks": 500})


def test_other_types_have_one_count(mocked: responses.RequestsMock) -> None:
    mocked.post(f"{OBJECTS}/contacts/search", json={"total": 3})
    assert SearchTotals(transport=Transport(), objects_url=OBJECTS).count(CONTACTS, TOKEN) == 3
