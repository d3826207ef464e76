"""StreamedAnswer before a server's side of ASGI: what is sent, what is held back, and when the work stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import repeat

import anyio
import pytest
from starlette.types import Message
from structlog.typing import EventDict

from api_shim.downloads.stream import StreamedAnswer, gathered
from tests.patience import PATIENCE_S
from worker.errors import ExportError, JobNotFoundError, StoreUnavailableError

CHUNK = b"x" * 300_000  # more than is gathered


@dataclass
class Server:
    """Takes what is sent; the client goes away after so many messages, or is slow from the second on."""

    leaves_after: int | None = None
    is_slow: bool = False
    sent: list[Message] = field(default_factory=list)
    has_left: asyncio.Event = field(default_factory=asyncio.Event)
    is_waiting: asyncio.Event = field(default_factory=asyncio.Event)
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(self) -> Message:
        if self.leaves_after != 0:
            await self.has_left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if len(self.sent) == self.leaves_after:
            self.has_left.set()
        if self.is_slow and len(self.sent) > 1:
            self.is_waiting.set()
            await self.may_go_on.wait()

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def is_complete(self) -> bool:
        return bool(self.sent) and self.sent[-1].get("more_body") is False


@dataclass
class Source:
    """Chunks that are counted as they are made; an error among them is raised."""

    chunks: Iterator[bytes | ExportError]
    made: int = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.chunks:
            self.made += 1
            if isinstance(chunk, ExportError):
                raise chunk
            yield chunk


async def answer(source: Source, server: Server) -> None:
    streamed = StreamedAnswer(
        iter(source), threads=anyio.CapacityLimiter(1), media_type="text/plain", headers={"ETag": '"x"'}
    )
    await streamed({"type": "http"}, server.receive, server.send)


def run(act: Callable[[], Awaitable[None]]) -> None:
    async def within_seconds() -> None:
        async with asyncio.timeout(10):
            await act()

    asyncio.run(within_seconds())


def test_everything_is_sent_under_one_head_and_brought_to_its_end() -> None:
    source, server = Source(iter([CHUNK, b"", b"a", CHUNK, b"b"])), Server()

    run(lambda: answer(source, server))

    assert [message["type"] for message in server.sent[:2]] == ["http.response.start", "http.response.body"]
    assert dict(server.sent[0]["headers"]) == {b"etag": b'"x"', b"content-type": b"text/plain; charset=utf-8"}
    assert server.body == CHUNK + b"a" + CHUNK + b"b"
    assert server.is_complete
    assert all(message["body"] for message in server.sent[1:-1])


@pytest.mark.parametrize("chunks", [[], [b""], [b"", b""]])
def test_nothing_is_a_whole_body_too(chunks: list[bytes]) -> None:
    server = Server()

    run(lambda: answer(Source(iter(chunks)), server))

    assert (server.sent[0]["status"], server.body, server.is_complete) == (200, b"", True)


@pytest.mark.parametrize("error", [JobNotFoundError(), StoreUnavailableError()])
def test_what_fails_before_the_first_byte_is_raised_and_nothing_is_sent(error: ExportError) -> None:
    server = Server()

    with pytest.raises(type(error)):
        run(lambda: answer(Source(iter([b"", error])), server))

    assert server.sent == []


@pytest.mark.parametrize("error", [JobNotFoundError(), StoreUnavailableError()])
def test_what_fails_later_is_not_brought_to_its_end(error: ExportError, logs: list[EventDict]) -> None:
    server = Server()

    run(lambda: answer(Source(iter([CHUNK, CHUNK, error])), server))

    assert server.body.startswith(CHUNK)
    assert not server.is_complete
    assert [(event["event"], event["reason"]) for event in logs] == [("download_cut", error.code)]


@pytest.mark.parametrize("messages", [2, 3, 10])
def test_nothing_more_is_made_for_a_client_that_has_gone(messages: int, logs: list[EventDict]) -> None:
    source, server = Source(repeat(CHUNK)), Server(leaves_after=messages)

    run(lambda: answer(source, server))

    assert source.made <= messages
    assert not server.is_complete
    assert logs == []


def test_a_client_that_goes_before_the_first_byte_ends_the_work_at_the_next_pause() -> None:
    source, server = Source(repeat(b"")), Server(leaves_after=0)

    run(lambda: answer(source, server))

    assert server.sent == []


def test_for_a_slow_client_no_more_is_made_than_it_takes() -> None:
    source, server = Source(iter([CHUNK] * 50)), Server(is_slow=True)

    async def act() -> None:
        sending = asyncio.create_task(answer(source, server))
        await server.is_waiting.wait()
        made = source.made
        server.may_go_on.set()
        await sending
        assert made == 1

    run(act)

    assert (source.made, server.is_complete) == (50, True)


def test_downloads_take_turns_in_their_threads() -> None:
    sources = [Source(iter([CHUNK] * 20)) for _ in range(5)]
    servers = [Server() for _ in sources]

    async def act() -> None:
        await asyncio.gather(*map(answer, sources, servers))

    run(act)

    assert all(server.body == CHUNK * 20 for server in servers)


def test_an_event_loop_is_free_while_chunks_are_made() -> None:
    started, seen = asyncio.Event(), asyncio.Event()
    loop_of_test: list[asyncio.AbstractEventLoop] = []

    def chunks() -> Iterator[bytes]:
        loop_of_test[0].call_soon_threadsafe(started.set)
        assert asyncio.run_coroutine_threadsafe(seen.wait(), loop_of_test[0]).result(PATIENCE_S)
        yield b"made"

    async def act() -> None:
        loop_of_test.append(asyncio.get_running_loop())
        server = Server()
        sending = asyncio.create_task(answer(Source(chunks()), server))
        await started.wait()
        seen.set()
        await sending
        assert server.body == b"made"

    run(act)


def test_lines_are_gathered_until_they_are_worth_sending_and_pauses_stay_pauses() -> None:
    lines = [b"a" * 100_000] * 7 + [b"", b"", b"b"]

    sizes = [len(chunk) for chunk in gathered(iter(lines))]

    assert sizes == [300_000, 300_000, 100_000, 0, 1]
