"""What is declared of a type of objects at HubSpot; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, TypeAlias

Json: TypeAlias = Mapping[str, Any]


class RecordShape(StrEnum):
    """The shape that records are stored and returned in: HubSpot's own of the dated API, or a documented legacy one."""

    CONTACT = "contact"
    COMPANY = "company"
    DEAL = "deal"
    ENGAGEMENT = "engagement"
    OBJECT = "object"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFormat:
    """The spelling of one type's body, and the most records HubSpot puts in one page of it.

    Recorded traffic: contacts and companies spell the flag `has-more`, deals and engagements `hasMore`;
    only contacts call the offset `vid-offset`. Bodies of the dated API say both with `paging.next.after`, which the
    last page lacks.
    """

    list_key: str
    more_key: Literal["has-more", "hasMore", "paging"]
    offset_key: Literal["vid-offset", "offset", "paging"]
    most_records: int

    @property
    def is_paging(self) -> bool:
        return self.more_key == "paging"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeFeed:
    """The feed of what has changed lately, which lies beside a legacy list.

    One that `goes_by_time` continues from the time and the id of the last record; the others' offset is a position.
    Some give all properties where none is named.
    """

    path: str
    list_key: str
    goes_by_time: bool = False
    gives_all_properties: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyList:
    """The v1 or v2 list. `query` is what its address asks for unless a setting says otherwise.

    The parameter names are HubSpot's documented ones. A misspelled one is ignored without a word (recorded: `offset`
    on contacts gave page 1 again and again). `properties_parameter` names one property each time, `history_parameter`
    one whose history is wanted; None: the list knows no selection, or no history. `takes_any_parameter`: a caller's
    further parameters are passed on.
    """

    path: str
    query: str = ""
    count_parameter: str
    offset_parameter: str
    properties_parameter: Literal["property", "properties"] | None
    history_parameter: str | None = None
    takes_any_parameter: bool = False
    feed: ChangeFeed


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityKind:
    """One kind of engagement: its name in the legacy feed, and its list in the dated API.

    `scopes` are all needed to read it; `properties` are what the legacy shape is written from. `further_names` are
    those of what the legacy feed tells apart, and the list does not.
    """

    name: str
    path: str
    scopes: tuple[str, ...]
    properties: tuple[str, ...] = ()
    further_names: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All types of the legacy feed that the list holds."""
        return (self.name, *self.further_names)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedList:
    """The object list of the dated API, and what of it the legacy shape wants.

    `properties` are always asked for. `associations` are dated names -> legacy names; without being told to,
    associations are asked for where `associates`. `kinds`: the lists of which the legacy one is merged; none: it is one
    list. `modified_property` is the field of modification, by which search finds what has changed.
    `has_properties`: records have properties, which HubSpot defines and search finds; owners do not.
    """

    path: str
    shape: RecordShape
    properties: tuple[str, ...] = ()
    associations: Mapping[str, str] = field(default_factory=dict)
    associates: bool = False
    kinds: tuple[ActivityKind, ...] = ()
    modified_property: str = "hs_lastmodifieddate"
    has_properties: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectType:
    """A type of objects at HubSpot.

    `type_id` is HubSpot's `objectTypeId`, None for what is no object. `id_path` leads to a record's id, `kind_path` to
    what tells kinds of one type apart. Any one of `scopes` is enough to read it, by HubSpot's documentation of each
    list. What a legacy list takes and the dated one does not (`content`) counts as enough: a scope that is called
    missing and is not would stop an export that works. Without a `legacy` list it is had by the dated API alone.
    `time_paths` are the fields, beside properties, that hold instants; `created_path` and `updated_path` those of the
    record itself, where it has them.
    """

    name: str
    type_id: str | None
    page: PageFormat
    id_path: tuple[str, ...]
    kind_path: tuple[str, ...] | None = None
    scopes: tuple[str, ...]
    legacy: LegacyList | None = None
    dated: DatedList
    has_pipelines: bool = False
    time_paths: frozenset[str] = frozenset()
    created_path: str | None = None
    updated_path: str | None = None
    example: Json

    @property
    def id_column(self) -> str:
        """The first column of a table of such records."""
        return ".".join(self.id_path)

    @property
    def legacy_list(self) -> LegacyList:
        """The legacy list. Raises ValueError where only the dated API has the type."""
        if self.legacy is None:
            raise ValueError(f"HubSpot has no legacy list of {self.name}")
        return self.legacy

    def has_legacy(self, *, archived: bool) -> bool:
        """Whether a legacy list has what is asked for: none has archived records."""
        return self.legacy is not None and not archived

    def example_page(self, *, next_offset: int) -> dict[str, Any]:
        """Return a page with the example, behind which there is more."""
        if self.page.is_paging:
            return {self.page.list_key: [self.example], "paging": {"next": {"after": str(next_offset)}}}
        return {self.page.list_key: [self.example], self.page.more_key: True, self.page.offset_key: next_offset}
