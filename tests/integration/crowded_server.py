"""The shim's HTTP protocol as a process with a low limit of open files: `python -m … PORT FILES WAITS_S`."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from typing import Any

import uvicorn
from starlette.requests import Request

from api_shim.dependencies import read_body
from api_shim.operations import http_limits
from api_shim.operations.http_connections import Connections
from api_shim.operations.http_limits import bounded_by
from api_shim.operations.open_files import backlog_within, raise_limit, room_within
from sandbox.servers.ports import HOST


class Application:
    """Answers with the counts of connections; `/busy` after the next request for `/metrics`, other paths at once."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._release = asyncio.Event()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's
        if scope["type"] != "http":
            return
        await read_body(Request(scope, receive), most_bytes=1000, within_s=60)
        if scope["path"] == "/busy":
            await self._release.wait()
        elif scope["path"] == "/metrics":
            self._release.set()
            self._release = asyncio.Event()
        counts = {"open": self._connections.open, "closed": self._connections.closed}
        answer = json.dumps(counts).encode()
        headers = [(b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


def main(port: str, files: str, waits_s: str) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(files), int(files)))
    http_limits._WITHIN_S = float(waits_s)  # noqa: SLF001 - a test has no 10 s
    connections = Connections(room_within(raise_limit()))
    config = uvicorn.Config(
        Application(connections),
        host=HOST,
        port=int(port),
        http=bounded_by(connections),
        ws="none",
        backlog=backlog_within(int(files)),
        timeout_keep_alive=75,
    )
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main(*sys.argv[1:])
