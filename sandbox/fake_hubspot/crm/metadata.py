"""The metadata endpoints: properties of a type, and custom object schemas."""

from functools import partial

from sandbox.fake_hubspot.call import Call, Route
from sandbox.fake_hubspot.crm.dated_lists import DATED_LISTS, DatedList
from sandbox.fake_hubspot.messages import Answer
from sandbox.fake_hubspot.records.dated_object import known_properties

_VERSIONS = ("/crm/properties/2026-03", "/crm/properties/2026-09", "/crm/v3/properties")
_SCHEMAS = ("/crm/v3/schemas",)


def metadata_routes() -> dict[str, dict[str, Route]]:
    properties = {
        f"{version}/{alias}": {"GET": each.route(partial(_properties_of, each), name="properties")}
        for version in _VERSIONS
        for each in DATED_LISTS
        for alias in each.aliases
    }
    return properties | {path: {"GET": Route("schemas", _no_schemas, ("oauth",))} for path in _SCHEMAS}


def _properties_of(listed: DatedList, _: Call) -> Answer:
    """Return the properties of a type; all are declared as text."""
    names = sorted(known_properties(listed.record_type))
    described = [
        {"name": name, "label": name, "type": "string", "fieldType": "text", "archived": False} for name in names
    ]
    return Answer.json(200, {"results": described})


def _no_schemas(_: Call) -> Answer:
    return Answer.json(200, {"results": []})
