"""Scripted faults: which calls they happen to, and what happens."""

import json
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import msgspec
import pytest

from sandbox.fake_hubspot.faults.plan import RECIPE_NAMES, RecipeName
from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.manual_clock import ManualClock
from sandbox.fake_hubspot.messages import Answer, Ending, Request

Get = Callable[..., Answer]
DEALS = "/deals/v1/deal/paged"
CONTACTS = "/contacts/v1/lists/all/contacts/all"

STATUSES: dict[RecipeName, int] = {
    "ten_secondly": 429,
    "secondly": 429,
    "daily": 429,
    "migrating": 477,
    "locked": 423,
    "error_200": 200,
    "redirect": 307,
    "early_hints": 200,
    "no_content": 204,
    "multi_status": 207,
    "trickle": 200,
    "internal_json": 500,
    "internal_html": 500,
    "bad_gateway": 502,
    "unavailable": 503,
    "gateway_timeout": 504,
    "server_down": 521,
    "cloudflare_timeout": 524,
    "expired": 401,
    "unauthenticated": 401,
    "missing_scopes": 403,
    "bad_refresh_token": 400,
    "uri_too_long": 414,
    "not_found": 404,
    "html_200": 200,
    "broken_json_200": 200,
    "cut": 200,
    "reset": 0,
    "silent": 0,
    "slow": 200,
    "stuck_cursor": 200,
    "cursor_ignored": 200,
    "out_of_order": 200,
    "empty_list": 200,
    "ends_early": 200,
}


def test_every_recipe_is_tested() -> None:
    assert set(STATUSES) == set(RECIPE_NAMES)


@pytest.mark.parametrize(("recipe", "status"), STATUSES.items())
def test_a_recipe_happens_once_and_then_all_is_well_again(
    recipe: RecipeName, status: int, hubspot: HubSpot, get: Get
) -> None:
    well = get(DEALS).body

    hubspot.fail_next(recipe)

    assert get(DEALS).status == status
    assert get(DEALS).body == well


@pytest.mark.parametrize(
    ("recipe", "policy"), [("ten_secondly", "TEN_SECONDLY_ROLLING"), ("secondly", "SECONDLY"), ("daily", "DAILY")]
)
def test_a_scripted_429_has_the_body_of_its_policy(recipe: RecipeName, policy: str, hubspot: HubSpot, get: Get) -> None:
    hubspot.fail_next(recipe)

    answer = get(DEALS)

    assert json.loads(answer.body)["policyName"] == policy
    assert "retry-after" not in answer.headers


def test_a_migration_says_in_seconds_when_to_come_back(hubspot: HubSpot, get: Get) -> None:
    hubspot.fail_next("migrating", retry_after_s=3600)

    assert get(DEALS).headers["retry-after"] == "3600"


def test_html_and_broken_json_come_with_status_200(hubspot: HubSpot, get: Get) -> None:
    hubspot.fail_next("html_200")
    hubspot.fail_next("broken_json_200")

    html, broken = get(DEALS), get(DEALS)

    assert html.body.startswith(b"<html>")
    assert broken.headers["content-type"].startswith("application/json")
    with pytest.raises(json.JSONDecodeError):
        json.loads(broken.body)


def test_a_cut_answer_promises_more_than_arrives(hubspot: HubSpot, get: Get) -> None:
    hubspot.fail_next("cut")
    hubspot.fail_next("cut", cut_after=10)

    half, ten = get(DEALS), get(DEALS)

    assert half.cut_after == len(half.body) // 2
    assert ten.cut_after == 10


def test_reset_and_silent_answers_have_their_endings(hubspot: HubSpot, get: Get) -> None:
    hubspot.fail_next("reset")
    hubspot.fail_next("silent")

    assert [get(DEALS).ending for _ in range(3)] == [Ending.RESET, Ending.SILENT, Ending.COMPLETE]


def test_a_slow_answer_is_late_by_as_much_as_told(hubspot: HubSpot, get: Get) -> None:
    hubspot.fail_next("slow", delay_s=1.5)

    assert get(DEALS).delay_s == 1.5


