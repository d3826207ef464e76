"""DatedQuery: what is asked of a list of the dated API, and how its address says so; pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from worker.export.interfaces import FeedQuery
from worker.hubspot.splitting import Pairs
from worker.records.dated_types import MOST_RECORDS, MOST_WITH_HISTORY
from worker.records.types import Offset

ID_PROPERTY = "hs_object_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedQuery:
    """What is asked of a list whose `path` is that of the registry; of its records by their ids likewise.

    `properties` are names; none: HubSpot's few default ones. `history` are those of which all values are wanted.
    `associations` are types, as the dated API names them. `passed` are further parameters. `longest_query` is how many
    characters HubSpot takes, where it has refused more. With a `feed` it is what has changed that is asked for.
    """

    path: str
    count: int = MOST_RECORDS
    after: Offset | None = None
    properties: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    associations: tuple[str, ...] = ()
    archived: bool = False
    passed: tuple[tuple[str, str], ...] = ()
    longest_query: int | None = None
    feed: FeedQuery | None = None

    @property
    def names_properties(self) -> bool:
        return bool(self.properties or self.history)

    @property
    def most_by_ids(self) -> int:
        """How many records HubSpot gives at most where it reads what is asked of each."""
        return MOST_WITH_HISTORY if self.history else MOST_RECORDS

    def to_pairs(self) -> Pairs:
        """Return the parameters of the list as they are sent: names in one value, whose commas HubSpot counts once."""
        count = min(self.count, MOST_WITH_HISTORY) if self.history else self.count
        lists = (
            ("properties", self.properties),
            ("propertiesWithHistory", self.history),
            ("associations", self.associations),
        )
        return [
            ("limit", str(count)),
            *([] if self.after is None else [("after", str(self.after))]),
            *((name, ",".join(values)) for name, values in lists if values),
            *([("archived", "true")] if self.archived else []),
            *self.passed,
        ]

    @property
    def length(self) -> int:
        """How many characters the parameters have as they are sent."""
        return len(urlencode(self.to_pairs(), safe=","))
