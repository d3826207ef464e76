"""Lists of types in bodies and queries: which words are taken depends on what a setting enables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BeforeValidator, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from api_shim.requests.errors import MOST_COMPLAINTS
from worker.errors import InvalidRequestError
from worker.jobs.status import JOB_TYPES, JobKind
from worker.records.enabled_types import ALL_TYPES, EnabledTypes, is_short_custom_name
from worker.records.registry import OBJECT_TYPES, is_type
from worker.records.types import DOCUMENTED_TYPES, ExportType

TWICE = "names a type more than once"
UNSUPPORTED_TYPE = "unsupported_type"
JOB_TYPE = "job_type"
"""The kind of error of a word that is no type of jobs; its text depends on what is enabled."""
ENABLED = "enabled"
"""What the enabled types are called in the context of a validation; without them the documented ones are."""

_TYPE_BY_ID = {each.type_id: ExportType(name) for name, each in OBJECT_TYPES.items() if each.type_id is not None}


def known_type(word: str, enabled: EnabledTypes) -> ExportType | None:
    """Return the enabled type of this name or `objectTypeId`; None: unknown here, a portal may define it.

    Ids are taken where more than the documented types are enabled: without the setting no answer is another one.
    """
    if enabled.allows(word):
        return ExportType(word)
    found = None if enabled.are_documented else _TYPE_BY_ID.get(word)
    return found if found is not None and enabled.allows(found) else None


def may_be_custom(word: str, enabled: EnabledTypes) -> bool:
    """Return whether a word can name a custom object, which the caller's portal would have to be asked for."""
    if not enabled.has_custom:
        return False
    return word.startswith("2-") or (is_short_custom_name(word) and (enabled.all_custom or word in enabled.custom))


def _sync_types(values: object, info: ValidationInfo) -> object:
    """Parse type names; null means what an absent list does. Names of custom objects stay as they are."""
    enabled: EnabledTypes = (info.context or {}).get(ENABLED) or EnabledTypes()
    if values is None:
        return enabled.of_a_sync
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise ValueError("must be a list of types")
    if not values:
        raise ValueError("must name at least one type")
    if ALL_TYPES in values:
        if len(values) > 1:
            raise ValueError("* stands for all types, and beside no other")
        return (ALL_TYPES,)
    if not all(known_type(each, enabled) or may_be_custom(each, enabled) for each in values):
        raise PydanticCustomError(UNSUPPORTED_TYPE, "has a type that is not supported")
    types = tuple(known_type(each, enabled) or ExportType(each) for each in values)
    if len({*types}) < len(types):
        raise ValueError(TWICE)
    return types


_TYPES_SCHEMA = {
    "type": ["array", "null"],
    "items": {"type": "string", "enum": list(DOCUMENTED_TYPES)},
    "minItems": 1,
    "uniqueItems": True,
    "default": list(DOCUMENTED_TYPES),
}
SyncTypes: TypeAlias = Annotated[tuple[ExportType, ...], BeforeValidator(_sync_types), WithJsonSchema(_TYPES_SCHEMA)]


def _possible_job_type(word: str) -> str:
    if word not in JOB_TYPES and not is_type(word) and word not in _TYPE_BY_ID:
        raise PydanticCustomError(JOB_TYPE, "must be the type of a job")
    return word


def job_type_complaint(enabled: EnabledTypes) -> str:
    """Return what is wrong with a word that is no type of jobs."""
    words = [*map(repr, enabled.listed), *map(repr, sorted({*enabled.custom} - {ALL_TYPES}))]
    words += ["a custom object"] if enabled.all_custom else []
    return f"input should be {', '.join(words)} or {JobKind.SYNC.value!r}"


def job_types(words: Sequence[str], enabled: EnabledTypes) -> frozenset[str]:
    """Return the types of jobs that a list is narrowed down to. Raises InvalidRequestError."""
    found = [each if each == JobKind.SYNC else known_type(each, enabled) for each in words]
    wrong = [f"type.{place}: {job_type_complaint(enabled)}" for place, each in enumerate(found) if each is None]
    if wrong:
        raise InvalidRequestError("; ".join(wrong[:MOST_COMPLAINTS]))
    return frozenset(each for each in found if each is not None)


JobType: TypeAlias = Annotated[
    str, AfterValidator(_possible_job_type), WithJsonSchema({"enum": list(JOB_TYPES), "type": "string"})
]
