"""Questions and answers of RPC requests <-> the documents they are stored as."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from worker.definitions.questions import CheckedProperties, CheckProperties, Defined, ListDefinitions
from worker.jobs.mongo.documents import error_from_document, error_to_document
from worker.jobs.status import JobError
from worker.mongo.database import Document
from worker.records.conversion import decode
from worker.rpc.requests import Answer, Connected, ExchangeCode, Plan, PlanExports, Question

_Value: TypeAlias = Question | Connected | Plan | Defined | CheckedProperties

_FAILURE = "failure"
_KINDS: dict[str, type[_Value]] = {
    "exchange_code": ExchangeCode,
    "plan_exports": PlanExports,
    "list_definitions": ListDefinitions,
    "check_properties": CheckProperties,
    "connected": Connected,
    "plan": Plan,
    "defined": Defined,
    "checked_properties": CheckedProperties,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def question_to_document(question: Question) -> Document:
    return _to_document(question)


def question_from_document(document: Document) -> Question:
    found = _from_document(document)
    if not isinstance(found, Question):
        raise TypeError(f"{document['kind']} is not a question")
    return found


def answer_to_document(answer: Answer) -> Document:
    if isinstance(answer, JobError):
        return {"kind": _FAILURE, "error": error_to_document(answer)}
    return _to_document(answer)


def answer_from_document(document: Document) -> Answer:
    if document["kind"] == _FAILURE:
        return error_from_document(document["error"])
    found = _from_document(document)
    if not isinstance(found, Connected | Plan | Defined | CheckedProperties):
        raise TypeError(f"{document['kind']} is not an answer")
    return found


def _to_document(value: _Value) -> Document:
    # As JSON text: names of HubSpot's parameters may hold what MongoDB does not allow in field names.
    return {"kind": _NAMES[type(value)], "value": msgspec.json.encode(value).decode()}


def _from_document(document: Document) -> _Value:
    return decode(document["value"], _KINDS[document["kind"]])
