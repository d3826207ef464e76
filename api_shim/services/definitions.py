"""DefinitionService: what HubSpot defines for a caller's account, and whether names that a caller gives are defined."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

from api_shim.auth.jwt import Caller
from api_shim.requests.errors import UnsupportedTypeError
from api_shim.services.rpc_client import RpcClient
from worker.accounts.connection import Fingerprint, TokenInfo
from worker.accounts.interfaces import ConnectionStore, TokenStore
from worker.definitions.definition import CustomType
from worker.definitions.interfaces import Access, DefinitionCache
from worker.definitions.lists import DefinitionList, Listed, ListKind, read_properties, read_sensitive
from worker.definitions.names import ALL, unknown_among
from worker.definitions.questions import CheckedProperties, CheckProperties, Defined, ListDefinitions, read_answer
from worker.errors import (
    BrokerUnavailableError,
    InvalidRequestError,
    NoAnswerError,
    OverLimitError,
    TokenNotFoundError,
    UnknownPropertiesError,
)
from worker.jobs.status import JobError
from worker.records.registry import OBJECT_TYPES, is_type
from worker.records.types import DOCUMENTED_TYPES, ExportType
from worker.rpc.requests import Answer, Question, RpcRequest
from worker.schedules.schedule import Schedule

_CHECK_WITHIN_S = 2.0  # a caller waits for the check in addition to the submission
_SCHEMAS = ListDefinitions(kind=ListKind.SCHEMAS)
_BY_ID = {each.type_id: ExportType(name) for name, each in OBJECT_TYPES.items() if each.type_id is not None}
T = TypeVar("T")

_NOBODY_CAN_TELL = (NoAnswerError, BrokerUnavailableError, OverLimitError)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownTypes:
    """The types that HubSpot itself defines, the account's own ones, and the scopes that it was granted.

    `refused` says why HubSpot does not list the account's own types. Of scopes that it does not tell there is None.
    """

    standard: tuple[ExportType, ...]
    custom: tuple[CustomType, ...]
    refused: str | None
    granted: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionService:
    """What routes call for definitions; they are read from the store, or asked for by RPC.

    Types that HubSpot itself defines are known without asking anybody. `is_enabled` tells which can be exported.
    """

    tokens: TokenStore
    connections: ConnectionStore
    cache: DefinitionCache
    rpc_requests: RpcClient
    clock: Callable[[], datetime]
    is_enabled: Callable[[ExportType], bool] = DOCUMENTED_TYPES.__contains__

    async def show_types(self, caller: Caller) -> ShownTypes | JobError:
        """Return all types. Raises TokenNotFoundError, and what `RpcClient.ask` raises; so do the others."""
        answer = await self.show(caller, _SCHEMAS)
        if isinstance(answer, JobError):
            return answer
        facts = await run_in_threadpool(self._facts, caller)
        return ShownTypes(
            standard=tuple(map(ExportType, OBJECT_TYPES)),
            custom=answer.listed.custom_types,
            refused=answer.listed.refused,
            granted=facts.scopes,
        )

    async def show(self, caller: Caller, asked: ListDefinitions) -> Defined | JobError:
        """Return definitions of one kind, or HubSpot's error."""
        kept = await run_in_threadpool(self._kept, caller, lambda cached: read_answer(asked, cached))
        if kept is not None and (asked.export_type is None or kept.refused is None):
            return Defined(listed=kept)
        answer = await self._ask(caller, asked)
        if isinstance(answer, Defined | JobError):
            return answer
        raise TypeError(f"{type(answer).__name__} is no answer to a question for definitions")

    async def resolve_type(self, caller: Caller, text: str) -> ExportType:
        """Return the canonical name of `tickets`, `0-5`, `2-123`, `p_cars`, `p123_cars`, enabled or not.

        An id or a short name of a custom object is looked up in what the caller's portal defines.
        Raises UnsupportedTypeError for an unknown one, and what `show` raises where that has to be asked for.
        """
        if text in _BY_ID:
            return _BY_ID[text]
        if is_type(text):
            return ExportType(text)
        if not text.startswith(("2-", "p_")):
            raise UnsupportedTypeError
        answer = await self.show(caller, _SCHEMAS)
        types = answer.listed.custom_types if isinstance(answer, Defined) else ()
        for each in types:
            if text in {each.type_id, f"p_{each.short_name}"}:
                return ExportType(each.name)
        raise UnsupportedTypeError

    async def check_properties(
        self, caller: Caller, export_type: ExportType, names: Sequence[str], *, field: str = "properties"
    ) -> None:
        """Check names, `*` among them or not, of a request's `field` (`history`, `properties.tickets`).

        Raises UnknownPropertiesError, which names them and the nearest ones. Returns where nobody can tell at once,
        since no worker answers within 2 s, say: the job checks its names itself.
        """
        named = tuple(dict.fromkeys(each for each in names if each != ALL))
        if not named or await run_in_threadpool(self._are_known, caller, export_type, named):
            return
        checked: Answer | None = None
        with suppress(*_NOBODY_CAN_TELL):
            question = CheckProperties(export_type=export_type, names=named)
            checked = await self._ask(caller, question, within_s=_CHECK_WITHIN_S)
        if isinstance(checked, CheckedProperties) and checked.unknown:
            raise UnknownPropertiesError(checked.unknown, of=export_type, field=field)

    async def check_associations(self, caller: Caller, names: Sequence[str]) -> list[ExportType]:
        """Return the canonical names of types to be associated, each once.

        Raises InvalidRequestError naming `associations`, and what `resolve_type` raises.
        """
        found = dict[ExportType, None]()
        for name in names:
            try:
                export_type = await self.resolve_type(caller, name)
            except UnsupportedTypeError:
                raise InvalidRequestError(f"associations: {name} is no type of this account") from None
            if not OBJECT_TYPES[export_type].dated.has_properties:
                raise InvalidRequestError(f"associations: HubSpot associates nothing with {export_type}")
            found[export_type] = None
        return list(found)

    def calculated(self, schedule: Schedule) -> Mapping[ExportType, Sequence[str]]:
        """Return which of the properties that a schedule asks for HubSpot calculates, as far as what is kept tells."""
        caller = Caller(account_id=schedule.account_id, uid=schedule.owner, scopes=frozenset())
        found = dict[ExportType, Sequence[str]]()
        with suppress(TokenNotFoundError):
            for export_type, names in schedule.properties.items():
                listed = self._kept(caller, partial(read_properties, export_type))
                defined = listed.properties if listed is not None else ()
                found[export_type] = [
                    each.name for each in defined if each.calculated and (ALL in names or each.name in names)
                ]
        return found

    def _are_known(self, caller: Caller, export_type: ExportType, names: Sequence[str]) -> bool:
        """Whether what is kept is enough to know that all names are defined."""

        def unknown(cached: _Kept) -> tuple[str, ...]:
            plain = {each.name for each in read_properties(export_type, cached).properties}
            left = unknown_among(names, plain)
            return unknown_among(left, {each.name for each in read_sensitive(export_type, cached)}) if left else ()

        return self._kept(caller, unknown) == ()

    def _kept(self, caller: Caller, read: Callable[[_Kept], T]) -> T | None:
        """Return what is read from what is kept for the caller's portal and scopes; None where a list is not there."""
        facts = self._facts(caller)
        access = Access.of(facts, hub_id=facts.hub_id)
        if access is None:
            return None
        try:
            return read(_Kept(self.cache, access))
        except _NotKeptError:
            return None

    def _facts(self, caller: Caller) -> TokenInfo:
        """Return what is known of the stored token: of another one nothing is shown."""
        token = self.tokens.find(caller.account_id, caller.uid)
        if token is None:
            raise TokenNotFoundError
        known = self.connections.find(caller.account_id, caller.uid)
        return known.about(Fingerprint.of(token)).facts if known is not None else TokenInfo()

    async def _ask(self, caller: Caller, question: Question, *, within_s: float | None = None) -> Answer:
        rpc_request = RpcRequest(
            rpc_id=str(uuid.uuid4()),
            account_id=caller.account_id,
            owner=caller.uid,
            question=question,
            created_at=self.clock(),
        )
        return await self.rpc_requests.ask(rpc_request, within_s=within_s)


class _NotKeptError(Exception):
    """A list has to be asked for."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """ListReader of what is kept."""

    cache: DefinitionCache
    access: Access

    def read(self, wanted: DefinitionList, *, required: bool = False) -> Listed:
        found = self.cache.find(self.access, wanted)
        if found is None or (required and found.refused is not None):
            raise _NotKeptError
        return found
