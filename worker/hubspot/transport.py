"""One call to HubSpot, and what can go wrong on the way; the only user of `requests`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Literal, TypeAlias
from urllib.parse import quote

import requests
import urllib3
from pydantic import SecretStr
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from worker.errors import FatalHubSpotError, HubSpotError, RetryableHubSpotError
from worker.hubspot.answers import correlation_id_of, error_of, quota_of
from worker.rates import Quota

_CONNECT_S, _SILENCE_S = 5.0, 15.0  # to connect, and between two pieces of an answer
LONGEST_ANSWER_S = 20.0  # from the head of an answer to its last piece but one
LONGEST_CALL_S = _CONNECT_S + _SILENCE_S + LONGEST_ANSWER_S + _SILENCE_S  # the longest wait of a worker that stops
_MOST_BYTES = 256 * 1024 * 1024  # of an answer; the largest page seen had 43 MB
_PIECE = 256 * 1024
_CUT = urllib3.exceptions.ProtocolError  # an answer that ends before it is whole
_OK = 200


Api: TypeAlias = Literal["legacy", "dated", "oauth"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call that is to be made; of an address, a form and headers that may hold a secret nothing is shown.

    No text of an error that comes of it holds one of `secrets`.
    """

    api: Api
    method: str
    url: str = field(repr=False)
    params: Sequence[tuple[str, str]] = field(default=(), repr=False)
    form: list[tuple[str, str]] | None = field(default=None, repr=False)
    json: Mapping[str, object] | None = field(default=None, repr=False)
    auth: AuthBase | None = field(default=None, repr=False)
    secrets: Sequence[SecretStr]


@dataclass(frozen=True, slots=True)
class Answer:
    """A body that came with status 200, what its headers say about the account's limit, and what support asks for."""

    body: bytes
    quota: Quota | None
    correlation_id: str | None = None


Send: TypeAlias = Callable[[Call], Answer]
"""Makes a call exactly once. Raises a HubSpotError."""


class Transport:
    """The calls there are, whoever makes them; `send` may be one that watches."""

    def __init__(self, send: Send | None = None) -> None:
        self._send = send or Sessions().send

    def get(self, url: str, params: Sequence[tuple[str, str]], access_token: SecretStr, *, api: Api) -> Answer:
        """GET a body. Parameters are added to those in `url`. Raises a HubSpotError."""
        auth = _Bearer(access_token)
        return self._send(Call(api=api, method="GET", url=url, params=params, auth=auth, secrets=[access_token]))

    def get_of_token(self, url: str, token: SecretStr) -> bytes:
        """GET what `url` holds of a token, which HubSpot wants as the last part of the path. Raises a HubSpotError.

        The address is a secret then, as a call's always is treated.
        """
        quoted = quote(token.get_secret_value(), safe="")
        secrets = [token, SecretStr(quoted)]
        return self._send(Call(api="oauth", method="GET", url=f"{url}/{quoted}", secrets=secrets)).body

    def post_json(self, url: str, body: Mapping[str, object], access_token: SecretStr, *, api: Api) -> Answer:
        """POST JSON. Raises a HubSpotError."""
        auth = _Bearer(access_token)
        return self._send(Call(api=api, method="POST", url=url, json=body, auth=auth, secrets=[access_token]))

    def post_form(self, url: str, form: list[tuple[str, str]], secrets: Sequence[SecretStr]) -> bytes:
        """POST a form to the token endpoint. Raises a HubSpotError, none of whose texts holds one of `secrets`."""
        return self._send(Call(api="oauth", method="POST", url=url, form=form, secrets=secrets)).body


class Sessions:
    """Does calls, each exactly once: retries are decided elsewhere. One session a thread keeps connections alive."""

    def __init__(self) -> None:
        self._of_thread = threading.local()

    def send(self, call: Call) -> Answer:
        """Make a call. Raises a HubSpotError."""
        began_at = time.monotonic()
        try:
            with self._session().request(
                call.method,
                call.url,
                params=call.params,
                data=call.form,
                json=call.json,
                auth=call.auth,
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
        took_s = time.monotonic() - began_at
        if response.status_code != _OK:
            raise error_of(response.status_code, response.headers, content, took_s=took_s, secrets=call.secrets)
        return Answer(content, quota_of(response.headers, took_s=took_s), correlation_id_of(response.headers))

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
