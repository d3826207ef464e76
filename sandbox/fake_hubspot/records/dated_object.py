"""The JSON of a record in the dated API (2026-03, 2026-09): string ids, plain property values, ISO timestamps."""

from functools import cache

from sandbox.fake_hubspot.records.shape import LINK_SLOTS, VARIANTS, RecordType, Shape

_SINGULAR = {"contacts": "contact", "companies": "company", "deals": "deal"}
_ISO = {"{{created}}": "{{created_iso}}", "{{modified}}": "{{modified_iso}}"}


def dated_object(record_type: RecordType, variant: int, shape: Shape) -> dict[str, object]:
    """Return one record; properties sorted by name, null for missing values, unknown names omitted."""
    return {
        "id": "{{id}}",
        "properties": _properties(record_type, variant, shape),
        **_history(record_type, variant, shape),
        "createdAt": "{{created_iso}}",
        "updatedAt": "{{modified_iso}}",
        "archived": False,
        "url": f"https://app.hubspot.com/contacts/{{{{hub}}}}/record/{record_type.dated_number}/{{{{id}}}}",
        **_associations(record_type, variant, shape),
    }


@cache
def known_properties(record_type: RecordType) -> frozenset[str]:
    """Return the names of all properties that records of the type can have."""
    return frozenset(name for variant in range(VARIANTS) for name in record_type.properties(variant))


def _properties(record_type: RecordType, variant: int, shape: Shape) -> dict[str, str | None]:
    values = record_type.properties(variant)
    always = (record_type.created_property, record_type.modified_property, "hs_object_id")
    asked = (*shape.properties, *shape.with_history)
    names = (*always, *asked) if asked else record_type.dated_defaults
    known = known_properties(record_type) if asked else frozenset(names)
    return {name: _iso(values.get(name)) for name in sorted(set(names)) if name in known}


def _history(record_type: RecordType, variant: int, shape: Shape) -> dict[str, object]:
    if not shape.with_history:
        return {}
    values = record_type.properties(variant)
    entry = {"timestamp": "{{modified_iso}}", "sourceType": "API"}
    names = [name for name in shape.with_history if name in values]
    return {"propertiesWithHistory": {name: [{"value": _iso(values[name]), **entry}] for name in names}}


def _associations(record_type: RecordType, variant: int, shape: Shape) -> dict[str, object]:
    linked = [name for name in record_type.links(variant) if name in shape.linkable]
    shown = {
        name: {"results": [{"id": LINK_SLOTS[name].replace("#", ""), "type": _association_type(record_type, name)}]}
        for name in shape.associations
        if name in linked
    }
    return {"associations": shown} if shown else {}


def _association_type(record_type: RecordType, target: str) -> str:
    return f"{record_type.dated_singular}_to_{_SINGULAR[target]}"


def _iso(value: str | None) -> str | None:
    return _ISO.get(value, value) if value else value
