"""Reading records by their ids, POST /crm/objects/2026-09/{type}/batch/read."""

import re
from collections.abc import Iterable
from dataclasses import replace

import msgspec

from sandbox.fake_hubspot import errors
from sandbox.fake_hubspot.admission import refuse_sensitive
from sandbox.fake_hubspot.call import Call
from sandbox.fake_hubspot.crm.dated_lists import DatedList
from sandbox.fake_hubspot.messages import TYPE_JSON, Answer
from sandbox.fake_hubspot.records.ids import mix
from sandbox.fake_hubspot.records.renderer import iso
from sandbox.fake_hubspot.records.shape import RecordType

_MOST_INPUTS = 100
_MOST_INPUTS_WITH_HISTORY = 50
_MS = 1000
_ID_IN_EMAIL = re.compile(r"\.(\d+)@")


class _Input(msgspec.Struct, frozen=True):
    id: str | int


class _Read(msgspec.Struct, frozen=True, rename="camel"):
    inputs: tuple[_Input, ...]
    properties: tuple[str, ...] = ()
    properties_with_history: tuple[str, ...] = ()
    id_property: str | None = None


def answer(listed: DatedList, call: Call) -> Answer:
    """Return the records that there are: with 207 if some are not, of which the ids are told.

    The order is not that of the question, and there are no associations. `archived=true` reads deleted records only.
    """
    try:
        asked = msgspec.json.decode(call.request.body, type=_Read)
    except msgspec.MsgspecError as error:
        return errors.validation(call, f"Invalid input JSON: {error}")
    names = (*asked.properties, *asked.properties_with_history)
    most = _MOST_INPUTS_WITH_HISTORY if asked.properties_with_history else _MOST_INPUTS
    if len(asked.inputs) > most:
        return errors.validation(call, f"The batch has {len(asked.inputs)} inputs: the maximum is {most}")
    if asked.id_property not in {None, "hs_object_id", *(("email",) if listed.name == "contacts" else ())}:
        return errors.validation(call, f"{asked.id_property} is not a unique property")
    return refuse_sensitive(call, listed.record_type, names) or _answer(listed, call, asked)


def _answer(listed: DatedList, call: Call, asked: _Read) -> Answer:
    account, shape = call.owner, listed.shown(call)
    shape = replace(shape, properties=asked.properties, with_history=asked.properties_with_history, associations=())
    keys = dict.fromkeys(str(each.id) for each in asked.inputs)
    ids = {key: _id_in_email(listed, call, key) if asked.id_property == "email" else _number(key) for key in keys}
    known = find_indexes(call, listed.record_type, ids.values(), archived=shape.archived)
    # A shuffle that is the same each time.
    indexes = sorted(known.values(), key=lambda index: mix(account.hub_id, index))
    records = b",".join(account.renderer.render(listed.name, indexes, shape))
    missing = [key for key, record_id in ids.items() if record_id not in known]
    what = f"Could not get some {listed.record_type.singular.upper()} objects"
    message = f"{what}, they may be deleted or not exist. Check that ids are valid."
    return batch_answer(call, records, [failure(message, {"ids": missing})] if missing else [])


def find_indexes(
    call: Call, record_type: RecordType, record_ids: Iterable[int | None], *, archived: bool = False
) -> dict[int | None, int]:
    """Return the indexes of those records of a type that there are, live or archived, by id."""
    account, record_set = call.owner, call.owner.records[record_type.record_set]
    if archived:
        in_bin = {record_set.id_at(index): index for index in account.archived(record_type, at=call.at)}
        return {each: in_bin[each] for each in record_ids if each in in_bin}
    live = (index for each in record_ids if each and (index := record_set.index_of(each)) is not None)
    return {record_set.id_at(index): index for index in account.renderer.members(record_type, live)}


def batch_answer(call: Call, results: bytes, failures: list[dict[str, object]]) -> Answer:
    """Return the answer to a batch: results as the inside of a JSON list, 207 with failures."""
    at = iso(int(call.at * _MS))
    failed = {"numErrors": len(failures), "errors": failures} if failures else {}
    rest = msgspec.json.encode({**failed, "startedAt": at, "completedAt": at})
    body = b'{"status":"COMPLETE","results":[%b],%b' % (results, rest[1:])
    return Answer(207 if failures else 200, body, {"content-type": TYPE_JSON})


def failure(message: str, context: dict[str, list[str]], *, sub_category: str | None = None) -> dict[str, object]:
    """Return an error of a batch: what the specification requires, and its category as recorded."""
    detailed = {"subCategory": sub_category} if sub_category else {}
    found = {"status": "error", "category": "OBJECT_NOT_FOUND", **detailed, "message": message, "context": context}
    return {**found, "links": {}, "errors": []}


def _number(key: str) -> int | None:
    return int(key) if key.isascii() and key.isdigit() else None


def _id_in_email(listed: DatedList, call: Call, email: str) -> int | None:
    """Return the id of the contact with an address, which contains it."""
    named = _ID_IN_EMAIL.search(email)
    record_set = call.owner.records[listed.record_type.record_set]
    index = record_set.index_of(int(named[1])) if named else None
    if named is None or index is None:
        return None
    own = listed.record_type.properties(record_set.facts(index).variant)["email"]
    return int(named[1]) if own.replace("{{id}}", named[1]) == email else None
