"""Bodies are read within bounds: so long, so slow, and no further."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from api_shim.dependencies import read_body
from tests.unit.api_shim.shim import BASE_PATH, Shim, mint, problem
from worker.errors import InvalidRequestError

Receive = Callable[[], Coroutine[Any, Any, dict[str, Any]]]


def too_long(most: int) -> dict[str, object]:
    message = f"body: must be at most {most} bytes"
    return {"success": False, "errno": 400, "message": message, "code": "invalid_request"}


def padded(size: int, body: bytes = b'{"label":"x"}') -> bytes:
    return body.ljust(size)


def test_a_body_that_names_properties_may_be_a_megabyte_long(shim: Shim) -> None:
    path, body = f"{BASE_PATH}/export/contacts", b'{"properties":["email"]}'

    assert shim.ask("POST", path, content=padded(1_048_576, body)).status_code == 202
    assert problem(shim.ask("POST", path, content=padded(1_048_577, body))) == (400, too_long(1_048_576))
    assert len(shim.jobs.all) == 1


def test_any_other_body_may_have_64_kib(shim: Shim) -> None:
    path = f"{BASE_PATH}/export/contacts"

    assert shim.ask("POST", path, content=padded(65_536)).status_code == 202
    assert problem(shim.ask("POST", path, content=padded(65_537))) == (400, too_long(65_536))
    assert len(shim.jobs.all) == 1


def test_an_endless_body_is_refused_long_before_its_end(shim: Shim) -> None:
    sent: list[int] = []

    async def endless() -> AsyncIterator[bytes]:
        while len(sent) < 1_000:
            sent.append(len(sent))
            yield b" " * 100_000

    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(shim.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shim") as client:
            headers = {"authorization": f"Bearer {mint()}"}
            return await client.post(f"{BASE_PATH}/export/contacts", content=endless(), headers=headers)

    assert problem(shim.portal.call(post)) == (400, too_long(1_048_576))
    assert len(sent) < 20


def refusal_of(receive: Receive) -> str:
    """Return why a body that arrives like this is refused."""

    async def read() -> None:
        request = Request({"type": "http", "method": "POST", "headers": []}, receive)
        await read_body(request, most_bytes=100, within_s=0.05)

    with pytest.raises(InvalidRequestError) as refused:
        asyncio.run(read())
    return refused.value.message


def test_a_body_that_does_not_arrive_is_not_waited_for() -> None:
    async def never() -> dict[str, Any]:
        return await asyncio.Future()

    assert refusal_of(never) == "body: must arrive within 0.05 seconds"


def test_a_body_that_trickles_is_not_waited_for_either() -> None:
    async def trickle() -> dict[str, Any]:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b" ", "more_body": True}

    assert refusal_of(trickle) == "body: must arrive within 0.05 seconds"


def test_a_client_that_goes_away_while_it_sends_is_no_bug() -> None:
    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    assert refusal_of(gone) == "body: was cut off"
