"""Writes a download to a file, resuming it when the connection breaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import IO

from api_shim.commands.api import ExportApi, with_retries
from api_shim.commands.api_errors import ApiError

_NDJSON: Mapping[str, str] = MappingProxyType({})


def write_download(api: ExportApi, job_id: str, out: IO[bytes], query: Mapping[str, str] = _NDJSON) -> int:
    """Write a download, NDJSON unless `query` says otherwise; return the number of lines.

    After a broken connection the download starts again, and what has been written is skipped.
    """
    written = _Written(out)
    with_retries(partial(_continue, api, job_id, query, written), pause=api.outside.pause)
    return written.lines


@dataclass
class _Written:
    """What has been written so far of the download with this tag."""

    out: IO[bytes]
    tag: str | None = None
    size: int = 0
    lines: int = 0

    def write(self, chunk: bytes) -> None:
        self.out.write(chunk)
        self.size += len(chunk)
        self.lines += chunk.count(b"\n")


def _continue(api: ExportApi, job_id: str, query: Mapping[str, str], written: _Written) -> None:
    with api.download(job_id, query) as download:
        if written.tag not in {None, download.tag}:
            raise ApiError("The job has changed while it was downloaded: download it again")
        written.tag = download.tag
        # The server always starts from the first byte: what is known already is skipped.
        known = written.size
        for chunk in download.chunks:
            written.write(chunk[known:])
            known = max(0, known - len(chunk))
