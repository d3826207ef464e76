"""PageFindings: what is known of a page besides its records; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

NOT_ASKED = "not asked for: HUBSPOT_NOTES_KINDS names others"
"""Why a list was not read where that was the operator's choice."""

OTHER_ENGAGEMENTS = "engagements of other types"
"""PUBLISHING_TASK and whatever else the legacy feed alone has."""

BEFORE_RETRY = "before a retry: "
"""What the reason begins with where HubSpot refused a list in an earlier run of a job, which then asks it again."""


class CallKind(StrEnum):
    """What a call to HubSpot asks for: the names by which receipts and plans count calls."""

    LIST = "list"
    """A page of a list or of a feed."""
    BATCH = "batch"
    """Records by their ids."""
    ASSOCIATIONS = "associations"
    """What records are associated with, by their ids."""
    SEARCH = "search"
    """Records by a condition. HubSpot counts such calls apart from all others."""
    DEFINITIONS = "definitions"
    """Properties, schemas, pipelines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFindings:
    """What a page cost, and what is not in it.

    `calls` are those that the page took, by kind; none: one call of a list. `left_out` are lists of several that were
    not read, by their names (`emails`), with the reason: HubSpot's, which has refused them, or NOT_ASKED. `vanished`
    counts records that were listed, and gone when their properties were read. `incomplete_associations` counts records
    whose associations could not all be read. `not_available` names fields of the documented shape that this API does
    not give.
    """

    calls: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    vanished: int = 0
    incomplete_associations: int = 0
    not_available: tuple[str, ...] = ()


PLAIN_PAGE = PageFindings()
"""Of a page that took one call, and is whole."""
