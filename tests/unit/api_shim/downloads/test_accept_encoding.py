"""Whether gzip is sent: RFC 9110, 12.5.3."""

from __future__ import annotations

import pytest

from api_shim.downloads.coding import accepts_gzip


@pytest.mark.parametrize(
    "header",
    [
        "gzip",
        "GZip",
        "x-gzip",
        "*",
        "deflate, gzip",
        "br;q=1.0, gzip;q=0.8, *;q=0.1",
        "gzip ; q=0.001",
        "identity;q=0.5, gzip;q=0.5",
        "gzip;Q=1.000",
        "*;q=0.5, identity;q=0",
        ",, gzip ,",
    ],
)
def test_gzip_is_taken(header: str) -> None:
    assert accepts_gzip([header])


@pytest.mark.parametrize(
    "header",
    [
        "",
        "identity",
        "br, deflate",
        "gzip;q=0",
        "gzip;q=0.000, *",
        "*;q=0",
        "identity, gzip;q=0.5",
        "gzipped",
        "gzip;q=high",
        "gzip;q=",
        "gzip;q=1.0000",
        "gzip;level=9",
    ],
)
def test_gzip_is_not_taken(header: str) -> None:
    assert not accepts_gzip([header])


def test_several_headers_are_one() -> None:
    assert accepts_gzip(["br", "gzip"])
    assert not accepts_gzip([])
