"""Limits, scopes and unknown paths: what a data call has to pass."""

import json
from collections.abc import Callable

import pytest

from sandbox.fake_hubspot.accounts import DEFAULT_SCOPES
from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.manual_clock import ManualClock
from sandbox.fake_hubspot.messages import Answer, Request

Get = Callable[..., Answer]
DEALS = "/deals/v1/deal/paged?limit=1"


def statuses(get: Get, calls: int, *, hub_id: int = 5) -> list[int]:
    return [get(DEALS, hub_id=hub_id).status for _ in range(calls)]


def test_the_111th_call_in_ten_seconds_is_refused_without_retry_after(hubspot: HubSpot, get: Get) -> None:
    hubspot.add_account(5)

    assert statuses(get, 110) == [200] * 110
    refused = get(DEALS, hub_id=5)

    body = json.loads(refused.body)
    assert refused.status == 429
    assert (body["policyName"], body["errorType"]) == ("TEN_SECONDLY_ROLLING", "RATE_LIMIT")
    assert body["message"] == "You have reached your ten_secondly_rolling limit."
    assert "retry-after" not in refused.headers
    assert refused.headers["x-hubspot-ratelimit-remaining"] == "0"


def test_the_window_rolls(hubspot: HubSpot, get: Get, clock: ManualClock) -> None:
    hubspot.add_account(5, rate_limit=2)

    statuses(get, 1)
    clock.advance(6)
    assert statuses(get, 2) == [200, 429]
    clock.advance(4)
    assert statuses(get, 2) == [200, 429]


def test_each_account_has_its_own_limit(hubspot: HubSpot, get: Get) -> None:
    hubspot.add_account(5, rate_limit=1)
    hubspot.add_account(6, rate_limit=1)

    assert statuses(get, 2, hub_id=5) == [200, 429]
    assert statuses(get, 1, hub_id=6) == [200]


def test_answers_tell_what_is_left(hubspot: HubSpot, get: Get) -> None:
    hubspot.add_account(5)
    get(DEALS, hub_id=5)

    headers = get(DEALS, hub_id=5).headers

    assert {name: value for name, value in headers.items() if "ratelimit" in name} == {
        "x-hubspot-ratelimit-max": "110",
        "x-hubspot-ratelimit-remaining": "108",
        "x-hubspot-ratelimit-interval-milliseconds": "10000",
        "x-hubspot-ratelimit-secondly": "11",
        "x-hubspot-ratelimit-secondly-remaining": "9",
    }


def test_the_peak_counts_refused_calls_too(hubspot: HubSpot, get: Get, clock: ManualClock) -> None:
    hubspot.add_account(5, rate_limit=3)
    statuses(get, 5)
    clock.advance(20)
    statuses(get, 2)

    account = hubspot.accounts[5]
    assert (account.meter.peak_arrivals, account.meter.refused, account.counters.calls) == (5, 2, 7)


def test_without_a_limit_nothing_is_refused_and_no_header_tells_one(get: Get) -> None:
    assert statuses(get, 300, hub_id=99) == [200] * 300
    assert not any("ratelimit" in name for name in get(DEALS).headers)


def test_the_daily_limit_ends_at_midnight(hubspot: HubSpot, get: Get, clock: ManualClock) -> None:
    hubspot.add_account(5, daily_limit=2, token_lifetime_s=10**6)
    assert statuses(get, 3) == [200, 200, 429]
    assert json.loads(get(DEALS, hub_id=5).body)["policyName"] == "DAILY"

    clock.advance(86_400)

    assert statuses(get, 1) == [200]


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/contacts/v1/lists/all/contacts/all", "crm.objects.contacts.read"),
        ("/contacts/v1/lists/all/contacts/all", "content"),
        ("/companies/v2/companies/paged", "crm.objects.companies.read"),
        ("/deals/v1/deal/paged", "crm.objects.deals.read"),
        ("/engagements/v1/engagements/paged", "crm.objects.contacts.read"),
        ("/crm/objects/2026-09/notes", "crm.objects.contacts.read"),
        ("/crm/objects/2026-09/tickets", "tickets"),
        ("/crm/objects/2026-09/products", "crm.objects.products.read"),
        ("/crm/objects/2026-09/line_items", "e-commerce"),
        ("/crm/objects/2026-09/0-14", "e-commerce"),
        ("/crm/objects/2026-09/leads", "crm.objects.leads.read"),
        ("/crm/properties/2026-09/tickets", "crm.schemas.tickets.read"),
        ("/crm/pipelines/2026-09/deals", "crm.objects.deals.read"),
        ("/crm/owners/2026-09", "crm.objects.owners.read"),
        ("/crm-object-schemas/2026-09/schemas", "crm.objects.custom.read"),
    ],
)
def test_one_scope_is_enough_and_without_it_the_call_is_refused(
    path: str, scope: str, hubspot: HubSpot, get: Get
) -> None:
    hubspot.add_account(5, scopes=(scope,))
    hubspot.add_account(6, scopes=("oauth",))

    refused = get(path, hub_id=6)

    body = json.loads(refused.body)
    assert get(path, hub_id=5).status == 200
    assert (refused.status, body["category"]) == (403, "MISSING_SCOPES")
    assert scope in body["errors"][0]["context"]["requiredGranularScopes"]


