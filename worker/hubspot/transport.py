"""One call to HubSpot: status and body -> our error; the only user of `requests`."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from http.cookiejar import DefaultCookiePolicy
from itertools import accumulate
from typing import NoReturn

import requests
import urllib3
from pydantic import SecretStr
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from worker.errors import (
    FatalHubSpotError,
    HubSpotError,
    JsonValue,
    RateLimitedError,
    ReconnectRequiredError,
    RetryableHubSpotError,
    TokenRefusedError,
)
from worker.pages import without_half_characters

_CONNECT_S, _SILENCE_S = 5.0, 15.0  # to connect, and between two pieces of an answer
LONGEST_ANSWER_S = 20.0  # from the head of an answer to its last piece but one
LONGEST_CALL_S = _CONNECT_S + _SILENCE_S + LONGEST_ANSWER_S + _SILENCE_S  # what a lease has to outlive
_MOST_BYTES = 256 * 1024 * 1024  # of an answer; the largest page seen had 43 MB
_PIECE = 256 * 1024
_MOST_DIGITS = 6  # of a Retry-After, in seconds: eleven days
_MOST_TEXT = 2_000  # of a message or a body that is not JSON, in characters
_MOST_JSON = 64_000  # of a body that is, in characters
_DEEPEST_JSON = 50
_NESTING = {"[": 1, "{": 1, "]": -1, "}": -1}

# HubSpot documents no Retry-After on 429. Its own SDK waits 10 s for the rolling limit and 1 s for the secondly one;
# the daily one ends at midnight in the account's time zone, so it is looked at again every hour.
_RATE_LIMIT_PAUSES_S = {"SECONDLY": 1.0, "TEN_SECONDLY_ROLLING": 10.0, "DAILY": 3600.0}
_RETRYABLE_STATUSES = frozenset({408, 423, 425, 477})
_CUT = urllib3.exceptions.ProtocolError  # an answer that ends before it is whole
_OK, _UNAUTHORIZED, _URI_TOO_LONG, _TOO_MANY_REQUESTS, _SERVER_ERRORS = 200, 401, 414, 429, 500


class Transport:
    """Does calls, each exactly once: retries are decided elsewhere. One session a thread keeps connections alive."""

    def __init__(self) -> None:
        self._of_thread = threading.local()

    def get(self, url: str, params: Sequence[tuple[str, str]], access_token: SecretStr) -> bytes:
        """GET a body. Parameters are added to those in `url`. Raises a HubSpotError."""
        return self._call("GET", url, params=params, auth=_Bearer(access_token), secrets=[access_token])

    def post_form(self, url: str, form: list[tuple[str, str]], secrets: Sequence[SecretStr]) -> bytes:
        """POST a form to the token endpoint. Raises a HubSpotError, none of whose texts holds one of `secrets`."""
        return self._call("POST", url, data=form, secrets=secrets)

    def _call(  # noqa: PLR0913 - the parts of a request
        self,
        method: str,
        url: str,
        *,
        secrets: Sequence[SecretStr],
        params: Sequence[tuple[str, str]] = (),
        data: list[tuple[str, str]] | None = None,
        auth: AuthBase | None = None,
    ) -> bytes:
        try:
            with self._session().request(
                method,
                url,
                params=params,
                data=data,
                auth=auth,
                timeout=(_CONNECT_S, _SILENCE_S),
                allow_redirects=False,
                stream=True,
            ) as response:
                content = _read(response)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise _no_answer(error) from None  # its text may hold the address or a header, and with it the token
        except ValueError:
            raise FatalHubSpotError(
                "The request to HubSpot cannot be sent: a header or the address is not valid"
            ) from None
        if response.status_code != _OK:
            raise _refusal(response, content, secrets)
        return content

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._of_thread, "session", None)
        if session is None:
            session = self._of_thread.session = requests.Session()
            session.headers.update({"Accept": "application/json", "User-Agent": "hubspot-export"})
            session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # one session serves many accounts
            for scheme in ("https://", "http://"):
                session.mount(scheme, HTTPAdapter(pool_connections=4, pool_maxsize=4, max_retries=0))
        return session


class _Bearer(AuthBase):
    """The access token as a header, set here so that an entry in a `.netrc` cannot take its place."""

    def __init__(self, token: SecretStr) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        return request


def _read(response: requests.Response) -> bytes:
    """Read a body to its end. Raises RetryableHubSpotError when it takes too long, FatalHubSpotError when too large."""
    give_up_at, size, pieces = time.monotonic() + LONGEST_ANSWER_S, 0, []
    # `read1` gives what has come; `iter_content` waits for a whole piece, and so for ever on an answer that drips.
    while piece := response.raw.read1(_PIECE, decode_content=True):
        pieces.append(piece)
        size += len(piece)
        if size > _MOST_BYTES:
            raise FatalHubSpotError("HubSpot's answer is too large")
        if time.monotonic() > give_up_at:
            raise RetryableHubSpotError("HubSpot's answer does not come to an end")
    return b"".join(pieces)


def _no_answer(error: requests.RequestException | urllib3.exceptions.HTTPError) -> HubSpotError:
    """Tell a connection that failed from a request that can never be sent; addresses stay out of the text."""
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return RetryableHubSpotError("HubSpot did not answer in time")
    if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError | _CUT):
        return RetryableHubSpotError("The connection to HubSpot broke")
    if isinstance(error, requests.exceptions.ContentDecodingError | urllib3.exceptions.DecodeError):
        return RetryableHubSpotError("HubSpot's answer cannot be decoded")
    return FatalHubSpotError(f"The request to HubSpot cannot be sent ({type(error).__name__})")


def _refusal(response: requests.Response, content: bytes, secrets: Sequence[SecretStr]) -> HubSpotError:
    """Make of an answer that is not a success the error that says what to do about it."""
    body = _body_of(content, secrets)
    kind, retry_after_s = _kind_of(response, body)
    return kind(
        _message_of(response.status_code, body),
        status=response.status_code,
        body=body,
        correlation_id=_field(body, "correlationId") or response.headers.get("x-hubspot-correlation-id"),
        retry_after_s=retry_after_s,
    )


def _kind_of(response: requests.Response, body: JsonValue) -> tuple[type[HubSpotError], float | None]:
    status = response.status_code
    if _field(body, "error") == "invalid_grant" or _field(body, "status") == "BAD_REFRESH_TOKEN":
        return ReconnectRequiredError, None
    if status == _TOO_MANY_REQUESTS:
        policy = _field(body, "policyName") or "TEN_SECONDLY_ROLLING"
        return RateLimitedError, _retry_after_s(response) or _RATE_LIMIT_PAUSES_S.get(policy, 10.0)
    if status >= _SERVER_ERRORS or status in _RETRYABLE_STATUSES:
        return RetryableHubSpotError, _retry_after_s(response)
    if status == _UNAUTHORIZED:
        return TokenRefusedError, None
    return FatalHubSpotError, None


def _retry_after_s(response: requests.Response) -> float | None:
    """Read Retry-After in its form of seconds, the only one HubSpot documents (status 477)."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS else None


