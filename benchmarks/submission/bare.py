"""The baseline: a FastAPI route with a request and a response of the same size that does nothing else."""

from __future__ import annotations

import click
import uvicorn
from fastapi import FastAPI

from sandbox.servers.ports import HOST

_ANSWER = {
    "success": True,
    "message": "Export accepted",
    "data": {f"field_{number:02}": "x" * 20 for number in range(20)},
}

app = FastAPI()


@app.post("/v1/integrations/hubspot/export/{type}", status_code=202)
async def export(type: str) -> dict[str, object]:  # noqa: A002, ARG001 - as in the shim
    return _ANSWER


@app.get("/readyz")
async def readyz() -> dict[str, bool]:
    return {"success": True}


@click.command()
@click.option("--port", type=int, required=True)
def main(port: int) -> None:
    """Serve it as the shim is served."""
    uvicorn.run(app, host=HOST, port=port, log_config=None, access_log=False)


if __name__ == "__main__":
    main()
