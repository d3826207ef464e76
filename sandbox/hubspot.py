"""The fake HubSpot as a program: `python -m sandbox.hubspot --host 127.0.0.1 --port 8600`."""

import asyncio
import signal
import sys
from collections.abc import Callable

import click

from sandbox.fake_hubspot.control.api import ControlApi
from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.messages import Answer, Request
from sandbox.fake_hubspot.transport.wire import Connection


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8600, show_default=True, help="Port to listen on; 0 takes a free one.")
@click.option("--seed", default=0, show_default=True, help="Of tokens and correlation ids.")
def main(*, host: str, port: int, seed: int) -> None:
    """Answer as HubSpot does, for accounts made by the control API below /__sandbox/."""
    serving = serve(create_app(seed=seed), host=host, port=port, announce=click.echo)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            runner.run(serving)
        except OSError as error:
            raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror}") from error


def create_app(*, seed: int = 0) -> Callable[[Request], Answer]:
    """Return a fake HubSpot without accounts, behind its control API."""
    return ControlApi(HubSpot(seed=seed)).answer


async def serve(app: Callable[[Request], Answer], *, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT, then abort all connections; `announce` gets a line once the port is open."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    connections: set[Connection] = set()
    server = await loop.create_server(lambda: Connection(app, connections), host, port, backlog=1024)
    announce(f"HubSpot sandbox listening on http://{host}:{server.sockets[0].getsockname()[1]}")
    await stopping.wait()
    server.close()
    for connection in tuple(connections):
        connection.abort()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415  # does not exist for Windows

    return uvloop.new_event_loop


if __name__ == "__main__":
    main()
