"""Scopes that go beyond those of a record type, as HubSpot's published specifications list them."""

from collections.abc import Iterable, Sequence

from sandbox.fake_hubspot.records.registry import RECORD_TYPES
from sandbox.fake_hubspot.records.shape import RecordType

OWNERS = ("crm.objects.owners.read",)
SCHEMAS = (
    *("crm.schemas.custom.read", "crm.objects.custom.read"),
    *("crm.objects.custom.sensitive.read.v2", "crm.objects.custom.highly_sensitive.read.v2"),
)
_CUSTOM = ("crm.schemas.custom.read", "crm.objects.custom.read")


def definitions_of(record_type: RecordType) -> tuple[str, ...]:
    """Return the scopes of which any one reads a type's properties and pipelines."""
    name = record_type.name if record_type.name in RECORD_TYPES else "custom"
    return (*record_type.scopes, f"crm.schemas.{name}.read")


def sensitive_values_of(record_type: RecordType, *, highly: bool) -> tuple[str, ...]:
    """Return the scopes of which any one reads values of sensitive properties; definitions of them need none."""
    level = "highly_sensitive" if highly else "sensitive"
    if record_type.name == "tickets":
        return (f"tickets.{level}.v2", f"tickets.{level}")
    base = record_type.scopes[0].removesuffix(".read")
    return (f"{base}.{level}.read.v2", f"{base}.{level}.read")


def granted_for(types: Iterable[str], custom_objects: Sequence[str]) -> tuple[str, ...]:
    """Return the scopes that an app asks for which reads these types, each once."""
    found = list(_CUSTOM if custom_objects else ())
    for name in types:
        if name == "owners":
            found += OWNERS
        elif name in RECORD_TYPES:
            found += RECORD_TYPES[name].scopes[:1]
    return tuple(dict.fromkeys(found))
