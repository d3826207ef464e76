"""DefinitionService: what HubSpot defines for a caller's account, and whether names that a caller gives are defined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from api_shim.auth.jwt import Caller
from api_shim.requests.errors import UnsupportedTypeError
from worker.records.registry import OBJECT_TYPES, is_type
from worker.records.types import ExportType

_BY_ID = {each.type_id: ExportType(name) for name, each in OBJECT_TYPES.items() if each.type_id is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionService:
    """What routes call for definitions. Types that HubSpot itself defines are known without asking anybody."""

    async def resolve_type(self, caller: Caller, text: str) -> ExportType:
        """Return the canonical name of `tickets`, `0-5`, `2-123`, `p_cars`, `p123_cars`, enabled or not.

        An id or a short name of a custom object is looked up in what the caller's portal defines.
        Raises UnsupportedTypeError for an unknown one, and what `RpcClient.ask` raises where that has to be asked for.
        """
        if text in _BY_ID:
            return _BY_ID[text]
        if not is_type(text):
            raise UnsupportedTypeError
        return ExportType(text)

    async def check_properties(
        self, caller: Caller, export_type: ExportType, names: Sequence[str], *, field: str = "properties"
    ) -> None:
        """Check names, `*` among them or not, of a request's `field` (`history`, `properties.tickets`).

        Raises UnknownPropertiesError, which names them and the nearest ones. Returns where nobody can tell at once,
        since no worker answers within 2 s, say: the job checks its names itself.
        """

    async def check_associations(self, caller: Caller, names: Sequence[str]) -> list[ExportType]:
        """Return the canonical names of types to be associated. Raises InvalidRequestError naming `associations`."""
        return [await self.resolve_type(caller, each) for each in names]
