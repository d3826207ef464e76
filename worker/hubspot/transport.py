"""One call to HubSpot, and what can go wrong on the way; here the errors of `requests` become ours."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias
from urllib.parse import quote

import requests
import urllib3
from pydantic import SecretStr

from worker.errors import (
    CallAbandonedError,
    FatalHubSpotError,
    HubSpotError,
    RetryableHubSpotError,
    TimedOutError,
)
from worker.hubspot.answer_reader import AnswerReader
from worker.hubspot.error_mapping import correlation_id_of, error_of, error_within, quota_of
from worker.hubspot.prepared import RequestPreparer
from worker.hubspot.wire import WireAdapter
from worker.rate_limit.permits import FREE_PERMIT, Permit
from worker.rate_limit.quota import Quota
from worker.records.page import Mend
from worker.settings import LONGEST_PATIENCE_S

PATIENCE_S = 100.0
"""For one answer, its body included. HubSpot itself gives a call up after that time, with status 524."""

CONNECT_S = 5.0
LONGEST_CALL_S = CONNECT_S + LONGEST_PATIENCE_S
"""What no call takes longer than, whatever the patience that is set."""

GRACE_S = 5.0
"""How long a worker that stops waits for the answers to calls under way that others can make again."""

_CUT = urllib3.exceptions.ProtocolError  # an answer that ends before it is whole
_OK = 200
_MULTI_STATUS = 207


Api: TypeAlias = Literal["legacy", "dated", "oauth"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call that is to be made; of an address, a form and headers that may hold a secret nothing is shown.

    No text of an error that comes of it holds one of `secrets`. One that `may_be_cut` is not waited for any more when
    the worker stops: nothing is lost with its answer. It leaves with its `permit` or not at all. Of a batch that
    `may_be_partial` HubSpot answers 207 where some of it failed, and says which.
    """

    api: Api
    method: str
    url: str = field(repr=False)
    params: Sequence[tuple[str, str]] = field(default=(), repr=False)
    form: list[tuple[str, str]] | None = field(default=None, repr=False)
    json: Mapping[str, object] | None = field(default=None, repr=False)
    token: SecretStr | None = field(default=None, repr=False)
    secrets: Sequence[SecretStr]
    may_be_cut: bool = True
    may_be_partial: bool = False
    permit: Permit = field(default=FREE_PERMIT, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """A body that came with success, what its headers say about the account's limit, and what support asks for.

    `mends` is what was mended already of a body that was put together from several.
    """

    body: bytes
    quota: Quota | None
    correlation_id: str | None = None
    mends: tuple[Mend, ...] = ()
    status: int = _OK

    def unusable(self, reason: str, *, secrets: Sequence[SecretStr]) -> HubSpotError:
        """Make the error that it is: HubSpot's own where it is one in words, else one that says the `reason`."""
        return error_within(
            self.body, reason=reason, quota=self.quota, correlation_id=self.correlation_id, secrets=secrets
        )


Send: TypeAlias = Callable[[Call], Answer]
"""Makes a call exactly once. Raises a HubSpotError."""


class Transport:
    """The calls there are, whoever makes them; `send` may be one that watches."""

    def __init__(self, send: Send | None = None) -> None:
        self._send = send or Sessions().send

    def get(
        self,
        url: str,
        params: Sequence[tuple[str, str]],
        access_token: SecretStr,
        *,
        api: Api,
        permit: Permit = FREE_PERMIT,
    ) -> Answer:
        """GET a body. Parameters are added to those in `url`. Raises a HubSpotError, PermitExpiredError."""
        return self._send(
            Call(
                api=api,
                method="GET",
                url=url,
                params=params,
                token=access_token,
                secrets=[access_token],
                permit=permit,
            )
        )

    def get_of_token(self, url: str, token: SecretStr) -> bytes:
        """GET what `url` holds of a token, which HubSpot wants as the last part of the path. Raises a HubSpotError.

        The address is a secret then, as a call's always is treated.
        """
        quoted = quote(token.get_secret_value(), safe="")
        secrets = [token, SecretStr(quoted)]
        return self._send(Call(api="oauth", method="GET", url=f"{url}/{quoted}", secrets=secrets)).body

    def post_json(  # noqa: PLR0913 - what a call consists of
        self,
        url: str,
        body: Mapping[str, object],
        access_token: SecretStr,
        *,
        api: Api,
        permit: Permit = FREE_PERMIT,
        is_batch: bool = False,
    ) -> Answer:
        """POST JSON; a batch may succeed in part. Raises a HubSpotError, PermitExpiredError."""
        return self._send(
            Call(
                api=api,
                method="POST",
                url=url,
                json=body,
                token=access_token,
                secrets=[access_token],
                may_be_partial=is_batch,
                permit=permit,
            )
        )

    def post_form(self, url: str, form: list[tuple[str, str]], secrets: Sequence[SecretStr]) -> bytes:
        """POST a form to the token endpoint. Raises a HubSpotError, none of whose texts holds one of `secrets`."""
        call = Call(api="oauth", method="POST", url=url, form=form, secrets=secrets, may_be_cut=False)
        return self._send(call).body  # what it holds may exist nowhere else: a refresh token in place of the one sent


class Sessions:
    """Does calls, each exactly once: retries are decided elsewhere. All threads share its connections."""

    def __init__(
        self,
        *,
        patience_s: float = PATIENCE_S,
        stopping: threading.Event | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._timeout = (CONNECT_S, patience_s)
        self._stopping = stopping or threading.Event()
        self._clock = clock
        self._of_thread = threading.local()
        self._reader = AnswerReader()
        self._requests = RequestPreparer()
        self._adapter = WireAdapter(before_leaving=self._leave, is_given_up=self._is_given_up)

    def send(self, call: Call) -> Answer:
        """Make a call.

        Raises a HubSpotError, CallAbandonedError when the worker stops before there is an answer, PermitExpiredError
        when the call has not left in time.
        """
        began_at = time.monotonic()
        self._of_thread.call, self._of_thread.stops_at = call, None
        try:
            with self._adapter.send(self._prepared(call), timeout=self._timeout, stream=True) as response:
                call.permit.settle()  # whatever the answer, HubSpot has counted the call by now
                content = self._reader.read(response.raw)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            if self._is_given_up():
                raise CallAbandonedError("The worker stops; the call is made again") from None
            failure = _no_answer(error)
            if not isinstance(failure, TimedOutError):
                call.permit.settle()  # nothing can arrive any more on a broken connection
            raise failure from None  # its text may hold the address or a header, and with it the token
        except ValueError:
            raise FatalHubSpotError(
                "The request to HubSpot cannot be sent: a header or the address is not valid"
            ) from None
        took_s = time.monotonic() - began_at
        if response.status_code != _OK and not (call.may_be_partial and response.status_code == _MULTI_STATUS):
            raise error_of(
                response.status_code,
                response.headers,
                content,
                took_s=took_s,
                secrets=call.secrets,
                clock=self._clock,
            )
        correlation_id = correlation_id_of(response.headers, call.secrets)
        quota = quota_of(response.headers, took_s=took_s)
        return Answer(content, quota, correlation_id, status=response.status_code)

    def _leave(self) -> None:
        """Use the permit of this thread's call. Raises PermitExpiredError."""
        self._of_thread.call.permit.leave()

    def _is_given_up(self) -> bool:
        """Whether the worker has been stopping for a while; asked in the thread that waits for the answer."""
        of_thread, at = self._of_thread, time.monotonic()
        if not of_thread.call.may_be_cut or not self._stopping.is_set():
            return False
        if of_thread.stops_at is None:
            of_thread.stops_at = at + GRACE_S
        return bool(at >= of_thread.stops_at)

    def _prepared(self, call: Call) -> requests.PreparedRequest:
        if call.method == "GET" and call.token is not None:
            return self._requests.get(call.url, call.params, token=call.token, keeps_commas=call.api == "dated")
        return self._requests.other(call.method, call.url, form=call.form, json=call.json, token=call.token)


def _no_answer(error: requests.RequestException | urllib3.exceptions.HTTPError) -> HubSpotError:
    """Translate a failed connection, or a request that can never be sent; addresses stay out of the text."""
    if isinstance(error, requests.ConnectTimeout):
        return RetryableHubSpotError("HubSpot cannot be connected to")
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return TimedOutError("HubSpot did not answer in time")
    if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError | _CUT):
        return RetryableHubSpotError("The connection to HubSpot broke")
    if isinstance(error, requests.exceptions.ContentDecodingError | urllib3.exceptions.DecodeError):
        return RetryableHubSpotError("HubSpot's answer cannot be decoded")
    return FatalHubSpotError(f"The request to HubSpot cannot be sent ({type(error).__name__})")
