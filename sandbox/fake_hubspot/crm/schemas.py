"""The schemas of an account's custom objects, /crm-object-schemas/2026-09/schemas."""

from sandbox.fake_hubspot import errors
from sandbox.fake_hubspot.account import Account
from sandbox.fake_hubspot.call import Call
from sandbox.fake_hubspot.crm.properties import definitions
from sandbox.fake_hubspot.messages import Answer
from sandbox.fake_hubspot.parameters import is_true
from sandbox.fake_hubspot.records.custom_objects import qualified_name
from sandbox.fake_hubspot.records.registry import RECORD_TYPES
from sandbox.fake_hubspot.records.shape import RecordType

DATED_PATHS = ("/crm-object-schemas/2026-03/schemas", "/crm-object-schemas/2026-09/schemas")
LEGACY_PATH = "/crm/v3/schemas"
_CREATED_AT = "2024-02-01T10:00:00.000Z"
_ALWAYS_LINKED = ("contacts", "companies", "deals", "tickets")


def answer(call: Call) -> Answer:
    """Return all schemas; none has been archived."""
    names = () if is_true(call.request.first("archived")) else call.owner.settings.custom_objects
    return Answer.json(200, {"results": [_view(call, call.owner.record_types[name]) for name in names]})


def answer_one(call: Call) -> Answer:
    """Return the schema of the type that the path names in any of its forms."""
    record_type = call.owner.find_type(call.request.path.rpartition("/")[2])
    if record_type is None or record_type.name in RECORD_TYPES:
        return errors.object_not_found(call, "schema not found")
    return Answer.json(200, _view(call, record_type))


def _view(call: Call, record_type: RecordType) -> dict[str, object]:
    account, name = call.owner, record_type.name
    label = name.replace("_", " ").capitalize()
    return {
        "labels": {"singular": label.removesuffix("s"), "plural": label},
        "requiredProperties": ["name"],
        "searchableProperties": ["name"],
        "primaryDisplayProperty": "name",
        "secondaryDisplayProperties": [],
        "archived": False,
        "allowsSensitiveProperties": bool(account.settings.sensitive_properties.get(name)),
        "id": record_type.dated_number.removeprefix("2-"),
        "fullyQualifiedName": qualified_name(account.hub_id, name),
        "createdAt": _CREATED_AT,
        "updatedAt": _CREATED_AT,
        "createdByUserId": account.settings.user_id,
        "objectTypeId": record_type.dated_number,
        "name": name,
        "properties": [] if _declined(call, "includePropertyDefinitions") else _properties(account, name),
        "associations": [] if _declined(call, "includeAssociationDefinitions") else _associations(record_type),
    }


def _declined(call: Call, name: str) -> bool:
    return (call.request.first(name) or "true").lower() == "false"


def _properties(account: Account, name: str) -> list[dict[str, object]]:
    found = sorted(definitions(account, name).items())
    return [each.view() for _, each in found if each.sensitivity == "non_sensitive" and not each.archived]


def _associations(record_type: RecordType) -> list[dict[str, object]]:
    """Return both directions to each of the types that every custom object can be associated with."""
    number, found = record_type.dated_number, list[dict[str, object]]()
    for name in _ALWAYS_LINKED:
        other = RECORD_TYPES[name]
        for start, end, label in (
            (number, other.dated_number, f"{record_type.name}_to_{other.singular}"),
            (other.dated_number, number, f"{other.singular}_to_{record_type.name}"),
        ):
            found.append({"fromObjectTypeId": start, "toObjectTypeId": end, "name": label, "id": str(len(found) + 1)})
    return found
