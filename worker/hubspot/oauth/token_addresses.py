"""TokenAddresses: where HubSpot's OAuth is asked: at the token endpoint that is set, or at its other version."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import structlog

from worker.accounts.interfaces import TokenEndpointMemory
from worker.accounts.token_endpoint import GoneEndpoint, without_secrets
from worker.errors import HubSpotError, ReconnectRequiredError, StoreUnavailableError, TokenEndpointGoneError

_log = structlog.get_logger()

_TOKEN_PATH = re.compile(r"(?P<before>.*/oauth/)(?P<version>v1|v3|\d{4}-\d{2})/token/?")
_DATED, _V1 = "2026-03", "v1"
_GONE = frozenset({404, 410})

T = TypeVar("T")


def other_version_of(url: str) -> str | None:
    """Return the token endpoint's other version: version 1 for 2026-03, and 2026-03 for every other.

    None where the address is no such path: it is a proxy's own then, and nothing is known of its neighbours.
    """
    address = urlsplit(url)
    found = _TOKEN_PATH.fullmatch(address.path)
    if found is None:
        return None
    other = _V1 if found["version"] == _DATED else _DATED
    return urlunsplit(address._replace(path=f"{found['before']}{other}/token"))


def is_gone(error: HubSpotError) -> bool:
    """Whether HubSpot has answered that there is nothing at the address; a dead refresh token may come with a 404."""
    return error.status in _GONE and not isinstance(error, ReconnectRequiredError)


def gone(error: HubSpotError) -> TokenEndpointGoneError:
    """Return an error that names the setting. To a caller it is an outage: nothing is wrong with the connection."""
    return TokenEndpointGoneError(
        f"HUBSPOT_TOKEN_ENDPOINT: HubSpot has no token endpoint at the address that is set (status {error.status})",
        status=error.status,
        body=error.body,
        correlation_id=error.correlation_id,
    )


class TokenAddresses:
    """Asks the other version at once where one is gone, for that call alone.

    From then on only what HubSpot has said of the one that is set, twice and a minute apart, has the other one asked
    first; that is remembered for all workers, until someone takes it back or the other one is gone.
    """

    def __init__(self, url: str, *, memory: TokenEndpointMemory) -> None:
        self._set = url
        self._other = other_version_of(url)
        self._known_as = without_secrets(url)
        self._memory = memory
        self._last_known: GoneEndpoint | None = None

    def in_order(self) -> list[str]:
        """Return the addresses there are, in the order in which they are asked."""
        if self._other is None:
            return [self._set]
        known = self._known()
        return [self._set, self._other] if known is None or known.moved_at is None else [self._other, self._set]

    def ask(self, call: Callable[[str], T]) -> T:
        """Call the token endpoint. Raises a HubSpotError, TokenEndpointGoneError where it is nowhere."""
        first, *others = self.in_order()
        try:
            answer = call(first)
        except HubSpotError as error:
            if not is_gone(error):
                raise
            if not others:
                raise gone(error) from error
            self._note(first, error)
        else:
            self._forget_doubts(first)
            return answer
        return self._ask_other(others[0], call)

    def _ask_other(self, url: str, call: Callable[[str], T]) -> T:
        try:
            answer = call(url)
        except HubSpotError as error:
            if not is_gone(error):
                raise
            self._forget()  # where there is neither, it is no change of version
            raise gone(error) from error
        self._forget_doubts(url)
        return answer

    def _known(self) -> GoneEndpoint | None:
        """Read what all workers know; while MongoDB is away, go by what was known last."""
        try:
            self._last_known = self._memory.find(self._known_as)
        except StoreUnavailableError:
            _log.warning("token_endpoint_not_looked_up")
        return self._last_known

    def _note(self, url: str, error: HubSpotError) -> None:
        """Remember that the address that is set is gone; of the other one it is enough to know it for this call."""
        _log.warning("token_endpoint_gone", path=urlsplit(url).path, hubspot_status=error.status, reason=error.message)
        if url != self._set:
            return
        try:
            known = self._memory.note_gone(self._known_as, status=error.status or 0, reason=error.message)
        except StoreUnavailableError:
            _log.warning("token_endpoint_not_noted")
            return
        self._last_known = known
        if known.moved_at is not None:
            _log.warning(
                "token_endpoint_moved", path=urlsplit(self._other or "").path, since=known.moved_at.isoformat()
            )

    def _forget_doubts(self, url: str) -> None:
        if url == self._set and self._last_known is not None:
            self._forget()

    def _forget(self) -> None:
        try:
            self._memory.forget(self._known_as)
        except StoreUnavailableError:
            _log.warning("token_endpoint_not_noted")
        else:
            self._last_known = None
