"""Mounts the fake HubSpot in the `responses` library, so that unit tests need no sockets."""

import re
from typing import Any

import requests
import responses

from sandbox.fake_hubspot.control.api import ControlApi
from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.messages import Answer, Ending, Request

HUBSPOT_URL = "https://api.hubapi.com"


def mount(hubspot: HubSpot, mocker: responses.RequestsMock, *, base_url: str = HUBSPOT_URL) -> None:
    """Route every call to `base_url` to this HubSpot, including its control API.

    A reset raises requests' ConnectionError, a silent answer ReadTimeout, a cut body ChunkedEncodingError. No time
    passes: a delayed or trickling answer arrives at once, or raises ReadTimeout if it would end after the caller's
    read timeout. Interim answers are dropped.
    Create the mocker with `assert_all_requests_are_fired=False` where a test may make no call at all.
    """
    mocker.add(_Mounted(ControlApi(hubspot), base_url))


class _Mounted(responses.CallbackResponse):
    """Matches every method and every path below one base URL."""

    def __init__(self, api: ControlApi, base_url: str) -> None:
        super().__init__(
            "*", re.compile(re.escape(base_url) + "/.*", re.DOTALL), callback=self._call, content_type=None
        )
        self._api = api

    def matches(self, request: requests.PreparedRequest) -> tuple[bool, str]:
        below = self._url_matches(self.url, str(request.url))
        return below, "" if below else "URL does not match"

    def _call(self, request: requests.PreparedRequest) -> tuple[int, dict[str, str], bytes]:
        answer = self._api.answer(_request(request))
        _raise_fault(answer, request)
        return answer.status, dict(answer.headers), answer.body


def _request(request: requests.PreparedRequest) -> Request:
    body = request.body or b""
    return Request.of(
        request.method or "GET",
        request.path_url,
        headers=dict(request.headers),
        body=body.encode() if isinstance(body, str) else bytes(body),
    )


def _raise_fault(answer: Answer, request: requests.PreparedRequest) -> None:
    if answer.ending is Ending.RESET:
        raise requests.ConnectionError("Connection reset by peer", request=request)
    read_timeout_s = _read_timeout_s(request)
    late = read_timeout_s is not None and answer.delay_s + answer.trickle_s > read_timeout_s
    if late or answer.ending is Ending.SILENT:
        raise requests.ReadTimeout(f"Read timed out. (read timeout={read_timeout_s})", request=request)
    if answer.cut_after is not None:
        raise requests.exceptions.ChunkedEncodingError("Connection broken: IncompleteRead", request=request)


def _read_timeout_s(request: requests.PreparedRequest) -> float | None:
    # `responses` stores the arguments of the call on the request.
    sent: dict[str, Any] = getattr(request, "req_kwargs", {})
    timeout = sent.get("timeout")
    return timeout[1] if isinstance(timeout, tuple) else timeout
