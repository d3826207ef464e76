"""Checks that the shim reports itself ready."""

from __future__ import annotations

import httpx

from api_shim.commands.answers import read_refusal
from api_shim.commands.checks.findings import Finding, ok, one_line, skipped, wrong

_TIMEOUT_S = 10.0


def check_shim(url: str | None, *, transport: httpx.BaseTransport | None) -> Finding:
    if url is None:
        return skipped("shim", "no --url was given")
    try:
        with httpx.Client(timeout=_TIMEOUT_S, transport=transport) as client:
            answer = client.get(f"{url}/readyz")
    except httpx.HTTPError as error:
        return wrong("shim", f"{url} does not answer: {one_line(error)}")
    if answer.is_success:
        return ok("shim", f"{url} is ready")
    refusal = read_refusal(answer.content)
    return wrong("shim", f"{url} is not ready: {answer.status_code} {refusal.message if refusal else ''}".rstrip())
