"""The JSON of a record in the dated API (2026-03, 2026-09): string ids, plain property values, ISO timestamps."""

from functools import cache

from sandbox.fake_hubspot.records.history import dated_versions
from sandbox.fake_hubspot.records.more_properties import dated_value
from sandbox.fake_hubspot.records.registry import RECORD_TYPES
from sandbox.fake_hubspot.records.shape import VARIANTS, RecordType, Shape


def dated_object(record_type: RecordType, variant: int, shape: Shape) -> dict[str, object]:
    """Return one record; properties sorted by name, null for missing values, unknown names omitted."""
    return {
        "id": "{{id}}",
        "properties": _properties(record_type, variant, shape),
        **_history(record_type, variant, shape),
        "createdAt": "{{created_iso}}",
        "updatedAt": "{{modified_iso}}",
        "archived": shape.archived,
        **({"archivedAt": "{{archived_iso}}"} if shape.archived else {}),
        "url": f"https://app.hubspot.com/contacts/{{{{hub}}}}/record/{record_type.dated_number}/{{{{id}}}}",
        **_associations(record_type, variant, shape),
    }


@cache
def known_properties(record_type: RecordType) -> frozenset[str]:
    """Return the names of all properties that records of the type can have."""
    with_values = (name for variant in range(VARIANTS) for name in record_type.properties(variant))
    return frozenset((*with_values, *record_type.valueless))


def association_key(target: str) -> str:
    """Return the key of associations with a type in a record: for line items it has a blank, as recorded."""
    if target not in RECORD_TYPES:
        return f"p{{{{hub}}}}_{target}"
    return "line items" if target == "line_items" else target


def _properties(record_type: RecordType, variant: int, shape: Shape) -> dict[str, str | None]:
    values = record_type.properties(variant)
    always = (record_type.created_property, record_type.modified_property, "hs_object_id")
    asked = (*shape.properties, *shape.with_history)
    names = (*always, *asked) if asked else record_type.dated_defaults
    known = known_properties(record_type) if asked else frozenset(names)
    return {name: dated_value(name, values.get(name)) for name in sorted(set(names)) if name in known}


def _history(record_type: RecordType, variant: int, shape: Shape) -> dict[str, object]:
    if not shape.with_history:
        return {}
    values = record_type.properties(variant)
    names = [name for name in shape.with_history if name in values]
    return {"propertiesWithHistory": {name: dated_versions(name, values[name], shape) for name in names}}


def _associations(record_type: RecordType, variant: int, shape: Shape) -> dict[str, object]:
    linked = [name for name in record_type.links(variant) if name in shape.linkable]
    shown: dict[str, object] = {}
    for name in shape.associations:
        if name in shape.many:
            shown[association_key(name)] = f"{{{{#page_{name}}}}}"
        elif name in linked:
            type_ = f"{record_type.singular}_to_{singular(name)}"
            shown[association_key(name)] = {"results": [{"id": f"{{{{to_{name}}}}}", "type": type_}]}
    return {"associations": shown} if shown else {}


def singular(target: str) -> str:
    """Return what names of associations call a type; a custom object by its plain name."""
    known = RECORD_TYPES.get(target)
    return known.singular if known else target
