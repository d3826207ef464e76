"""The token endpoints and the life of tokens."""

import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
import pytest

from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.manual_clock import ManualClock
from sandbox.fake_hubspot.messages import Answer, Request
from sandbox.fake_hubspot.oauth.grants import TOKEN_PATHS
from sandbox.fake_hubspot.oauth.token_answers import TOKEN_SHAPES, WITHOUT_REFRESH_TOKEN, WITHOUT_TOKEN

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


LATER = [path for path in TOKEN_PATHS if path != "/oauth/v1/token"]
APP = {"client_id": "app", "client_secret": "secret"}
# Of PublicAccessTokenInfoResponse, PublicRefreshTokenInfoResponse and SignedAccessToken in HubSpot's specification.
OF_BOTH = {"active", "app_id", "client_id", "hub_id", "scopes", "token", "token_type", "token_use", "user_id"}
OF_ACCESS = OF_BOTH | {"expires_in", "is_private_distribution", "signed_access_token"}
SIGNED = {
    *("appId", "appInstallId", "audience", "expiresAt", "hubId", "hublet", "installingUserId"),
    *("isPrivateDistribution", "isServiceAccount", "isUserLevel", "newSignature", "scopeToScopeGroupPks", "scopes"),
    *("signature", "trialScopeToScopeGroupPks", "trialScopes", "userId"),
}


@pytest.mark.parametrize("path", LATER)
def test_introspection_tells_every_field_that_the_specification_requires(path: str, hubspot: HubSpot) -> None:
    access = read(post(hubspot, {**APP, "token": hubspot.issue_token(99).value}, f"{path}/introspect"))
    refresh = read(post(hubspot, {**APP, "token": "refresh-99"}, f"{path}/introspect"))

    assert access.keys() == OF_ACCESS | {"user", "hub_domain"}
    assert access["signed_access_token"].keys() == SIGNED
    assert refresh.keys() == OF_BOTH | {"user", "hub_domain"}
    assert (access["token_use"], refresh["token_use"]) == ("access_token", "refresh_token")


@pytest.mark.parametrize("path", LATER)
def test_a_refresh_token_that_is_revoked_gives_no_more_and_takes_nothing_back(path: str, hubspot: HubSpot) -> None:
    token = read(post(hubspot, GRANT))["access_token"]

    assert post(hubspot, {**APP, "token": "refresh-99"}, f"{path}/revoke").status == 204

    assert read(post(hubspot, GRANT))["status"] == "BAD_REFRESH_TOKEN"
    assert contacts(hubspot, token).status == 200


def test_an_access_token_that_is_revoked_ends_alone(hubspot: HubSpot) -> None:
    ended, other = (read(post(hubspot, GRANT))["access_token"] for _ in range(2))

    for _ in range(2):
        assert post(hubspot, {**APP, "token": ended}, "/oauth/2026-03/token/revoke").status == 204

    assert [contacts(hubspot, token).status for token in (ended, other)] == [401, 200]
    assert post(hubspot, GRANT).status == 200


def test_who_revokes_has_to_be_the_app_and_may_name_what_nobody_knows(hubspot: HubSpot) -> None:
    url = "/oauth/2026-03/token/revoke"

    assert read(post(hubspot, {"token": "refresh-99"}, url))["status"] == "BAD_CLIENT_ID"
    assert post(hubspot, {**APP, "token": "nonesuch"}, url).status == 204
    assert post(hubspot, GRANT).status == 200


def test_version_one_shows_and_deletes_refresh_tokens_by_their_address(hubspot: HubSpot) -> None:
    url = "/oauth/v1/refresh-tokens/refresh-99"
    shown = hubspot.answer(Request.of("GET", url))
    statuses = [hubspot.answer(Request.of(method, url)).status for method in ("DELETE", "DELETE", "GET")]

    assert read(shown)["hub_id"] == 99
    assert statuses == [204, 404, 404]


@pytest.mark.parametrize(
    ("version", "calls"),
    [
        ("v1", ["/oauth/v1/token"]),
        ("2026-03", [f"/oauth/2026-03/token{end}" for end in ("", "/introspect", "/revoke")]),
    ],
)
def test_a_version_that_is_gone_for_an_account_answers_404_and_every_other_works(
    version: str, calls: list[str], hubspot: HubSpot
) -> None:
    hubspot.accounts[99].change({"oauth_gone": [version]})
    form = {**GRANT, "token": "refresh-99"}

    assert [post(hubspot, form, path).status for path in calls] == [404] * len(calls)
    assert post(hubspot, form, "/oauth/2026-09/token").status == 200


# Shapes of answers


@pytest.mark.parametrize("shape", TOKEN_SHAPES)
@pytest.mark.parametrize("rotates", [False, True])
def test_whatever_shape_an_answer_has_what_is_in_it_works(shape: str, *, rotates: bool, hubspot: HubSpot) -> None:
    hubspot.accounts[99].change({"grant_shape": shape, "rotate_refresh_tokens": rotates})

    answer = post(hubspot, GRANT)

    assert answer.status == 200
    token = re.search(rb'"access_?[tT]oken":"([^"]+)"', answer.body)
    assert (token is None) == (shape in WITHOUT_TOKEN)
    if token is not None:
        assert contacts(hubspot, token[1].decode()).status == 200
    again = re.search(rb'"refresh_?[tT]oken":"([^"]+)"', answer.body)
    assert (again is None) == (shape in WITHOUT_TOKEN | WITHOUT_REFRESH_TOKEN)
    sent_next = again[1].decode() if again is not None else "refresh-99"
    assert (sent_next != "refresh-99") == (rotates and again is not None)
    assert post(hubspot, {**GRANT, "refresh_token": sent_next}).status == 200


def test_a_shape_that_does_not_exist_is_refused(hubspot: HubSpot) -> None:
    with pytest.raises(msgspec.ValidationError, match="grant_shape"):
        hubspot.accounts[99].change({"grant_shape": "round"})


def test_an_account_may_keep_to_itself_which_portal_it_is(hubspot: HubSpot) -> None:
    hubspot.accounts[99].change({"grants_tell_portal": False, "information_tells_portal": False})

    granted = read(post(hubspot, GRANT))
    told = read(hubspot.answer(Request.of("GET", f"/oauth/v1/access-tokens/{granted['access_token']}")))

    assert "hub_id" not in granted
    assert "hub_id" not in told
    assert told["user_id"] == 7
