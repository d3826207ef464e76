"""The shim's HTTP protocol as a process of its own that a test may stop for a while: `python -m … PORT`."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import uvicorn
from starlette.requests import Request

from api_shim.dependencies import read_body
from api_shim.operations import http_limits
from api_shim.operations.http_limits import BoundedHttpProtocol
from sandbox.servers.ports import HOST

WAITS_S = 0.5
"""The timeout of everything that it waits for from a client."""


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's
    """Answer how large the body was."""
    if scope["type"] != "http":
        return
    body = await read_body(Request(scope, receive), most_bytes=1000, within_s=WAITS_S)
    answer = json.dumps(len(body)).encode()
    headers = [(b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


def main(port: str) -> None:
    """Serve with the shim's loop and protocol, but shorter timeouts."""
    http_limits._WITHIN_S = WAITS_S  # noqa: SLF001 - a test has no 10 s
    config = uvicorn.Config(application, host=HOST, port=int(port), http=BoundedHttpProtocol, ws="none")
    config.timeout_keep_alive = WAITS_S  # type: ignore[assignment]  # nor a whole one
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main(*sys.argv[1:])
