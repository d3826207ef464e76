"""What a caller asked to see of each record, and the names records are made of."""

from collections.abc import Callable
from dataclasses import dataclass

VARIANTS = 64
"""How many different contents a type has; records with the same content differ in ids, instants and links."""

LINK_SLOTS = {"contacts": "{{#contact_id}}", "companies": "{{#company_id}}", "deals": "{{#deal_id}}"}
"""Where the id of an associated record is filled in, by the type it belongs to."""


@dataclass(frozen=True)
class Shape:
    """The rendering a request asks for; two requests with equal shapes share their templates."""

    dated: bool = False
    properties: tuple[str, ...] = ()
    every_property: bool = False
    with_history: tuple[str, ...] = ()
    full_history: bool = False
    associations: tuple[str, ...] = ()
    """Types whose associations are shown; for the dated API only those that were asked for."""
    forms: str = "newest"
    email_bodies: bool = True
    """Whether the app may read the text of e-mails; HubSpot leaves it out otherwise, without an error."""
    of_feed: bool = False
    """Whether a feed shows them, which leaves fields out that the list has."""
    linkable: tuple[str, ...] = ()
    """Types of which the account has any record, so that a link can point somewhere."""

    def wants_history(self, name: str) -> bool:
        """Whether former values of this property are shown too."""
        return self.full_history or name in self.with_history


@dataclass(frozen=True)
class RecordType:
    """One type of record: its properties, its legacy JSON, and what the dated API says about it.

    `properties(variant)` maps names to values in which `{{slots}}` stand for what differs from record to record.
    """

    name: str
    properties: Callable[[int], dict[str, str]]
    legacy: Callable[[int, Shape], dict[str, object]]
    links: Callable[[int], tuple[str, ...]]
    dated_singular: str
    dated_number: str
    dated_defaults: tuple[str, ...]
    created_property: str = "createdate"
    modified_property: str = "hs_lastmodifieddate"


def links_to(record_type_links: tuple[str, ...], shape: Shape, target: str) -> list[str]:
    """Legacy list of associated ids of the type `target`: one or none."""
    linked = target in record_type_links and target in shape.linkable
    return [LINK_SLOTS[target]] if linked else []


def chosen(properties: dict[str, str], shape: Shape, *, unasked: tuple[str, ...] = ()) -> dict[str, str]:
    """Properties that the shape shows: all, those asked for, or without a wish those of `unasked`."""
    if shape.every_property:
        return properties
    names = dict.fromkeys((*shape.properties, *shape.with_history)) or unasked
    return {name: properties[name] for name in names if name in properties}
