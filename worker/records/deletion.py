"""Deletion: a record that HubSpot lists as archived; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from worker.records.types import Offset


@dataclass(frozen=True, slots=True)
class Deletion:
    """A record that was deleted, or merged into another, and when by HubSpot's clock; None: that cannot be read."""

    record_id: int
    archived_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionPage:
    """One page of the archived records. `after` is where the next one begins; the last page has none.

    `unknown` says why HubSpot did not tell of some. `calls` are those that it took, by kind.
    """

    deletions: Sequence[Deletion] = ()
    after: Offset | None = None
    unknown: str | None = None
    calls: Mapping[str, int] = field(default_factory=dict)
