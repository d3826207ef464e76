"""`python -m api_shim`: the HTTP shim as a process."""

from __future__ import annotations

import gc
import sys

import click
import uvicorn

from api_shim.asgi import build
from api_shim.operations.http_connections import Connections
from api_shim.operations.http_limits import bounded_by
from api_shim.operations.open_files import MOST_CONNECTIONS, backlog_within, files_for, raise_limit, room_within
from worker.settings import ShimSettings, load
from worker.telemetry.logs import configure_logs

# A download that computes in Python holds the interpreter for one such interval, during which the event loop waits.
_SWITCH_INTERVAL_S = 0.0005
# Longer than clients and proxies keep a connection (usually 60 s), or they would send into a closed one.
_KEPT_IDLE_S = 75
_GRACE_S = 35  # enough to answer a waiting request; a download that takes longer is cut off


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
def main(host: str, port: int) -> None:
    """Serve the HubSpot export API."""
    settings = load(ShimSettings)
    configure_logs(settings.log_format, settings.log_level)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    files = raise_limit()
    connections = Connections(_most_connections(settings, files=files))
    app = build(settings, connections=connections)
    gc.collect()
    gc.freeze()  # what exists by now lives for ever; a full collection of it would stall all requests for 0.1 s
    uvicorn.run(
        app,
        host=host,
        port=port,
        http=bounded_by(connections),
        backlog=backlog_within(files),
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # nothing here asks where a request came from
        timeout_keep_alive=_KEPT_IDLE_S,
        timeout_graceful_shutdown=_GRACE_S,
    )


def _most_connections(settings: ShimSettings, *, files: int) -> int:
    """Return the limit of connections; exit with 2 if MAX_CONNECTIONS needs more open files than the system allows."""
    room, wanted = room_within(files), settings.max_connections
    if wanted is not None and wanted > room:
        sys.stderr.write(
            f"settings: MAX_CONNECTIONS: {wanted} needs a limit of {files_for(wanted)} open files (nofile), and this"
            f" process has {files}, which is enough for {room}\n"
        )
        raise SystemExit(2)
    return wanted or min(room, MOST_CONNECTIONS)


main()
