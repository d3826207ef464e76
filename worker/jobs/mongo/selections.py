"""Selections of properties in the documents of jobs: packed, since 2,000 names with their types have 100 KB."""

from __future__ import annotations

import sys

import msgspec

from worker.jobs.selection import Selection
from worker.mongo.database import Document

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

WITHOUT_SELECTION: Document = {"selection": False}
"""For those who read many jobs, and not their properties."""


def selection_to_document(selection: Selection) -> bytes:
    return zstd.compress(msgspec.json.encode(selection))


def selection_from_document(packed: bytes) -> Selection:
    """Raise ValueError for what is no selection."""
    try:
        return Selection.from_stored(zstd.decompress(packed))
    except (zstd.ZstdError, msgspec.MsgspecError) as error:
        raise ValueError(str(error)) from error
