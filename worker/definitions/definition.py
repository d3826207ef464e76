"""What HubSpot defines for a portal, as far as exports and callers need it; pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Sensitivity(StrEnum):
    """How HubSpot guards the values of a property. Its definition needs no scope of its own, its values do."""

    NONE = "non_sensitive"
    SENSITIVE = "sensitive"
    HIGH = "highly_sensitive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A value that a property may have."""

    value: str
    label: str
    hidden: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PropertyDefinition:
    """A property of a type; `kinds` are those that have it, of a type that is made up of several."""

    name: str
    label: str = ""
    type: str = ""
    field_type: str = ""
    group: str = ""
    description: str = ""
    options: tuple[Option, ...] = ()
    calculated: bool = False
    hidden: bool = False
    hubspot_defined: bool = False
    sensitivity: str = Sensitivity.NONE.value
    kinds: tuple[str, ...] = ()

    @property
    def is_sensitive(self) -> bool:
        return self.sensitivity in {Sensitivity.SENSITIVE, Sensitivity.HIGH}


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomType:
    """A custom object: `name` is its `fullyQualifiedName`, `short_name` the one that its makers gave it."""

    name: str
    type_id: str
    short_name: str
    singular: str = ""
    plural: str = ""
    primary_property: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage of a pipeline; `metadata` are HubSpot's, as `isClosed` and `probability`."""

    id: str
    label: str = ""
    order: int | None = None
    archived: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """A pipeline with its stages."""

    id: str
    label: str = ""
    order: int | None = None
    archived: bool = False
    stages: tuple[Stage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """A team that an owner belongs to."""

    id: str
    name: str = ""
    primary: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A user whom records can belong to; records name the `id`."""

    id: str
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    user_id: int | None = None
    type: str | None = None
    archived: bool = False
    teams: tuple[Team, ...] = ()
