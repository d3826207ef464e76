"""Transport: what every answer, and every missing answer, of HubSpot turns into."""

from __future__ import annotations

import gzip
import json
import traceback
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bson
import pytest
import requests
import responses
from bson.codec_options import CodecOptions
from fastapi.responses import JSONResponse
from pydantic import SecretStr

from api_shim.responses.schemas import JobAnswer
from tests.unit.worker.hubspot_answers import (
    BAD_REFRESH_TOKEN,
    EXPIRED,
    MISSING_SCOPES,
    OLD_BAD_REFRESH_TOKEN,
    rate_limited,
)
from worker.errors import (
    AnswerTooLargeError,
    DailyLimitError,
    FatalHubSpotError,
    HubSpotError,
    RateLimitedError,
    ReconnectRequiredError,
    RetryableHubSpotError,
    SecondlyLimitError,
    TimedOutError,
    TokenRefusedError,
)
from worker.hubspot import answer_reader, error_mapping, transport
from worker.hubspot.transport import Answer, Sessions, Transport
from worker.jobs.job import Job
from worker.jobs.mongo.documents import from_document, to_document
from worker.jobs.request import ExportRequest
from worker.jobs.status import JobKind, JobStatus
from worker.jobs.view import view_of
from worker.rate_limit.permits import FreePermit
from worker.rate_limit.quota import Quota
from worker.records.types import DEALS
from worker.settings import WorkerSettings

URL = "https://api.hubapi.com/contacts/v1/lists/all/contacts/all"
TOKEN = SecretStr("an-access-token")


def error_of(**answer: Any) -> HubSpotError:  # noqa: ANN401 - what `responses` takes
    with responses.RequestsMock() as hubspot:
        hubspot.get(URL, **answer)
        with pytest.raises(HubSpotError) as caught:
            Transport().get(URL, [], TOKEN, api="legacy")
    return caught.value


def test_a_call_carries_the_token_and_asks_for_json() -> None:
    with responses.RequestsMock() as hubspot:
        hubspot.get(URL, body=b"{}")
        assert Transport().get(URL, [("count", "10")], TOKEN, api="legacy").body == b"{}"
        sent = hubspot.calls[0].request
    assert sent.headers["Authorization"] == "Bearer an-access-token"
    assert sent.headers["Accept"] == "application/json"


def test_a_netrc_entry_does_not_replace_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine api.hubapi.com login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with responses.RequestsMock() as hubspot:
        hubspot.get(URL, body=b"{}")
        Transport().get(URL, [], TOKEN, api="legacy")
        assert hubspot.calls[0].request.headers["Authorization"] == "Bearer an-access-token"


def test_every_status_has_an_outcome() -> None:
    kinds = {
        401: TokenRefusedError,
        429: RateLimitedError,
        **dict.fromkeys((408, 423, 425, 477), RetryableHubSpotError),
    }
    for status in range(600):
        usual = FatalHubSpotError if 400 <= status < 500 else RetryableHubSpotError

        error = error_mapping.error_of(status, {}, b"", took_s=0.1)

        assert (type(error), error.status) == (kinds.get(status, usual), status)
        assert error.message


@pytest.mark.parametrize("status", [101, 103, 201, 202, 204, 205, 206, 207, 300, 301, 302, 303, 304, 307, 308])
def test_what_is_neither_the_answer_nor_a_refusal_passes(status: int) -> None:
    error = error_of(status=status, body="", headers={"Retry-After": "7", "Location": "https://elsewhere.test/"})
    assert type(error) is RetryableHubSpotError
    assert (error.status, error.retry_after_s) == (status, 7)


def test_a_batch_may_succeed_in_part_and_nothing_else() -> None:
    with responses.RequestsMock() as hubspot:
        hubspot.post(URL, status=207, json={"status": "COMPLETE", "results": [], "numErrors": 1})
        answer = Transport().post_json(URL, {"inputs": []}, TOKEN, api="dated", is_batch=True)
        with pytest.raises(RetryableHubSpotError):
            Transport().post_json(URL, {"inputs": []}, TOKEN, api="dated")
    assert answer.status == 207
    assert json.loads(answer.body)["numErrors"] == 1
    assert error_of(status=207).status == 207


