"""What HubSpot says of a token, read without trust: none of it may cost a token that works."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec

from worker.connections import HubSpotFacts

_Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Name = Annotated[str, msgspec.Meta(max_length=500)]
_Names = Annotated[list[_Name], msgspec.Meta(max_length=1000)]
_NOTHING = msgspec.Raw(b"null")

T = TypeVar("T")


class SaidOfToken(msgspec.Struct, kw_only=True):
    """The fields that the token endpoint and the token information have in common; HubSpot promises none of them."""

    hub_id: msgspec.Raw = _NOTHING
    user_id: msgspec.Raw = _NOTHING
    user: msgspec.Raw = _NOTHING
    scopes: msgspec.Raw = _NOTHING

    @property
    def facts(self) -> HubSpotFacts:
        """Read each field by itself; one that is not as it should be counts as missing."""
        scopes = _read(self.scopes, _Names)
        return HubSpotFacts(
            hub_id=_read(self.hub_id, _Id),
            user_id=_read(self.user_id, _Id),
            user=_read(self.user, _Name),
            scopes=tuple(scopes) if scopes is not None else None,
        )


def _read(raw: msgspec.Raw, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
