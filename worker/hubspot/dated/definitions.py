"""DefinitionClient: HubSpot's own definitions of types, properties, pipelines and owners, by the dated API."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec
from pydantic import SecretStr

from worker.definitions.definition import (
    CustomType,
    Option,
    Owner,
    Pipeline,
    PropertyDefinition,
    Sensitivity,
    Stage,
    Team,
)
from worker.definitions.interfaces import DefinitionPage
from worker.definitions.lists import DefinitionList, Listed, ListKind
from worker.hubspot.dated.addresses import DatedAddresses
from worker.hubspot.transport import Transport
from worker.rate_limit.permits import Permit
from worker.records.mending import NotJsonError, decoded
from worker.records.plain_values import plain_flag, plain_integer
from worker.records.registry import is_custom_name

Json = dict[str, Any]
T = TypeVar("T")

_OWNERS_A_CALL = 500  # the most there may be; 100 unless it is asked for
_NO_LIST = "HubSpot's answer is not the list of definitions it should be"


class _Answer(msgspec.Struct):
    results: list[Any]
    paging: Any = None


_decode = msgspec.json.Decoder(_Answer).decode


class DefinitionClient:
    """DefinitionSource. The published specification: no list but that of owners has pages."""

    def __init__(self, *, transport: Transport, objects_url: str) -> None:
        self._transport = transport
        self._addresses = DatedAddresses(objects_url)

    def fetch(
        self, wanted: DefinitionList, access_token: SecretStr, *, after: str | None, permit: Permit
    ) -> DefinitionPage:
        """Read the page behind `after`."""
        params = [*_PARAMETERS.get(wanted.kind, ()), *_of_sensitivity(wanted), *([("after", after)] if after else [])]
        answer = self._transport.get(self._address(wanted), params, access_token, api="dated", permit=permit)
        try:
            found, _ = decoded(answer.body, _decode)
        except NotJsonError as error:
            raise answer.unusable(_NO_LIST, secrets=[access_token]) from error
        return DefinitionPage(
            listed=_READERS[wanted.kind](found.results), after=_after(found.paging), quota=answer.quota
        )

    def _address(self, wanted: DefinitionList) -> str:
        match wanted.kind:
            case ListKind.SCHEMAS:
                return self._addresses.schemas()
            case ListKind.PROPERTIES:
                return self._addresses.properties(wanted.path)
            case ListKind.PIPELINES:
                return self._addresses.pipelines(wanted.path)
            case ListKind.OWNERS:
                return self._addresses.owners()


_PARAMETERS: Mapping[ListKind, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        # A schema with all it can hold has hundreds of kilobytes.
        ListKind.SCHEMAS: (
            ("includePropertyDefinitions", "false"),
            ("includeAssociationDefinitions", "false"),
            ("includeAuditMetadata", "false"),
        ),
        ListKind.OWNERS: (("limit", str(_OWNERS_A_CALL)),),
    }
)


def _of_sensitivity(wanted: DefinitionList) -> list[tuple[str, str]]:
    """Name the sensitivity: without it HubSpot lists what is not sensitive."""
    if wanted.sensitivity is Sensitivity.NONE:
        return []
    return [("dataSensitivity", wanted.sensitivity.value)]


def _properties(results: Sequence[Any]) -> Listed:
    return Listed(properties=_each(results, _property))


def _schemas(results: Sequence[Any]) -> Listed:
    return Listed(custom_types=_each(results, _custom_type))


def _pipelines(results: Sequence[Any]) -> Listed:
    return Listed(pipelines=_each(results, _pipeline))


def _owners(results: Sequence[Any]) -> Listed:
    return Listed(owners=_each(results, _owner))


_READERS: Mapping[ListKind, Callable[[Sequence[Any]], Listed]] = MappingProxyType(
    {
        ListKind.PROPERTIES: _properties,
        ListKind.SCHEMAS: _schemas,
        ListKind.PIPELINES: _pipelines,
        ListKind.OWNERS: _owners,
    }
)


def _property(item: Json) -> PropertyDefinition | None:
    """Read a property; None for one that was archived, which no record has any more."""
    name = _text(item.get("name"))
    if not name or _flag(item.get("archived")):
        return None
    return PropertyDefinition(
        name=name,
        label=_text(item.get("label")),
        type=_text(item.get("type")),
        field_type=_text(item.get("fieldType")),
        group=_text(item.get("groupName")),
        description=_text(item.get("description")),
        options=_each(item.get("options"), _option),
        calculated=_flag(item.get("calculated")),
        hidden=_flag(item.get("hidden")),
        hubspot_defined=_flag(item.get("hubspotDefined")),
        sensitivity=_text(item.get("dataSensitivity")) or Sensitivity.NONE.value,
    )


def _option(item: Json) -> Option | None:
    if item.get("value") is None:
        return None
    value = _text(item["value"])
    return Option(value=value, label=_text(item.get("label")) or value, hidden=_flag(item.get("hidden")))


def _custom_type(item: Json) -> CustomType | None:
    name, type_id = _text(item.get("fullyQualifiedName")), _text(item.get("objectTypeId"))
    if not is_custom_name(name) or _flag(item.get("archived")):
        return None
    given = item.get("labels")
    labels: Json = given if isinstance(given, dict) else {}
    return CustomType(
        name=name,
        type_id=type_id,
        short_name=_text(item.get("name")) or name.partition("_")[2],
        singular=_text(labels.get("singular")),
        plural=_text(labels.get("plural")),
        primary_property=_text(item.get("primaryDisplayProperty")) or None,
    )


def _pipeline(item: Json) -> Pipeline | None:
    pipeline_id = _text(item.get("id"))
    if not pipeline_id:
        return None
    return Pipeline(
        id=pipeline_id,
        label=_text(item.get("label")),
        order=_integer(item.get("displayOrder")),
        archived=_flag(item.get("archived")),
        stages=_each(item.get("stages"), _stage),
    )


def _stage(item: Json) -> Stage | None:
    stage_id = _text(item.get("id"))
    if not stage_id:
        return None
    metadata = item.get("metadata")
    return Stage(
        id=stage_id,
        label=_text(item.get("label")),
        order=_integer(item.get("displayOrder")),
        archived=_flag(item.get("archived")),
        metadata={name: _text(value) for name, value in metadata.items()} if isinstance(metadata, dict) else {},
    )


def _owner(item: Json) -> Owner | None:
    owner_id = _text(item.get("id"))
    if not owner_id:
        return None
    return Owner(
        id=owner_id,
        email=_text(item.get("email")) or None,
        first_name=_text(item.get("firstName")) or None,
        last_name=_text(item.get("lastName")) or None,
        user_id=_integer(item.get("userId")),
        type=_text(item.get("type")) or None,
        archived=_flag(item.get("archived")),
        teams=_each(item.get("teams"), _team),
    )


def _team(item: Json) -> Team | None:
    team_id = _text(item.get("id"))
    return Team(id=team_id, name=_text(item.get("name")), primary=_flag(item.get("primary"))) if team_id else None


def _each(items: Any, read: Callable[[Json], T | None]) -> tuple[T, ...]:  # noqa: ANN401 - whatever came
    """Read all that can be read: an odd one costs nothing but itself."""
    if not isinstance(items, list):
        return ()
    return tuple(found for each in items if isinstance(each, dict) and (found := read(each)) is not None)


def _text(value: Any) -> str:  # noqa: ANN401 - whatever came
    if isinstance(value, str):
        return value
    return "" if value is None or isinstance(value, list | dict) else msgspec.json.encode(value).decode()


def _flag(value: Any) -> bool:  # noqa: ANN401 - whatever came
    return plain_flag(msgspec.json.encode(value)) is True


def _integer(value: Any) -> int | None:  # noqa: ANN401 - whatever came
    return plain_integer(msgspec.json.encode(value))


def _after(paging: Any) -> str | None:  # noqa: ANN401 - whatever came
    following = paging.get("next") if isinstance(paging, dict) else None
    return _text(following.get("after")) or None if isinstance(following, dict) else None
