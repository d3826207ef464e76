"""What a request wants of each record, and the description of a record type."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

VARIANTS = 64
"""Number of different contents per type; records with the same content differ in ids, times and links."""

Properties = Mapping[str, str]
"""Values by name, as the legacy API writes them."""


@dataclass(frozen=True)
class Shape:
    """The rendering that a request wants; equal shapes share their templates."""

    dated: bool = False
    properties: tuple[str, ...] = ()
    every_property: bool = False
    with_history: tuple[str, ...] = ()
    full_history: bool = False
    associations: tuple[str, ...] = ()
    """Types whose associations are shown; in the dated API only the requested ones."""
    forms: str = "newest"
    email_bodies: bool = True
    """Whether the app may read e-mail bodies; without the scope HubSpot omits them silently."""
    of_feed: bool = False
    """Whether the record is shown in a feed, which omits fields that the list has."""
    linkable: tuple[str, ...] = ()
    """Types of which the account has at least one record, so that a link has a target."""
    many: tuple[str, ...] = ()
    """Types of which the account's records have a given number of associated ones."""
    archived: bool = False
    hidden: frozenset[str] = frozenset()
    """Properties that the legacy API never shows, because they are sensitive."""
    long_history: bool = False
    merged: bool = False
    """Whether some contacts and companies have been merged with others, and some companies have several domains."""

    def wants_history(self, name: str) -> bool:
        return self.full_history or name in self.with_history


@dataclass(frozen=True)
class RecordType:
    """One type of record: its properties, its legacy JSON if it has one, and its names in the dated API.

    `properties(variant)` maps names to values; `{{slots}}` in them stand for what differs from record to record.
    """

    name: str
    properties: Callable[[int], Properties]
    links: Callable[[int], tuple[str, ...]]
    singular: str
    """As in the names of associations, such as `deal_to_contact`."""
    dated_number: str
    """The object type id; empty for engagements, which the dated API lists by kind."""
    dated_defaults: tuple[str, ...]
    scopes: tuple[str, ...]
    """Any one is enough."""
    legacy: Callable[[int, Shape, Properties], dict[str, object]] | None = None
    """Returns the JSON of a variant with these properties."""
    created_property: str = "createdate"
    modified_property: str = "hs_lastmodifieddate"
    needs: tuple[str, ...] = ()
    """Scopes that the dated API requires besides, all of them."""
    view_of: str = ""
    """The type of which this is a part, with the same ids; empty: a type of its own."""
    includes: Callable[[int], bool] | None = None
    """Which variants belong to the part; None: all."""
    valueless: tuple[str, ...] = ()
    """Names of properties that exist, but of which no record has a value."""
    merged_properties: Callable[[int], Properties] | None = None
    """What records have besides where some have been merged with others."""
    other_names: tuple[str, ...] = ()
    """What paths and parameters call a custom object in place of its plain name."""

    @property
    def record_set(self) -> str:
        """The name of the records behind it."""
        return self.view_of or self.name

    @property
    def aliases(self) -> tuple[str, ...]:
        """Every name by which the dated API knows it, the usual one first."""
        return (*(self.other_names or (self.name,)), self.dated_number)


def is_merged(variant: int) -> bool:
    """Return whether records of this variant have been merged with another one, in accounts where some have."""
    return variant % 8 == 3  # noqa: PLR2004  # any but the first, which has other peculiarities


def links_to(record_type_links: tuple[str, ...], shape: Shape, target: str) -> list[str]:
    """Return the legacy list of associated ids of type `target`; one slot may stand for many."""
    if target in shape.many:
        return [f"{{{{#all_{target}}}}}"]
    linked = target in record_type_links and target in shape.linkable
    return [f"{{{{#to_{target}}}}}"] if linked else []


def chosen(properties: Properties, shape: Shape, *, unasked: tuple[str, ...] = ()) -> Properties:
    """Return the properties to show: all, the requested ones, or `unasked` if none were requested."""
    asked = dict.fromkeys((*shape.properties, *shape.with_history)) or unasked
    names = properties if shape.every_property else (name for name in asked if name in properties)
    return {name: properties[name] for name in names if name not in shape.hidden}