def test_emails_need_a_scope_besides_that_of_contacts(hubspot: HubSpot, get: Get) -> None:
    path, statuses = "/crm/objects/2026-09/emails", []
    for scopes in (
        ["sales-email-read"],
        ["crm.objects.contacts.read"],
        ["crm.objects.contacts.read", "sales-email-read"],
    ):
        hubspot.accounts[99].change({"scopes": scopes})
        statuses.append(get(path).status)

    assert statuses == [403, 403, 200]


def test_the_scopes_of_an_accounts_further_types_are_granted_unless_it_names_its_own(hubspot: HubSpot) -> None:
    records = {"contacts": 1, "tickets": 1, "line_items": 1, "quotes": 0, "owners": 1, "cars": 1}
    plain = hubspot.add_account(5, records={"contacts": 1, "engagements": 1}).settings.scopes
    rich = hubspot.add_account(6, records=records, custom_objects=("cars",)).settings.scopes
    own = hubspot.add_account(7, records=records, custom_objects=("cars",), scopes=("oauth",)).settings.scopes

    assert plain == DEFAULT_SCOPES
    assert set(rich) - set(plain) == {
        *("crm.schemas.custom.read", "crm.objects.custom.read", "tickets", "crm.objects.line_items.read"),
        "crm.objects.owners.read",
    }
    assert own == ("oauth",)


@pytest.mark.parametrize("path", ["/", "/contacts/v1/lists", "/oauth/v9/token"])
def test_an_unknown_path_is_not_found_in_the_legacy_wording(path: str, get: Get) -> None:
    answer = get(path)

    assert answer.status == 404
    assert json.loads(answer.body)["message"] == "resource not found"
    assert set(json.loads(answer.body)) == {"status", "message", "correlationId", "requestId"}


def test_a_known_path_with_another_method_is_not_allowed(hubspot: HubSpot) -> None:
    assert hubspot.answer(Request.of("DELETE", DEALS)).status == 405


@pytest.mark.parametrize("path", [DEALS, "/nonesuch", "/oauth/v1/token"])
def test_every_answer_carries_its_correlation_id(path: str, get: Get) -> None:
    answer = get(path)

    assert answer.headers["x-hubspot-correlation-id"]
    body = json.loads(answer.body)
    assert (
        body.get("correlationId", answer.headers["x-hubspot-correlation-id"])
        == (answer.headers["x-hubspot-correlation-id"])
    )


def test_latency_of_sandbox_and_account_add_up(hubspot: HubSpot, get: Get) -> None:
    hubspot.add_account(5, latency_s=0.25)
    hubspot.latency_s = 0.5

    assert get(DEALS, hub_id=5).delay_s == 0.75


def test_answers_are_zipped_for_an_account_that_wants_it_and_a_client_that_takes_it(hubspot: HubSpot, get: Get) -> None:
    hubspot.add_account(5, records={"deals": 50}, gzip=True)
    path = "/deals/v1/deal/paged"

    zipped = get(path, hub_id=5, **{"accept-encoding": "gzip, deflate"})

    assert zipped.headers["content-encoding"] == "gzip"
    assert len(zipped.body) * 3 < len(get(path, hub_id=5).body)
    assert "content-encoding" not in get(path, hub_id=99, **{"accept-encoding": "gzip"}).headers
