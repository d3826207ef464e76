"""Where a page starts, in the words of the API that is asked."""

from __future__ import annotations

from worker.errors import CursorLostError
from worker.export.interfaces import PageQuery
from worker.records.types import Offset


def start_of(query: PageQuery, *, api: str, first_behind: int) -> Offset | None:
    """Return where an API is to continue: at its own offset as it came, or so far behind the last id that was read.

    A legacy offset includes its record or does not, so the last id itself is asked for, at the price of that record
    coming once more; `after` of the dated API includes it. Where there is only a caller's offset it is passed on: if
    the other API gave it, one record may come twice.
    """
    if query.offset_api == api and query.offset is not None:
        return query.offset
    if query.after_id is not None:
        return query.after_id + first_behind
    if query.offset_api in {api, None}:
        return query.offset
    raise CursorLostError(
        f"HubSpot's {api} API cannot go on from an offset of the {query.offset_api} one: the list is not read by id"
    )
