"""TypeNames: what callers call types, and what they ask of them, in the words that jobs are stored with."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from api_shim.auth.jwt import Caller
from api_shim.requests.errors import UnsupportedTypeError
from api_shim.requests.schemas import ExportBody, ScheduleBody, SyncBody
from api_shim.requests.selections import impossible_for, said_twice
from api_shim.requests.type_lists import TWICE, known_type, may_be_custom
from worker.definitions.lists import ListKind
from worker.definitions.questions import Defined, ListDefinitions
from worker.errors import InvalidRequestError
from worker.jobs.job import Job
from worker.jobs.status import JobError
from worker.records.enabled_types import ALL_TYPES, EnabledTypes
from worker.records.types import ExportType


class Definitions(Protocol):
    """What HubSpot defines for a caller's account; DefinitionService says what is raised."""

    async def resolve_type(self, caller: Caller, text: str) -> ExportType: ...

    async def check_properties(
        self, caller: Caller, export_type: ExportType, names: Sequence[str], *, field: str = "properties"
    ) -> None: ...

    async def check_associations(self, caller: Caller, names: Sequence[str]) -> list[ExportType]: ...

    async def show(self, caller: Caller, asked: ListDefinitions) -> Defined | JobError: ...


_LONGEST_NAME = 100

Properties = Mapping[ExportType, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeNames:
    """Resolves and checks them for the enabled types; only what a portal itself defines has to be looked up.

    Every method raises UnsupportedTypeError, InvalidRequestError, and what `DefinitionService` raises.
    """

    enabled: EnabledTypes
    definitions: Definitions

    async def resolve(self, caller: Caller, word: str) -> ExportType:
        """Return the canonical name of an enabled type."""
        known = known_type(word, self.enabled)
        if known is not None:
            return known
        if not may_be_custom(word, self.enabled):
            raise UnsupportedTypeError(self.enabled)
        try:
            found = await self.definitions.resolve_type(caller, word)
        except UnsupportedTypeError:
            raise UnsupportedTypeError(self.enabled) from None
        if not self.enabled.allows(found):
            raise UnsupportedTypeError(self.enabled)
        return found

    async def check_export(self, caller: Caller, export_type: ExportType, body: ExportBody) -> ExportBody:
        """Return the body with its associations in canonical names, its names of properties being defined."""
        given = body.fields_of_records
        wrong = [*said_twice(given, body.params), *impossible_for(export_type, given)]
        if wrong:
            raise InvalidRequestError("; ".join(wrong))
        associations = body.associations
        if associations:
            associations = tuple(await self.definitions.check_associations(caller, associations))
        if body.properties is not None:
            await self.definitions.check_properties(caller, export_type, body.properties)
        if body.history:
            await self.definitions.check_properties(caller, export_type, body.history, field="history")
        return body.model_copy(update={"associations": associations})

    async def of_sync(self, caller: Caller, body: SyncBody) -> tuple[tuple[ExportType, ...], Properties]:
        """Return the types and properties of a sync that starts now: `*` is left only where a portal adds to it."""
        types = await self.types_of(caller, body)
        properties = await self.properties_of(caller, body, types)
        return (types if self.enabled.has_custom else self.enabled.expanded(types, ())), properties

    async def decided(self, caller: Caller, sync: Job) -> Job:
        """Return a sync whose types are known, for a plan: a worker decides them only when it starts."""
        if sync.sync is None or ALL_TYPES not in sync.sync.types:
            return sync
        defined = await self.definitions.show(caller, ListDefinitions(kind=ListKind.SCHEMAS))
        custom = defined.listed.custom_types if isinstance(defined, Defined) else ()
        types = self.enabled.expanded(sync.sync.types, [ExportType(each.name) for each in custom])
        return replace(sync, sync=replace(sync.sync, types=types))

    async def types_of(self, caller: Caller, body: SyncBody | ScheduleBody) -> tuple[ExportType, ...]:
        """Return the types of a sync. `*` stays as it is: what it stands for may be another thing at each run."""
        if "types" not in body.model_fields_set:
            return self.enabled.of_a_sync
        types = tuple([each if each == ALL_TYPES else await self.resolve(caller, each) for each in body.types])
        if len({*types}) < len(types):
            raise InvalidRequestError(f"types: {TWICE}")
        return types

    async def properties_of(
        self, caller: Caller, body: SyncBody | ScheduleBody, types: Sequence[ExportType]
    ) -> Properties:
        """Return the properties that are asked for, by the types of a sync."""
        asked: dict[ExportType, tuple[str, ...]] = {}
        checks = []
        for word, names in body.properties.items():
            field = f"properties.{word[:_LONGEST_NAME]}"
            export_type = await self._among(types, caller, word, field=field)
            if export_type in asked:
                raise InvalidRequestError(f"{field}: names a type that another name means as well")
            if complaints := impossible_for(export_type, [field]):
                raise InvalidRequestError("; ".join(complaints))
            if names is not None:
                asked[export_type] = names
                checks.append((export_type, names, field))
        # Together, since each may take its time where no worker is there to be asked.
        check = self.definitions.check_properties
        await asyncio.gather(*(check(caller, each, names, field=field) for each, names, field in checks))
        return asked

    async def _among(self, types: Sequence[ExportType], caller: Caller, word: str, *, field: str) -> ExportType:
        try:
            export_type = await self.resolve(caller, word)
        except UnsupportedTypeError:
            export_type = None
        if export_type is None or not {ALL_TYPES, export_type}.intersection(types):
            raise InvalidRequestError(f"{field}: is not among types")
        return export_type