def test_a_batch_leaves_with_its_permit() -> None:
    ended: list[str] = []

    class Noted(FreePermit):
        def settle(self) -> None:
            ended.append("settled")

    with responses.RequestsMock() as hubspot:
        hubspot.post(URL, json={})
        Transport().post_json(URL, {}, TOKEN, api="dated", permit=Noted())
    assert ended == ["settled"]


def test_a_redirect_is_not_followed_and_the_token_goes_nowhere_else() -> None:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as hubspot:
        hubspot.get(URL, status=307, headers={"Location": "https://elsewhere.test/"})
        elsewhere = hubspot.get("https://elsewhere.test/", body=b"{}")
        with pytest.raises(RetryableHubSpotError, match="not followed"):
            Transport().get(URL, [], TOKEN, api="legacy")
        assert elsewhere.call_count == 0


@pytest.mark.parametrize("status", [408, 423, 425, 477, 500, 502, 503, 504, 521, 522, 523, 524, 525, 526])
def test_what_may_pass_is_retryable(status: int) -> None:
    error = error_of(status=status, body="<html>busy</html>")
    assert type(error) is RetryableHubSpotError
    assert (error.status, error.body) == (status, "<html>busy</html>")


def test_the_body_of_an_error_is_read_mended_and_shown_as_it_came_where_it_is_no_json() -> None:
    page = '<p class="a\nb">C:\\x</p>'
    assert error_of(status=502, body=page).body == page
    error = error_of(status=400, body=b'\xef\xbb\xbf{"message":"no\n","correlationId":"c-7","n":NaN,"x":"\\ud83d"}')
    assert (error.message, error.correlation_id) == ("no\n", "c-7")
    assert error.body == {"message": "no\n", "correlationId": "c-7", "n": None, "x": "\ufffd"}


@pytest.mark.parametrize("status", [400, 403, 404, 405, 410, 414, 422])
def test_what_will_not_pass_is_fatal(status: int) -> None:
    assert type(error_of(status=status, json={"message": "no"})) is FatalHubSpotError


@pytest.mark.parametrize(
    ("policy", "seconds"), [("SECONDLY", 1), ("TEN_SECONDLY_ROLLING", 10), ("DAILY", None), ("SOMETHING_NEW", 10)]
)
def test_429_says_how_long_to_wait_by_its_policy(policy: str, seconds: float | None) -> None:
    error = error_of(status=429, json=rate_limited(policy))
    assert isinstance(error, RateLimitedError)
    assert error.retry_after_s == seconds
    assert isinstance(error, DailyLimitError) == (policy == "DAILY")


@pytest.mark.parametrize(
    ("message", "kind", "seconds"),
    [
        ("You have reached your daily limit.", DailyLimitError, None),
        ("You have reached your secondly limit.", SecondlyLimitError, 1),
        ("You have reached your ten_secondly_rolling limit.", RateLimitedError, 10),
        ("Slow down", RateLimitedError, 10),
    ],
)
def test_a_limit_without_a_name_is_known_by_hubspots_words(
    message: str, kind: type[HubSpotError], seconds: float | None
) -> None:
    error = error_of(status=429, json={"message": message})
    assert (type(error), error.retry_after_s) == (kind, seconds)


def test_hubspots_own_retry_after_is_taken_where_it_gives_one() -> None:
    assert error_of(status=477, headers={"Retry-After": "3600"}).retry_after_s == 3600
    assert error_of(status=429, json=rate_limited("DAILY"), headers={"Retry-After": "7"}).retry_after_s == 7


def test_a_lock_lasts_two_seconds() -> None:
    assert error_of(status=423).retry_after_s == 2


def test_a_retry_after_of_nothing_is_no_advice_to_ask_again_at_once() -> None:
    assert error_of(status=503, headers={"Retry-After": "0"}).retry_after_s is None
    assert error_of(status=429, headers={"Retry-After": "0"}).retry_after_s == 10