@pytest.mark.parametrize(
    ("target", "more", "cursor"),
    [
        (f"{DEALS}?offset=931000500", "hasMore", "offset"),
        (f"{CONTACTS}?vidOffset=501", "has-more", "vid-offset"),
    ],
)
def test_a_stuck_cursor_gives_the_same_offset_again_and_says_there_is_more(
    target: str, more: str, cursor: str, hubspot: HubSpot, get: Get
) -> None:
    hubspot.fail_next("stuck_cursor")

    page = json.loads(get(target).body)

    assert (page[more], page[cursor]) == (True, int(target.partition("=")[2]))


def test_a_stuck_cursor_of_the_dated_api_repeats_after(hubspot: HubSpot, get: Get) -> None:
    hubspot.fail_next("stuck_cursor")

    page = json.loads(get("/crm/objects/2026-09/deals?after=931000500").body)

    assert page["paging"]["next"]["after"] == "931000500"


@pytest.mark.parametrize(
    ("target", "cursor"), [(CONTACTS, "vidOffset=900"), ("/crm/objects/2026-09/deals", "after=931000500")]
)
def test_a_list_that_ignores_the_cursor_begins_anew(target: str, cursor: str, hubspot: HubSpot, get: Get) -> None:
    hubspot.fail_next("cursor_ignored")

    first, second = (get(f"{target}?{cursor}").body for _ in range(2))

    assert first == get(target).body != second


@pytest.mark.parametrize(("target", "key"), [(CONTACTS, "contacts"), ("/crm/objects/2026-09/deals", "results")])
def test_a_page_out_of_order_has_everything_but_the_order(target: str, key: str, hubspot: HubSpot, get: Get) -> None:
    hubspot.fail_next("out_of_order")
    turned, real = (json.loads(get(target).body) for _ in range(2))

    assert turned[key] == real[key][::-1] != real[key]
    assert {**turned, key: real[key]} == real


_ENGAGEMENTS = "/engagements/v1/engagements/paged"


@pytest.mark.parametrize(
    ("target", "page"),
    [
        (CONTACTS, {"contacts": [], "has-more": False, "vid-offset": 0}),
        ("/companies/v2/companies/paged", {"has-more": False, "offset": 0, "companies": []}),
        (DEALS, {"deals": [], "hasMore": False, "offset": 0}),
        (_ENGAGEMENTS, {"results": [], "hasMore": False, "offset": 0}),
        ("/crm/objects/2026-09/deals?limit=2", {"results": []}),
    ],
)
def test_an_empty_list_is_that_of_an_account_without_records(
    target: str, page: object, hubspot: HubSpot, get: Get
) -> None:
    hubspot.fail_next("empty_list")
    assert json.loads(get(target).body) == page
    assert json.loads(get(target).body) != page


@pytest.mark.parametrize(
    "target",
    [f"{CONTACTS}?count=2", f"{DEALS}?limit=2", f"{_ENGAGEMENTS}?limit=2", "/crm/objects/2026-09/deals?limit=2"],
)
def test_a_list_that_ends_early_has_all_of_its_page_but_no_more(target: str, hubspot: HubSpot, get: Get) -> None:
    hubspot.fail_next("ends_early")
    short, real = (json.loads(get(target).body) for _ in range(2))
    assert not any(short.pop(name, False) for name in ("has-more", "hasMore", "paging"))
    assert any(real.pop(name, False) for name in ("has-more", "hasMore", "paging"))
    assert short == real


def test_any_status_headers_and_body_can_be_told(hubspot: HubSpot, get: Get) -> None:
    hubspot.fail_next(status=418, headers={"X-Kind": "teapot"}, body={"short": "stout"}, retry_after_s=1)
    hubspot.fail_next(status=503, body="plain")

    first, second = get(DEALS), get(DEALS)

    assert (first.status, first.body, first.headers["x-kind"]) == (418, b'{"short":"stout"}', "teapot")
    assert first.headers["retry-after"] == "1"
    assert (second.status, second.body) == (503, b"plain")


@pytest.mark.parametrize(
    "match",
    [
        {"type": "contacts"},
        {"path": "/contacts/"},
        {"account": 5},
        {"method": "POST"},
        {"page_size_over": 100},
        {"type": "notes"},
    ],
)
def test_a_fault_leaves_other_calls_alone(match: dict[str, object], hubspot: HubSpot, get: Get) -> None:
    fault = hubspot.fail_next("internal_json", **match)  # type: ignore[arg-type]  # parametrised

    assert get(f"{DEALS}?limit=100").status == 200
    assert (fault.seen, fault.fired, fault.remaining) == (0, 0, 1)


