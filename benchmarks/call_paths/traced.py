"""How far a call goes through the product: the files that it enters, and how often one file's code calls another's.

`python -m benchmarks.call_paths.traced` reads a JWT from its input, runs the shim and a worker's exporter in this
process, over the servers that the environment names, and prints one JSON object: `post`, `slice` and `results`, each
with `changes` of file and the `calls` of functions by file.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import httpx
import structlog

import worker
from api_shim.asgi import build
from api_shim.operations.http_connections import Connections
from worker import bootstrap
from worker.settings import ShimSettings, load

_ROOT = f"{Path(worker.__file__).parents[1]}/"
_PACKAGES = (f"{_ROOT}worker/", f"{_ROOT}api_shim/")
_RESUMABLE = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_API = "/v1/integrations/hubspot"


@dataclass
class CallPath:
    calls: Counter[str] = field(default_factory=Counter)
    changes: int = 0


class Tracer:
    """Sees the calls of all threads that begin after it was made."""

    def __init__(self) -> None:
        self._path: CallPath | None = None
        self._begun: list[FrameType] = []
        threading.setprofile(self._see)
        sys.setprofile(self._see)

    @contextmanager
    def tracing(self) -> Iterator[CallPath]:
        self._path = path = CallPath()
        try:
            yield path
        finally:
            self._path = None
            self._begun.clear()

    def _see(self, frame: FrameType, event: str, _: object) -> None:
        path, file = self._path, frame.f_code.co_filename
        if path is None or event != "call" or not file.startswith(_PACKAGES) or self._is_resumed(frame):
            return
        path.calls[file.removeprefix(_ROOT)] += 1
        path.changes += _caller(frame) != file

    def _is_resumed(self, frame: FrameType) -> bool:
        """Report whether a generator or a coroutine only goes on; that, too, is reported as a call."""
        if not frame.f_code.co_flags & _RESUMABLE:
            return False
        if any(frame is each for each in self._begun):
            return True
        self._begun.append(frame)
        return False


def _caller(frame: FrameType) -> str | None:
    """Return the product's file that a call comes from, libraries in between passed over."""
    caller = frame.f_back
    while caller is not None and not caller.f_code.co_filename.startswith(_PACKAGES):
        caller = caller.f_back
    return caller.f_code.co_filename if caller is not None else None


async def main(token: str) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    tracer = Tracer()
    app = build(load(ShimSettings), connections=Connections(100))
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://shim", headers={"Authorization": f"Bearer {token}"}
    )
    async with app.router.lifespan_context(app), client as shim:
        exporter = bootstrap.services().exporter
        exporter.run_slice(await _start(shim))  # what is prepared at first use is no part of a call's path
        with tracer.tracing() as post:
            job_id = await _start(shim)
        with tracer.tracing() as one_slice:
            exporter.run_slice(job_id)
        results = f"{_API}/jobs/{job_id}/results?limit=10"
        (await shim.get(results)).raise_for_status()
        with tracer.tracing() as read:
            (await shim.get(results)).raise_for_status()
    sys.stdout.write(json.dumps({"post": vars(post), "slice": vars(one_slice), "results": vars(read)}))


async def _start(shim: httpx.AsyncClient) -> str:
    answer = await shim.post(f"{_API}/export/contacts")
    return answer.raise_for_status().headers["Location"].rpartition("/")[2]


if __name__ == "__main__":
    asyncio.run(main(sys.stdin.read()))
