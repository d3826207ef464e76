"""The dated search, as far as it is modelled: totals, and a limit of its own."""

import json
from typing import Any

import pytest

from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.manual_clock import ManualClock
from sandbox.fake_hubspot.messages import Answer, Request

BASE = "/crm/objects/2026-09"


@pytest.fixture
def token(hubspot: HubSpot) -> str:
    return hubspot.issue_token(99).value


def search(hubspot: HubSpot, token: str, type_: str = "contacts", **body: Any) -> Answer:  # noqa: ANN401 - JSON
    headers = {"authorization": f"Bearer {token}"}
    content = json.dumps(body).encode()
    return hubspot.answer(Request.of("POST", f"{BASE}/{type_}/search", headers=headers, body=content))


def read(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer.body
    return dict(json.loads(answer.body))


@pytest.mark.parametrize(("type_", "total"), [("contacts", 250), ("0-2", 7), ("deals", 30)])
def test_a_search_without_filters_tells_how_many_there_are(
    hubspot: HubSpot, token: str, type_: str, total: int
) -> None:
    found = read(search(hubspot, token, type_, limit=1, properties=["hs_object_id"]))

    assert found["total"] == total
    assert len(found["results"]) == 1


def test_notes_are_counted_without_other_engagements(hubspot: HubSpot, token: str) -> None:
    assert 0 < read(search(hubspot, token, "notes", limit=1))["total"] < 200


def test_a_search_goes_on_by_rows_to_its_end(hubspot: HubSpot, token: str) -> None:
    first = read(search(hubspot, token, limit=200))
    rest = read(search(hubspot, token, limit=200, after=first["paging"]["next"]["after"]))

    assert "paging" not in rest
    ids = [each["id"] for page in (first, rest) for each in page["results"]]
    assert ids == [str(each) for each in hubspot.accounts[99].records["contacts"].ids()]


@pytest.mark.parametrize(
    "body", [{"limit": 0}, {"limit": 201}, {"filterGroups": [{}]}, {"sorts": ["x"]}, {"query": "someone"}]
)
def test_what_is_not_allowed_or_not_modelled_is_refused(hubspot: HubSpot, token: str, body: dict[str, object]) -> None:
    answer = search(hubspot, token, "contacts", **body)

    assert (answer.status, json.loads(answer.body)["category"]) == (400, "VALIDATION_ERROR")


def test_searches_have_a_limit_of_five_a_second_and_count_for_no_other(
    hubspot: HubSpot, token: str, clock: ManualClock
) -> None:
    hubspot.accounts[99].change({"rate_limit": 1})
    answers = [search(hubspot, token, limit=1) for _ in range(6)]
    clock.advance(1)
    answers.append(search(hubspot, token, limit=1))

    assert [answer.status for answer in answers] == [200] * 5 + [429, 200]
    assert json.loads(answers[5].body)["policyName"] == "SECONDLY"
    assert not [name for name in answers[0].headers if "ratelimit" in name]
    assert hubspot.accounts[99].meter.recent(at=clock(), interval_s=10) == 0


def test_a_search_needs_the_scope_of_its_type(hubspot: HubSpot, token: str) -> None:
    hubspot.accounts[99].change({"scopes": ["oauth"]})

    answer = search(hubspot, token, "deals", limit=1)

    assert (answer.status, json.loads(answer.body)["category"]) == (403, "MISSING_SCOPES")
