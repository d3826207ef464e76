"""What a request wants of each record, and the description of a record type."""

from collections.abc import Callable
from dataclasses import dataclass

VARIANTS = 64
"""Number of different contents per type; records with the same content differ in ids, times and links."""

LINK_SLOTS = {"contacts": "{{#contact_id}}", "companies": "{{#company_id}}", "deals": "{{#deal_id}}"}
"""Template slots for the id of an associated record, by its type."""


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

    def wants_history(self, name: str) -> bool:
        return self.full_history or name in self.with_history


@dataclass(frozen=True)
class RecordType:
    """One type of record: its properties, its legacy JSON if it has one, and its names in the dated API.

    `properties(variant)` maps names to values; `{{slots}}` in them stand for what differs from record to record.
    """

    name: str
    properties: Callable[[int], dict[str, str]]
    links: Callable[[int], tuple[str, ...]]
    dated_singular: str
    dated_number: str
    """The object type id; empty for engagements, which the dated API lists by kind."""
    dated_defaults: tuple[str, ...]
    scopes: tuple[str, ...]
    """Any one is enough."""
    legacy: Callable[[int, Shape], dict[str, object]] | None = None
    created_property: str = "createdate"
    modified_property: str = "hs_lastmodifieddate"
    needs: tuple[str, ...] = ()
    """Scopes that the dated API requires besides, all of them."""
    view_of: str = ""
    """The type of which this is a part, with the same ids; empty: a type of its own."""
    includes: Callable[[int], bool] | None = None
    """Which variants belong to the part; None: all."""
    other_names: tuple[str, ...] = ()
    """Further names in paths and parameters, as custom objects have."""

    @property
    def record_set(self) -> str:
        """The name of the records behind it."""
        return self.view_of or self.name

    @property
    def aliases(self) -> tuple[str, ...]:
        """Every name by which the dated API knows it, the usual one first."""
        return (self.name, self.dated_number, *self.other_names)


def links_to(record_type_links: tuple[str, ...], shape: Shape, target: str) -> list[str]:
    """Return the legacy list of associated ids of type `target`: one id or none."""
    linked = target in record_type_links and target in shape.linkable
    return [LINK_SLOTS[target]] if linked else []


def chosen(properties: dict[str, str], shape: Shape, *, unasked: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the properties to show: all, the requested ones, or `unasked` if none were requested."""
    if shape.every_property:
        return properties
    names = dict.fromkeys((*shape.properties, *shape.with_history)) or unasked
    return {name: properties[name] for name in names if name in properties}
