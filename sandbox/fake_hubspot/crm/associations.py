"""Reading associations by ids, POST /crm/associations/2026-09/{from}/{to}/batch/read."""

from collections.abc import Mapping
from zlib import crc32

import msgspec

from sandbox.fake_hubspot import errors
from sandbox.fake_hubspot.call import Call
from sandbox.fake_hubspot.crm.batch_read import batch_answer, failure, find_indexes
from sandbox.fake_hubspot.messages import Answer
from sandbox.fake_hubspot.records.custom_objects import SCOPE
from sandbox.fake_hubspot.records.ids import mix
from sandbox.fake_hubspot.records.links import association_types, next_page, page_after, read_after
from sandbox.fake_hubspot.records.registry import RECORD_TYPES
from sandbox.fake_hubspot.records.shape import RecordType

VERSIONS = (
    *("/crm/associations/2026-03", "/crm/associations/2026-09"),
    *("/crm/v3/associations", "/crm/v4/associations"),
)
SCOPES = tuple(dict.fromkeys((*(scope for each in RECORD_TYPES.values() for scope in each.scopes), SCOPE)))
"""Any one admits a call; whether it is one of the two types is checked once those are known."""
_MOST_INPUTS = 1_000
_TYPES_AT = slice(4, 6)
"""Where the types stand among the parts of a path."""
_TYPE_IDS: Mapping[str, int] = {
    "contact_to_company": 1,
    "contact_to_company_unlabeled": 279,
    "deal_to_contact": 3,
    "deal_to_company": 5,
    "deal_to_company_unlabeled": 341,
    "deal_to_line_item": 19,
    "deal_to_ticket": 27,
    "ticket_to_contact": 16,
    "ticket_to_company": 26,
    "ticket_to_company_unlabeled": 339,
    "line_item_to_deal": 20,
    "quote_to_deal": 64,
    "quote_to_contact": 69,
    "note_to_contact": 202,
    "note_to_company": 190,
    "note_to_deal": 214,
    "call_to_contact": 194,
    "call_to_company": 182,
    "call_to_deal": 206,
    "email_to_contact": 198,
    "email_to_company": 186,
    "email_to_deal": 210,
    "meeting_to_contact": 200,
    "meeting_to_company": 188,
    "meeting_to_deal": 212,
    "task_to_contact": 204,
    "task_to_company": 192,
    "task_to_deal": 216,
}
_FIRST_OWN_TYPE_ID = 5_000
"""Other associations have ids of the account's own."""


class _Input(msgspec.Struct, frozen=True):
    id: str | int
    after: str | None = None


class _Read(msgspec.Struct, frozen=True):
    inputs: tuple[_Input, ...]


class _InvalidInputsError(Exception):
    pass


def answer(call: Call) -> Answer:
    """Return a page of the associations of each record that has any; 207 names the others.

    By HubSpot's specification of 2026-09 (CRM/Associations/Rollouts/130902), `to` has `toObjectId` as text and
    `associationTypes`; version 4 has the id as a number, and version 3 has `id` and `type`. The failures are as
    recorded from versions 3 and 4.
    """
    aliases = call.request.path.split("/")[_TYPES_AT]
    types = [found for alias in aliases if (found := call.owner.find_type(alias))]
    if len(types) < len(aliases):
        return errors.unknown_object_type(call, next(each for each in aliases if not call.owner.find_type(each)))
    if refusals := [refusal for each in types if (refusal := _refuse(call, each))]:
        return refusals[0]
    try:
        starts = _starts(call.request.body)
    except (msgspec.MsgspecError, _InvalidInputsError) as error:
        return errors.validation(call, f"Invalid input: {error}")
    own, other = types
    return _answer(call, own, other, starts)


def _starts(body: bytes) -> Mapping[str, int]:
    """Return the last id that has been read of each record asked for, 0 for none."""
    inputs = msgspec.json.decode(body, type=_Read).inputs
    if len(inputs) > _MOST_INPUTS:
        raise _InvalidInputsError(f"the batch has {len(inputs)} inputs, and the most are {_MOST_INPUTS}")
    starts = {str(each.id): read_after(each.after or "") for each in inputs}
    if wrong := [key for key, after in starts.items() if after is None]:
        raise _InvalidInputsError(f"the after of {wrong[0]} is not valid")
    return {key: after or 0 for key, after in starts.items()}


def _refuse(call: Call, record_type: RecordType) -> Answer | None:
    granted = set(call.owner.settings.scopes)
    if not granted.intersection(record_type.scopes):
        return errors.missing_scopes(call, record_type.scopes)
    return None if granted.issuperset(record_type.needs) else errors.missing_scopes(call, record_type.needs)


def _answer(call: Call, own: RecordType, other: RecordType, starts: Mapping[str, int]) -> Answer:
    links = call.owner.renderer.links
    known = find_indexes(call, own, (int(key) for key in starts if key.isascii() and key.isdigit()))
    ids = {str(record_id): links.ids(own, index, other) for record_id, index in known.items()}
    write = _FORMS.get(call.request.path.partition("associations")[0], _as_dated)
    results: list[dict[str, object]] = []
    # A shuffle that is the same each time: the answer is not in the order of the question.
    for key in sorted((key for key in starts if ids.get(key)), key=lambda key: mix(call.owner.hub_id, int(key))):
        page, last = page_after(ids[key], starts[key])
        paging = {} if last is None else {"paging": next_page(own, int(key), other, last)}
        names = [(each, association_types(own, other, is_first=each == ids[key][0])) for each in page]
        results.append({"from": {"id": key}, "to": [to for each in names for to in write(*each)], **paging})
    failures = [_none(key, own, other) for key in starts if not ids.get(key)]
    return batch_answer(call, msgspec.json.encode(results)[1:-1], failures)


def _none(key: str, own: RecordType, other: RecordType) -> dict[str, object]:
    context = {"fromObjectId": [key], "fromObjectType": [own.singular], "toObjectType": [other.singular]}
    message = f"No {other.singular} is associated with {own.singular} {key}."
    return failure(message, context, sub_category="crm.associations.NO_ASSOCIATIONS_FOUND")


def _as_dated(record_id: int, types: list[str]) -> list[dict[str, object]]:
    return [{"toObjectId": str(record_id), "associationTypes": [_type(name) for name in types]}]


def _as_version_4(record_id: int, types: list[str]) -> list[dict[str, object]]:
    return [{"toObjectId": record_id, "associationTypes": [{**_type(name), "label": None} for name in types]}]


def _as_version_3(record_id: int, types: list[str]) -> list[dict[str, object]]:
    return [{"id": str(record_id), "type": name} for name in types]


def _type(name: str) -> dict[str, object]:
    if type_id := _TYPE_IDS.get(name):
        return {"category": "HUBSPOT_DEFINED", "typeId": type_id}
    return {"category": "USER_DEFINED", "typeId": _FIRST_OWN_TYPE_ID + crc32(name.encode()) % _FIRST_OWN_TYPE_ID}


_FORMS = {"/crm/v3/": _as_version_3, "/crm/v4/": _as_version_4}