def test_every_answer_says_what_is_left_of_the_limit_where_hubspot_does() -> None:
    told = {
        "X-HubSpot-RateLimit-Max": "110",
        "X-HubSpot-RateLimit-Remaining": "108",
        "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
    }
    with responses.RequestsMock() as hubspot:
        hubspot.get(URL, body=b"{}", headers=told)
        quotas = [Transport().get(URL, [], TOKEN, api="legacy").quota, error_of(status=429, headers=told).quota]
    for quota in quotas:
        assert quota is not None
        assert replace(quota, took_s=None) == Quota(calls=110, remaining=108, seconds=10.0)
        assert 0 <= (quota.took_s or 0.0) < 10
    for name, nonsense in ((name, text) for name in told for text in ("", "many", "-1", "9" * 99)):
        assert error_of(status=500, headers={**told, name: nonsense}).quota is None


def test_a_retry_after_may_be_a_date_by_the_clock_of_the_answer() -> None:
    told = {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT", "Date": "Wed, 21 Oct 2026 07:26:30 GMT"}
    assert error_of(status=503, headers=told).retry_after_s == 90
    assert error_of(status=429, headers=told).retry_after_s == 90


def test_a_retry_after_that_is_neither_number_nor_date_is_left_alone() -> None:
    assert error_of(status=503, headers={"Retry-After": "tomorrow"}).retry_after_s is None


def test_401_asks_for_a_renewal() -> None:
    error = error_of(status=401, json=EXPIRED)
    assert isinstance(error, TokenRefusedError)
    assert error.correlation_id == "11111111-2222"


def test_an_error_keeps_hubspots_words_and_body() -> None:
    error = error_of(status=403, json=MISSING_SCOPES, headers={"x-hubspot-correlation-id": "from-the-header"})
    assert error.message == MISSING_SCOPES["message"]
    assert error.body == MISSING_SCOPES
    assert error.correlation_id == "from-the-header"
    assert error.details == "One of these scopes is needed: crm.objects.deals.read"


@pytest.mark.parametrize(
    "errors", [None, "x", [], [None], [{"context": []}], [{"context": {"requiredScopes": "x"}}], [{"context": {}}]]
)
def test_scopes_are_named_only_where_hubspot_names_them(errors: object) -> None:
    assert error_of(status=403, json={"message": "no", "errors": errors}).details is None


def test_414_says_what_helps() -> None:
    assert "fewer properties" in error_of(status=414, body="<html>URI Too Long</html>").message
    assert "fewer properties" in (error_of(status=414, json={"message": "URI too long"}).details or "")


def test_a_long_answer_that_is_no_json_is_cut() -> None:
    body = error_of(status=500, body="x" * 100_000).body
    assert isinstance(body, str)
    assert len(body) < 10_000


@pytest.mark.parametrize("body", [BAD_REFRESH_TOKEN, OLD_BAD_REFRESH_TOKEN])
def test_a_dead_refresh_token_needs_the_user(body: dict[str, str]) -> None:
    error = error_of(status=400, json=body)
    assert isinstance(error, ReconnectRequiredError)
    assert error.message == body["message"]


@pytest.mark.parametrize(
    "failure",
    [
        requests.ConnectionError("api.hubapi.com refused"),
        requests.ConnectTimeout("api.hubapi.com"),
        requests.ReadTimeout("api.hubapi.com"),
        requests.exceptions.ChunkedEncodingError("cut"),
        requests.exceptions.ContentDecodingError("gzip"),
    ],
)
def test_no_answer_is_retryable_and_tells_no_address(failure: requests.RequestException) -> None:
    error = error_of(body=failure)
    assert isinstance(error, RetryableHubSpotError)
    assert error.status is None
    assert "hubapi" not in error.message


def test_a_request_that_can_never_be_sent_is_fatal() -> None:
    assert isinstance(error_of(body=requests.exceptions.InvalidURL("no host")), FatalHubSpotError)


def test_a_secret_that_hubspot_repeats_is_blotted_out() -> None:
    error = error_of(status=401, json={"message": "token an-access-token is bad", "context": ["an-access-token"]})
    assert "an-access-token" not in f"{error.message} {error.body}"


def test_the_secrets_of_a_form_are_blotted_out_as_well() -> None:
    url = "https://api.hubapi.com/oauth/v1/token"
    with responses.RequestsMock() as hubspot:
        hubspot.post(url, status=400, body="refresh_token=very-secret was refused")
        with pytest.raises(FatalHubSpotError) as caught:
            Transport().post_form(url, [("refresh_token", "very-secret")], secrets=[SecretStr("very-secret")])
    assert caught.value.body == "refresh_token=[secret] was refused"


def test_a_token_that_no_header_can_carry_is_not_shown() -> None:
    error = error_of(body=ValueError("Invalid header value b'Bearer an-access-token'"))
    assert isinstance(error, FatalHubSpotError)
    assert "an-access-token" not in "".join(traceback.format_exception(error))


def test_an_answer_that_is_larger_than_any_page_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_reader, "_MOST_BYTES", 10)
    assert isinstance(error_of(status=200, body=b"more than ten bytes"), AnswerTooLargeError)


