"""Answers that are HubSpot's definitions: response schemas (pydantic), and how they are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec
from fastapi import Response
from pydantic import BaseModel

from api_shim.services.definitions import ShownTypes
from worker.definitions.definition import CustomType
from worker.records.registry import OBJECT_TYPES
from worker.records.scopes import missing_scopes
from worker.records.types import ExportType


class LabelsView(BaseModel):
    """What people call one of these objects, and many."""

    singular: str
    plural: str


class TypeView(BaseModel):
    """A type of objects.

    `object_type_id` is HubSpot's, null for what is no object. `enabled`: it can be exported here. Any one of
    `missing_scopes` would be enough to read it; none is missing of an empty list; null: HubSpot does not tell.
    """

    name: str
    object_type_id: str | None
    labels: LabelsView
    custom: bool
    enabled: bool
    missing_scopes: list[str] | None


class CustomObjectsView(BaseModel):
    """Whether HubSpot lists the account's custom objects, and otherwise why not."""

    listed: bool
    reason: str | None


class TypesView(BaseModel):
    """All types, those of the account itself behind those of HubSpot."""

    types: list[TypeView]
    custom_objects: CustomObjectsView


class TypesAnswer(BaseModel):
    """Types of objects."""

    success: Literal[True] = True
    message: Literal["Types found"] = "Types found"
    data: TypesView


class OptionView(BaseModel):
    """A value that a property may have."""

    value: str
    label: str
    hidden: bool


class PropertyView(BaseModel):
    """A property as HubSpot defines it; `kinds` are those that have it, of a type that is made up of several.

    HubSpot recalculates a `calculated` one without a modification of its record: incremental syncs may miss that.
    """

    name: str
    label: str
    type: str
    field_type: str
    group: str
    description: str
    options: list[OptionView]
    calculated: bool
    hidden: bool
    hubspot_defined: bool
    sensitivity: str
    kinds: list[str]


class PropertiesAnswer(BaseModel):
    """The properties of a type, in HubSpot's order, sensitive ones at the end."""

    success: Literal[True] = True
    message: Literal["Properties found"] = "Properties found"
    data: list[PropertyView]


class StageView(BaseModel):
    """A stage of a pipeline; `metadata` are HubSpot's own."""

    id: str
    label: str
    order: int | None
    archived: bool
    metadata: dict[str, str]


class PipelineView(BaseModel):
    """A pipeline with its stages."""

    id: str
    label: str
    order: int | None
    archived: bool
    stages: list[StageView]


class PipelinesAnswer(BaseModel):
    """The pipelines of a type; none where it has none."""

    success: Literal[True] = True
    message: Literal["Pipelines found"] = "Pipelines found"
    data: list[PipelineView]


class TeamView(BaseModel):
    """A team that an owner belongs to."""

    id: str
    name: str
    primary: bool


class OwnerView(BaseModel):
    """A user whom records can belong to: they name the `id` in `hubspot_owner_id`."""

    id: str
    email: str | None
    first_name: str | None
    last_name: str | None
    user_id: int | None
    type: str | None
    archived: bool
    teams: list[TeamView]


class OwnersAnswer(BaseModel):
    """The owners of an account, without former ones."""

    success: Literal[True] = True
    message: Literal["Owners found"] = "Owners found"
    data: list[OwnerView]


def types_answer(shown: ShownTypes, *, is_enabled: Callable[[ExportType], bool]) -> Response:
    standard = [
        _type(each, OBJECT_TYPES[each].type_id, _labels(each), shown, is_enabled=is_enabled(each))
        for each in shown.standard
    ]
    custom = [
        _type(each.name, each.type_id, _labels_of(each), shown, is_enabled=is_enabled(ExportType(each.name)))
        for each in shown.custom
    ]
    view = TypesView(
        types=[*standard, *custom],
        custom_objects=CustomObjectsView(listed=shown.refused is None, reason=shown.refused),
    )
    return _answer(TypesAnswer.model_fields["message"].default, view.model_dump(mode="json"))


def definitions_answer(
    model: type[PropertiesAnswer | PipelinesAnswer | OwnersAnswer], found: Iterable[Any]
) -> Response:
    """Answer with definitions, whose fields are those of the model's view: pydantic would take ten times as long."""
    return _answer(model.model_fields["message"].default, list(found))


def _answer(message: str, data: object) -> Response:
    body = msgspec.json.encode({"success": True, "message": message, "data": data})
    return Response(body, media_type="application/json")


def _type(name: str, type_id: str | None, labels: LabelsView, shown: ShownTypes, *, is_enabled: bool) -> TypeView:
    missing = missing_scopes([ExportType(name)], shown.granted) if shown.granted is not None else None
    return TypeView(
        name=name,
        object_type_id=type_id,
        labels=labels,
        custom=name not in OBJECT_TYPES,
        enabled=is_enabled,
        missing_scopes=list(missing.get(ExportType(name), ())) if missing is not None else None,
    )


def _labels(name: str) -> LabelsView:
    plural = name.replace("_", " ").capitalize()
    singular = f"{plural.removesuffix('ies')}y" if plural.endswith("ies") else plural.removesuffix("s")
    return LabelsView(singular=singular, plural=plural)


def _labels_of(custom: CustomType) -> LabelsView:
    name = custom.short_name
    return LabelsView(singular=custom.singular or name, plural=custom.plural or custom.singular or name)
