"""`python -m api_shim`: the HTTP shim as a process."""

from __future__ import annotations

import click
import uvicorn

from api_shim.asgi import build
from api_shim.http_protocol import BoundedHttpProtocol
from worker.logs import configure_logs
from worker.settings import ShimSettings, load


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
def main(host: str, port: int) -> None:
    """Serve the HubSpot export API."""
    settings = load(ShimSettings)
    configure_logs(settings.log_format, settings.log_level)
    uvicorn.run(
        build(settings), host=host, port=port, http=BoundedHttpProtocol, ws="none", log_config=None, access_log=False
    )


main()