def test_answers_that_are_read_at_once_have_so_much_memory_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_reader, "_PIECE", 10)
    monkeypatch.setattr(answer_reader, "_SMALL_BYTES", 20)
    monkeypatch.setattr(answer_reader, "_MOST_BYTES_AT_ONCE", 100)
    sessions, large = Sessions(), gzip.compress(b"x" * 90)
    with responses.RequestsMock(assert_all_requests_are_fired=False) as hubspot:
        hubspot.get(URL, body=large, headers={"Content-Encoding": "gzip"})
        hubspot.get(f"{URL}/small", body=b"x" * 15)
        for _ in range(3):  # what was read to its end takes no room any more
            assert len(Transport(sessions.send).get(URL, [], TOKEN, api="legacy").body) == 90
        sessions._reader._room.take(50)  # noqa: SLF001 - another answer, half read
        with pytest.raises(AnswerTooLargeError):
            Transport(sessions.send).get(URL, [], TOKEN, api="legacy")
        assert len(Transport(sessions.send).get(f"{URL}/small", [], TOKEN, api="legacy").body) == 15
        sessions._reader._room.take(-50)  # noqa: SLF001
        assert len(Transport(sessions.send).get(URL, [], TOKEN, api="legacy").body) == 90


def test_cookies_of_one_account_do_not_reach_another() -> None:
    with responses.RequestsMock() as hubspot:
        hubspot.get(URL, body=b"{}", headers={"Set-Cookie": "session=of-the-first; Path=/"})
        calls = Transport()
        calls.get(URL, [], TOKEN, api="legacy")
        calls.get(URL, [], SecretStr("another-token"), api="legacy")
        assert "Cookie" not in hubspot.calls[1].request.headers


def test_a_refused_refresh_token_is_known_by_its_body_whatever_the_status() -> None:
    assert isinstance(error_of(status=401, json=BAD_REFRESH_TOKEN), ReconnectRequiredError)


