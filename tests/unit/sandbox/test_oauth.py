"""The token endpoints and the life of tokens."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from sandbox.portal.hubspot import HubSpot
from sandbox.portal.manual_clock import ManualClock
from sandbox.portal.messages import Answer, Request
from sandbox.portal.oauth import TOKEN_PATHS

FORM = {"content-type": "application/x-www-form-urlencoded"}
GRANT = {
    "grant_type": "refresh_token",
    "client_id": "app",
    "client_secret": "secret",
    "refresh_token": "refresh-99",
}


def post(hubspot: HubSpot, grant: dict[str, str], path: str = "/oauth/v1/token") -> Answer:
    return hubspot.answer(Request.of("POST", path, headers=FORM, body=urlencode(grant).encode()))


def read(answer: Answer) -> dict[str, Any]:
    return dict(json.loads(answer.body))


def contacts(hubspot: HubSpot, token: str) -> Answer:
    headers = {"Authorization": f"Bearer {token}"}
    return hubspot.answer(Request.of("GET", "/contacts/v1/lists/all/contacts/all", headers=headers))


@pytest.mark.parametrize("path", TOKEN_PATHS)
def test_a_refresh_token_gives_an_access_token_that_works(path: str, hubspot: HubSpot) -> None:
    granted = read(post(hubspot, GRANT, path))

    assert granted.pop("access_token")
    assert granted == {
        "token_type": "bearer",
        "token_use": "access_token",
        "refresh_token": "refresh-99",
        "expires_in": 1800,
        "hub_id": 99,
        "user_id": 7,
        "scopes": list(hubspot.accounts[99].settings.scopes),
    }
    assert contacts(hubspot, read(post(hubspot, GRANT, path))["access_token"]).status == 200


@pytest.mark.parametrize(
    ("changes", "error", "status"),
    [
        ({"refresh_token": "nonesuch"}, "invalid_grant", "BAD_REFRESH_TOKEN"),
        ({"refresh_token": ""}, "invalid_grant", "BAD_REFRESH_TOKEN"),
        ({"grant_type": "password"}, "unsupported_grant_type", "BAD_GRANT_TYPE"),
        ({"grant_type": ""}, "invalid_request", "BAD_GRANT_TYPE"),
        ({"client_id": ""}, "invalid_client", "BAD_CLIENT_ID"),
        ({"client_secret": ""}, "invalid_client", "BAD_CLIENT_SECRET"),
    ],
)
def test_a_wrong_grant_is_refused_with_both_standard_and_own_fields(
    changes: dict[str, str], error: str, status: str, hubspot: HubSpot
) -> None:
    answer = post(hubspot, {**GRANT, **changes})

    body = read(answer)
    assert answer.status == 400
    assert (body["error"], body["status"]) == (error, status)
    assert body["error_description"] == body["message"]


def test_a_refresh_token_belongs_to_the_app_it_was_issued_to(hubspot: HubSpot) -> None:
    hubspot.add_account(5, client_id="another app")

    answer = post(hubspot, {**GRANT, "refresh_token": "refresh-5"})

    assert read(answer)["message"] == "refresh token was not issued to this client"


def test_only_version_one_takes_the_query_string(hubspot: HubSpot) -> None:
    statuses = {path: post(hubspot, {}, f"{path}?{urlencode(GRANT)}").status for path in TOKEN_PATHS}

    assert statuses == dict.fromkeys(TOKEN_PATHS, 400) | {"/oauth/v1/token": 200}


def test_a_json_body_is_not_a_form(hubspot: HubSpot) -> None:
    headers = {"content-type": "application/json"}
    answer = hubspot.answer(Request.of("POST", "/oauth/v1/token", headers=headers, body=json.dumps(GRANT).encode()))

    assert answer.status == 400


def test_rotation_gives_a_new_refresh_token_and_refuses_the_old_one(hubspot: HubSpot) -> None:
    hubspot.add_account(5, rotate_refresh_tokens=True)
    first = read(post(hubspot, {**GRANT, "refresh_token": "refresh-5"}))["refresh_token"]

    assert first != "refresh-5"
    assert post(hubspot, {**GRANT, "refresh_token": "refresh-5"}).status == 400
    assert post(hubspot, {**GRANT, "refresh_token": first}).status == 200


def test_a_revoked_refresh_token_is_refused(hubspot: HubSpot) -> None:
    hubspot.tokens.revoke(99)

    assert read(post(hubspot, GRANT))["status"] == "BAD_REFRESH_TOKEN"


def test_a_code_is_good_once_and_for_its_redirect_uri(hubspot: HubSpot) -> None:
    code = hubspot.tokens.issue_code(99, redirect_uri="https://app.test/cb").value
    grant = {**GRANT, "grant_type": "authorization_code", "code": code}

    assert read(post(hubspot, {**grant, "redirect_uri": "https://evil.test"}))["error"] == "invalid_grant"
    assert read(post(hubspot, {**grant, "redirect_uri": "https://app.test/cb"}))["refresh_token"] == "refresh-99"
    assert read(post(hubspot, {**grant, "redirect_uri": "https://app.test/cb"}))["status"] == "BAD_AUTH_CODE"


def test_an_old_code_is_expired(hubspot: HubSpot, clock: ManualClock) -> None:
    code = hubspot.tokens.issue_code(99, redirect_uri=None).value
    clock.advance(601)

    answer = post(hubspot, {**GRANT, "grant_type": "authorization_code", "code": code})

    assert read(answer)["status"] == "EXPIRED_AUTH_CODE"


def test_an_access_token_lives_until_its_lifetime_ends_to_the_second(hubspot: HubSpot, clock: ManualClock) -> None:
    token = read(post(hubspot, GRANT))["access_token"]

    clock.advance(1799.9)
    assert contacts(hubspot, token).status == 200
    clock.advance(42.2)
    answer = contacts(hubspot, token)

    body = read(answer)
    assert answer.status == 401
    assert body["category"] == "EXPIRED_AUTHENTICATION"
    assert body["message"] == "The OAuth token used to make this call expired 42 second(s) ago."
    assert body["context"] == {"expire time": ["2027-01-15T08:30:00.000Z"]}


def test_tokens_of_one_account_can_be_ended_at_once(hubspot: HubSpot) -> None:
    hubspot.add_account(5)
    ours, theirs = hubspot.issue_token(99).value, hubspot.issue_token(5).value

    assert hubspot.tokens.expire(99) == 1

    assert read(contacts(hubspot, ours))["category"] == "EXPIRED_AUTHENTICATION"
    assert contacts(hubspot, theirs).status == 200


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer nonesuch", "Basic abc"])
def test_a_missing_or_unknown_token_gets_invalid_authentication(header: str, hubspot: HubSpot) -> None:
    request = Request.of("GET", "/deals/v1/deal/paged", headers={"authorization": header})

    answer = hubspot.answer(request)

    assert answer.status == 401
    assert read(answer)["category"] == "INVALID_AUTHENTICATION"
    assert answer.headers["x-hubspot-auth-failure"] == "401 Unauthorized"


def test_token_information_tells_whose_a_live_token_is(hubspot: HubSpot, clock: ManualClock) -> None:
    token = hubspot.issue_token(99).value
    request = Request.of("GET", f"/oauth/v1/access-tokens/{token}")
    clock.advance(100)

    live = read(hubspot.answer(request))
    clock.advance(1700)

    assert (live["hub_id"], live["user_id"], live["expires_in"]) == (99, 7, 1700)
    assert hubspot.answer(request).status == 404


# The page of consent


def page(hubspot: HubSpot, **changes: str) -> Answer:
    asked = {"client_id": "app", "redirect_uri": "https://app.test/cb?a=1", "scope": "oauth", "state": "s", **changes}
    query = urlencode({name: value for name, value in asked.items() if value})
    return hubspot.answer(Request.of("GET", f"/oauth/authorize?{query}"))


def sent_back(answer: Answer) -> dict[str, str]:
    assert answer.status == 302, answer.body
    location = answer.headers["location"]
    assert location.startswith("https://app.test/cb?a=1&")
    return dict(parse_qsl(urlsplit(location).query))


def test_the_page_of_consent_sends_back_a_code_that_gives_tokens(hubspot: HubSpot) -> None:
    told = sent_back(page(hubspot))
    grant = {**GRANT, "grant_type": "authorization_code", "code": told["code"]}

    granted = read(post(hubspot, {**grant, "redirect_uri": "https://app.test/cb?a=1"}))

    assert told["state"] == "s"
    assert (granted["hub_id"], granted["refresh_token"]) == (99, "refresh-99")


def test_the_user_picks_the_account(hubspot: HubSpot) -> None:
    hubspot.add_account(5)
    code = sent_back(page(hubspot, account="5"))["code"]
    grant = {**GRANT, "grant_type": "authorization_code", "code": code, "redirect_uri": "https://app.test/cb?a=1"}

    assert read(post(hubspot, grant))["hub_id"] == 5


def test_a_user_who_does_not_consent_is_sent_back_without_a_code(hubspot: HubSpot) -> None:
    hubspot.accounts[99].change({"consents": False})

    assert sent_back(page(hubspot)) == {
        "a": "1",
        "error": "access_denied",
        "error_description": "User denied access",
        "state": "s",
    }


@pytest.mark.parametrize(
    "changes", [{"redirect_uri": ""}, {"redirect_uri": "nowhere"}, {"scope": ""}, {"account": "7"}, {"account": "x"}]
)
def test_a_page_with_a_wrong_address_sends_nobody_anywhere(changes: dict[str, str], hubspot: HubSpot) -> None:
    answer = page(hubspot, **changes)

    assert (answer.status, answer.headers["content-type"]) == (400, "text/html;charset=utf-8")


def test_a_page_for_an_app_that_the_account_does_not_know_is_none(hubspot: HubSpot) -> None:
    hubspot.accounts[99].change({"client_id": "another"})

    assert page(hubspot).status == 400


# Introspection


@pytest.mark.parametrize("path", [path for path in TOKEN_PATHS if path != "/oauth/v1/token"])
def test_later_versions_tell_about_a_token_in_a_body_and_say_whether_it_lives(
    path: str, hubspot: HubSpot, clock: ManualClock
) -> None:
    app = {"client_id": "app", "client_secret": "secret", "token_type_hint": "access_token"}
    form = {**app, "token": hubspot.issue_token(99).value}

    live = read(post(hubspot, form, f"{path}/introspect"))
    clock.advance(1800)

    assert (live["active"], live["hub_id"], live["user"]) == (True, 99, "user7@example.test")
    assert read(post(hubspot, form, f"{path}/introspect")) == {"active": False}
    assert read(post(hubspot, {**form, "client_secret": ""}, f"{path}/introspect"))["status"] == "BAD_CLIENT_SECRET"


@pytest.mark.parametrize(
    "target", ["/oauth/v1/access-tokens/{token}", "/oauth/2026-09/token/introspect", "/oauth/v1/token"]
)
def test_a_call_about_a_token_or_a_code_counts_as_one_of_its_account(target: str, hubspot: HubSpot) -> None:
    token = hubspot.issue_token(99).value
    code = hubspot.tokens.issue_code(99, redirect_uri=None).value
    if target.startswith("/oauth/v1/access"):
        hubspot.answer(Request.of("GET", target.format(token=token)))
    else:
        post(hubspot, {"token": token, "code": code}, target)

    assert [call.hub_id for call in hubspot.journal.calls] == [99]
