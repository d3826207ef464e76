"""gzip: whether a client accepts it, and a compressed stream."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping

_LEVEL = 1
_GZIP_FORMAT = 31
_QUALITY = re.compile(r"q=([01](?:\.\d{0,3})?)", re.IGNORECASE)


def accepts_gzip(values: list[str]) -> bool:
    """Whether Accept-Encoding (RFC 9110, 12.5.3) prefers gzip to no coding, or rates them equally."""
    qualities = dict(map(_coding, ",".join(values).split(",")))
    gzip = _first(qualities, "gzip", "x-gzip", "*")
    return gzip > 0 and gzip >= _first(qualities, "identity")


def gzipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Compress a stream; while the compressor buffers, an empty chunk is yielded, which is a pause."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_FORMAT)
    yield from map(packer.compress, chunks)
    yield packer.flush()


def _coding(word: str) -> tuple[str, float]:
    """Parse `gzip;q=0.5`; a malformed quality counts as 0."""
    name, _, parameter = (part.strip().lower() for part in word.partition(";"))
    found = _QUALITY.fullmatch(parameter)
    return name, float(found[1]) if found else float(not parameter)


def _first(qualities: Mapping[str, float], *names: str) -> float:
    return next((qualities[name] for name in names if name in qualities), 0.0)