@pytest.mark.parametrize("absurd", ["864000", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_an_absurd_retry_after_is_a_day(absurd: str) -> None:
    told = {"Retry-After": absurd, "Date": "Wed, 21 Oct 2026 07:26:30 GMT"}
    assert error_of(status=503, headers=told).retry_after_s == 86_400


@pytest.mark.parametrize(
    ("echo", "shown"),
    [
        ("a%2Fcode+with%3Dsigns", "[secret]"),
        ("a%2fcode%20with%3dsigns", "[secret]"),
        ("a%252Fcode%2520with%253Dsigns", "[secret]"),
        (r"a\/code with=signs", "[secret]"),
        ("Basic Y2xpZW50OmEvY29kZSB3aXRoPXNpZ25z", None),
    ],
)
def test_a_secret_is_blotted_out_however_it_is_written(echo: str, shown: str | None) -> None:
    code = SecretStr("a/code with=signs")
    error = error_mapping.error_of(400, {}, f"of {echo}".encode(), took_s=0.1, secrets=[code])
    assert error.body == f"of {shown}" if shown else "YS9jb2Rl" not in str(error.body)
    assert "L2NvZGUgd2l0aD1zaW" not in str(error.body)


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("0190c7a5-0b6e-7c9e-8a65-6f1a2b3c4d5e", "0190c7a5-0b6e-7c9e-8a65-6f1a2b3c4d5e"),
        ("an-access-token", None),
        ("req:an-access-token", None),
        ("two words", None),
        ("x" * 101, None),
        ("", None),
    ],
)
def test_what_is_no_correlation_id_is_not_shown_as_one(told: str, kept: str | None) -> None:
    header = {"X-HubSpot-Correlation-Id": told}
    assert error_of(status=500, headers=header).correlation_id == kept
    assert error_of(status=500, json={"message": "no", "correlationId": told}).correlation_id == kept
    with responses.RequestsMock() as hubspot:
        hubspot.get(URL, body=b"{}", headers=header)
        assert Transport().get(URL, [], TOKEN, api="legacy").correlation_id == kept


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ({"status": "error", "message": "backend gave up", "correlationId": "c-77"}, RetryableHubSpotError, "backend"),
        ({"status": "ERROR", "message": "gave up"}, RetryableHubSpotError, "gave up"),
        (rate_limited("DAILY"), DailyLimitError, "limit"),
        (rate_limited("TEN_SECONDLY_ROLLING"), RateLimitedError, "limit"),
        (EXPIRED, TokenRefusedError, "expired"),
        (MISSING_SCOPES, RetryableHubSpotError, "scopes"),
        ({"message": "hello"}, RetryableHubSpotError, "no list"),
        (["a list"], RetryableHubSpotError, "no list"),
    ],
)
def test_an_error_that_comes_with_200_is_that_error(body: object, kind: type[HubSpotError], message: str) -> None:
    error = Answer(json.dumps(body).encode(), None, "c-1").unusable("There is no list", secrets=[TOKEN])
    assert type(error) is kind
    assert error.status == 200
    assert message in error.message


def test_an_error_that_comes_with_200_is_told_in_hubspots_words_without_secrets() -> None:
    body = b'{"status":"error","message":"token an-access-token gave up","correlationId":"c-77"}'
    error = Answer(body, None, "c-1").unusable("There is no list", secrets=[TOKEN])
    assert (error.message, error.correlation_id) == ("token [secret] gave up", "c-77")
    assert "an-access-token" not in str(error.body)


def test_a_time_out_is_told_from_a_connection_that_does_not_come_about() -> None:
    assert isinstance(error_of(body=requests.ReadTimeout("late")), TimedOutError)
    assert not isinstance(error_of(body=requests.ConnectTimeout("late")), TimedOutError)


def test_the_default_patience_is_the_settings() -> None:
    assert WorkerSettings.model_fields["hubspot_timeout_seconds"].default == transport.PATIENCE_S


@pytest.mark.parametrize(
    "body",
    [
        rb'{"message":"half \ud83d of it","context":"\udc00"}',
        b'{"message":"\xff\xfe not UTF-8"}',
        b'{"message":"zero","a\\u0000b":{"$x.y":1}}',
        b'{"message":"large","n":123456789012345678901234567890}',
        b'{"message":"odd","n":NaN,"m":-Infinity}',
        b'{"message":"endless","n":1e999}',
        b'{"message":"' + b"long" * 5_000_000 + b'"}',
        b"[" * 30_000 + b"]" * 30_000,
        b'{"message":"' + b"m" * 50_000 + b'"}',
        b"",
    ],
    ids=["half", "bytes", "zero", "large", "nan", "endless", "megabytes", "deep", "message", "empty"],
)
def test_whatever_hubspot_says_can_be_stored_and_answered(body: bytes) -> None:
    error = error_of(status=500, body=body)
    document = to_document(failed_with(error))
    stored = from_document(bson.decode(bson.encode(document), CodecOptions(tz_aware=True)))
    assert stored == failed_with(error)
    assert len(bson.encode(document)) < 200_000
    assert JobAnswer(message="Job found", data=view_of(stored)).model_dump_json()
    assert JSONResponse({"message": error.message, "data": error.body}).body


def failed_with(error: HubSpotError) -> Job:
    now = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
    running = Job(
        job_id="j1",
        account_id="a1",
        owner="u1",
        export_type=DEALS,
        kind=JobKind.EXPORT,
        request=ExportRequest(page_size=250, params=(("a.b", "1"), ("$c", "2"), ("a.b", "3"))),
        status=JobStatus.RUNNING,
        created_at=now,
        updated_at=now,
    )
    return running.fail(error, at=now)