def _message_of(status: int, body: JsonValue) -> str:
    message = _field(body, "message") or _field(body, "error_description")
    if message is not None:
        return message[:_MOST_TEXT]
    if status == _URI_TOO_LONG:
        return "HubSpot refuses the address as too long: ask for fewer properties"
    return f"HubSpot answered with status {status}"


def _body_of(content: bytes, secrets: Sequence[SecretStr]) -> JsonValue:
    """Give the body as JSON, or as the beginning of its text; a secret that HubSpot repeats is blotted out.

    Whatever comes can be stored in the job and answered to a client: no half characters, no NaN, nothing endless.
    """
    text = without_half_characters(content).decode("utf-8", errors="replace")
    for secret in secrets:
        text = text.replace(secret.get_secret_value(), "[secret]")
    if len(text) > _MOST_JSON or _depth(text) > _DEEPEST_JSON:
        return text[:_MOST_TEXT]
    try:
        body: JsonValue = json.loads(text, parse_constant=_refuse_constant)
    except ValueError:
        return text[:_MOST_TEXT] or None
    return body


def _depth(text: str) -> int:
    """Give the deepest nesting there can be; brackets inside of strings count as well."""
    return max(accumulate(_NESTING.get(character, 0) for character in text), default=0)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _field(body: JsonValue, name: str) -> str | None:
    value = body.get(name) if isinstance(body, dict) else None
    return value if isinstance(value, str) and value else None