def test_pages_larger_than_told_fail_for_ever(hubspot: HubSpot, get: Get) -> None:
    hubspot.fail_next("internal_html", type="engagements", page_size_over=190, times=None)
    path = "/engagements/v1/engagements/paged?limit="

    assert [get(f"{path}{limit}").status for limit in (250, 190, 191, 100)] == [500, 200, 500, 200]


def test_faults_happen_in_the_order_they_were_scripted_one_a_call(hubspot: HubSpot, get: Get) -> None:
    hubspot.fail_next("locked", times=2)
    hubspot.fail_next("bad_gateway")

    assert [get(DEALS).status for _ in range(4)] == [423, 423, 502, 200]


def test_every_kth_call_fails_after_the_first_m(hubspot: HubSpot, get: Get) -> None:
    hubspot.fail_next("unavailable", every=3, after=2, times=2)

    assert [get(DEALS).status for _ in range(10)] == [200, 200, 200, 200, 503, 200, 200, 503, 200, 200]


def test_chance_is_the_same_in_every_run(hubspot: HubSpot, get: Get) -> None:
    def draw() -> list[int]:
        hubspot.faults.clear()
        hubspot.fail_next("unavailable", probability=0.3, seed=4, times=None)
        return [get(DEALS).status for _ in range(200)]

    first = draw()

    assert first == draw()
    assert 30 < first.count(503) < 90


def test_token_calls_can_fail_for_one_account(hubspot: HubSpot) -> None:
    hubspot.fail_next("unavailable", type="token", account=99)
    hubspot.add_account(5)
    form = {"content-type": "application/x-www-form-urlencoded"}
    grant = b"grant_type=refresh_token&client_id=a&client_secret=b&refresh_token=refresh-"

    answers = [
        hubspot.answer(Request.of("POST", "/oauth/v1/token", headers=form, body=grant + hub_id))
        for hub_id in (b"5", b"99", b"99")
    ]

    assert [answer.status for answer in answers] == [200, 503, 200]


def test_a_fault_takes_exactly_one_of_recipe_and_status(hubspot: HubSpot) -> None:
    with pytest.raises(msgspec.ValidationError, match="exactly one"):
        hubspot.fail_next()
    with pytest.raises(msgspec.ValidationError, match="exactly one"):
        hubspot.fail_next("locked", status=500)


def test_a_fault_for_a_type_that_does_not_exist_is_refused(hubspot: HubSpot) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"\$\.type"):
        hubspot.fail_next("locked", type="contact")


def test_an_error_may_come_with_200(hubspot: HubSpot, get: Get) -> None:
    hubspot.fail_next("error_200")
    body = json.loads(get(DEALS).body)
    assert (body["status"], body["message"]) == ("error", "internal error")


def test_early_hints_come_before_the_answer(hubspot: HubSpot, get: Get) -> None:
    hubspot.fail_next("early_hints")
    answer = get(DEALS)
    assert (answer.interim, answer.status) == ((103,), 200)
    assert "deals" in json.loads(answer.body)


def test_a_body_may_trickle(hubspot: HubSpot, get: Get) -> None:
    hubspot.fail_next("trickle", trickle_s=2.0)
    answer = get(DEALS)
    assert (answer.trickle_s, answer.delay_s, answer.pieces > 1) == (2.0, 0.0, True)


def test_a_retry_after_may_be_a_date_by_the_clock_of_the_answer(hubspot: HubSpot, get: Get) -> None:
    hubspot.fail_next("migrating", retry_after_s=90, retry_after_form="date")
    headers = get(DEALS).headers
    until, now = (parsedate_to_datetime(headers[name]) for name in ("retry-after", "date"))
    assert (until - now).total_seconds() == 90


def test_a_fresh_token_may_be_refused_for_seconds(hubspot: HubSpot, clock: ManualClock) -> None:
    account = hubspot.add_account(7, records={"deals": 3}, fresh_token_refused_s=5)
    token = hubspot.issue_token(account.hub_id)
    request = Request.of("GET", DEALS, headers={"Authorization": f"Bearer {token.value}"})
    assert hubspot.answer(request).status == 401
    clock.advance(5)
    assert hubspot.answer(request).status == 200
