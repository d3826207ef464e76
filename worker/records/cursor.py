"""Cursor: where reading continues, by HubSpot's word and by what was read; pure.

Recorded: after a page whose last id is L, HubSpot's offset lies in [L, next id], and reading on from it may or may not
give the record of that id. So an offset is passed back as it came, to the API that gave it; how far one has come is the
last id that was read.
"""

from __future__ import annotations

from dataclasses import dataclass

from worker.records.page import Ids
from worker.records.types import Offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """HubSpot's `offset` with the `api` that gave it (None: a caller did), and what had been read by then.

    `after_id`: every record up to and with that id was read, and none behind it. None: what was read, if anything was,
    did not come in the order of ids, so that nothing but the offset tells how far it is.
    """

    offset: Offset | None = None
    api: str | None = None
    after_id: int | None = None


def goes_back(ids: Ids, *, after_id: int | None) -> bool:
    """Whether a page that was asked for behind an id has records up to it."""
    return after_id is not None and any(each is not None and each <= after_id for each in ids)
