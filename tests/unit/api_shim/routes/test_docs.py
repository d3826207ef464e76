"""`/docs` needs nothing from outside."""

from __future__ import annotations

import re

import pytest

from tests.unit.api_shim.shim import Shim, problem


def test_the_page_asks_this_server_alone_and_gets_everything(shim: Shim) -> None:
    page = shim.ask("GET", "/docs", authorization="")

    asked = re.findall(r"""(?:src|href)="([^"]+)"|url: '([^']+)'""", page.text)
    addresses = [first or second for first, second in asked]
    assert len(addresses) >= 4
    for address in addresses:
        assert address.startswith("/")
        assert shim.ask("GET", address, authorization="").status_code == 200


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fcore.py", ""])
def test_no_other_file_is_given(shim: Shim, name: str) -> None:
    status, body = problem(shim.ask("GET", f"/docs/assets/{name}", authorization=""))

    assert (status, body["message"]) == (404, "RESOURCE_NOT_FOUND")
