"""ListQuestion: what a page is to hold, by the request and by the address that is set for the list; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from worker.export.interfaces import PageQuery
from worker.hubspot.splitting import Pairs

HISTORY = "propertiesWithHistory"
PROPERTY_PARAMETERS = frozenset({"property", "properties"})  # contacts spell it in the singular
_NAMING = PROPERTY_PARAMETERS | {HISTORY}
_CHOOSING = _NAMING | {"includeAllProperties", "allPropertiesFetchMode"}
_ALL = ("includeAllProperties", "true")
HISTORY_OF_ALL = ("propertyMode", "value_and_history")  # of contacts: for all that is asked for
_HISTORY_MODE = HISTORY_OF_ALL[0]
_ASSOCIATIONS = "includeAssociations"
_MERGES = ("includeMergeAudits", "true")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuestion:
    """What a request names, in the words of no API.

    `names` are properties; none: those that HubSpot gives by default, or with `is_all` all there are. `history` are
    those of which all values are wanted, with `is_history_of_all` those of all names. `associates`: whether the
    associations of the documented shape are wanted, None where nothing says so; `associations` are types by name.
    """

    names: tuple[str, ...] = ()
    is_all: bool = False
    history: tuple[str, ...] = ()
    is_history_of_all: bool = False
    associates: bool | None = None
    associations: tuple[str, ...] = ()
    archived: bool = False
    others: Pairs = field(default_factory=list)

    @property
    def wants_merges(self) -> bool:
        """Whether the list of companies is to tell which others each was merged with."""
        return _MERGES in self.others


def question_of(query: PageQuery, address: str) -> ListQuestion:
    """Read what is asked for; where the request names properties, none of those that the address names."""
    pairs = [*address_pairs(query, address), *query.params]
    chosen = [] if query.properties is None else query.properties
    named = [*_values(pairs, "property", "properties"), *chosen]
    history = [*_values(pairs, HISTORY), *query.history]
    last = dict(pairs)
    is_history_of_all = last.get(_HISTORY_MODE) == HISTORY_OF_ALL[1]
    return ListQuestion(
        names=tuple(dict.fromkeys(named)),
        is_all=_ALL in pairs and query.properties is None,
        history=tuple(dict.fromkeys(history)),
        is_history_of_all=is_history_of_all,
        associates=last[_ASSOCIATIONS] == "true" if _ASSOCIATIONS in last else None,
        associations=tuple(dict.fromkeys([*_values(pairs, "associations"), *query.associations])),
        archived=query.archived or last.get("archived") == "true",
        others=[pair for pair in pairs if pair[0] not in _UNDERSTOOD],
    )


_UNDERSTOOD = _CHOOSING | {_HISTORY_MODE, _ASSOCIATIONS, "associations", "archived"}


def address_pairs(query: PageQuery, address: str) -> Pairs:
    """Return the parameters of an address, without those that choose properties where the request does."""
    pairs = parse_qsl(urlsplit(address).query, keep_blank_values=True)
    return pairs if query.properties is None else [pair for pair in pairs if pair[0] not in _CHOOSING]


def named_by_parameters(query: PageQuery, address: str) -> list[str]:
    """Name the properties that parameters of the address or the request ask for; `*` are all there are."""
    pairs = [*address_pairs(query, address), *query.params]
    everything = ["*"] if _ALL in pairs else []
    return list(dict.fromkeys([*everything, *_values(pairs, *_NAMING)]))


def _values(pairs: Iterable[tuple[str, str]], *names: str) -> Iterator[str]:
    return (each for name, value in pairs if name in names for each in value.split(",") if each)
