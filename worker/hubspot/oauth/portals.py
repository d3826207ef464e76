"""PortalTokens: access tokens together with the portal that exactly this token opens."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog
from pydantic import SecretStr

from worker.accounts.connection import Connection, Fingerprint
from worker.accounts.interfaces import ConnectionStore, TokenSource, TokenStore
from worker.accounts.portal_interfaces import PortalStore
from worker.accounts.token import AccessToken, Token
from worker.errors import HubSpotError, RetryableHubSpotError, TokenEndpointGoneError, TokenUnreadableError
from worker.hubspot.oauth.keyed_lock import KeyedLock
from worker.hubspot.oauth.token_information import TokenInfoClient

_log = structlog.get_logger()

_ASK_AGAIN_S = 60.0  # where HubSpot could not be asked, or did not tell
_LONGEST_WAIT_S = 5.0  # for another thread that asks; after that the job waits in the database, not in a worker
_LOOK_AGAIN_S = 1.0
_MOST_KNOWN = 10_000
_OTHERS_ASK = "HubSpot's answer to which portal a token opens keeps others waiting"

_Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class _Known:
    """The portal of a token, which never changes; where there is none, HubSpot is asked again from then on."""

    token: AccessToken
    ask_again_at: float


class PortalTokens:
    """AccessTokenSource. The portal that HubSpot named with a token is stored with the connection.

    It holds for that very token: another program may have stored one of another portal. Before a token is used whose
    portal is not known, one thread asks HubSpot, once.
    """

    def __init__(  # noqa: PLR0913 - everything it works with, each by name
        self,
        *,
        source: TokenSource,
        tokens: TokenStore,
        information: TokenInfoClient,
        connections: ConnectionStore,
        portals: PortalStore,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._tokens = tokens
        self._information = information
        self._connections = connections
        self._portals = portals
        self._clock = clock
        self._monotonic = monotonic
        self._turns = KeyedLock()
        self._known: dict[_Key, _Known] = {}
        self._changing = threading.Lock()

    def get(self, account_id: str, owner: str, *, rejected: SecretStr | None = None) -> AccessToken:
        """Return a token of the source; which portal it opens is remembered as long as this process lives."""
        value = self._source.get(account_id, owner, rejected=rejected)
        key = (account_id, owner, hashlib.sha256(value.get_secret_value().encode()).hexdigest())
        if (known := self._remembered(key)) is not None:
            return known.token
        with self._turns.wait((account_id, owner), within_s=_LONGEST_WAIT_S) as is_ours:
            known = self._remembered(key) or (self._found_out(key, value) if is_ours else None)
        if known is None:
            raise RetryableHubSpotError(_OTHERS_ASK, retry_after_s=_LOOK_AGAIN_S)
        return known.token

    def _remembered(self, key: _Key) -> _Known | None:
        known = self._known.get(key)
        if known is None or (known.token.hub_id is None and self._monotonic() >= known.ask_again_at):
            return None
        return known

    def _found_out(self, key: _Key, value: SecretStr) -> _Known:
        account_id, owner, _ = key
        token = self._with_portal(account_id, owner, value)
        if token.hub_id is not None:
            self._portals.see(account_id, token.hub_id)
        known = _Known(token, self._monotonic() + _ASK_AGAIN_S)
        with self._changing:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()  # it saves questions to the database, no more
            self._known[key] = known
        return known

    def _with_portal(self, account_id: str, owner: str, value: SecretStr) -> AccessToken:
        present = self._fingerprint(account_id, owner, value)
        known = self._connections.find(account_id, owner)
        told = known.facts.hub_id if known is not None else None
        if known is not None and told is not None and present is not None and known.fingerprint == present:
            return AccessToken(value=value, hub_id=told)
        try:
            return AccessToken(value=value, hub_id=self._ask(account_id, owner, value))
        except HubSpotError as error:  # no reason to do without a page of the grant that is known
            _log.warning("portal_not_told", account_id=account_id, error=error.message, hubspot_status=error.status)
            may_pass = isinstance(error, RetryableHubSpotError) and not isinstance(error, TokenEndpointGoneError)
            is_known = known is not None and told is not None and _is_of(known, present)
            is_portal_unknown = not is_known and (told is not None or bool(self._portals.seen_by(account_id)))
            return AccessToken(value=value, is_portal_unknown=may_pass and is_portal_unknown)

    def _ask(self, account_id: str, owner: str, value: SecretStr) -> int | None:
        """Ask HubSpot, and store what it says if the token is still the stored one then."""
        facts = self._information.of(value)
        present = self._fingerprint(account_id, owner, value)
        if present is not None:
            self._connections.learn(account_id, owner, facts, fingerprint=present, at=self._clock())
        return facts.hub_id

    def _fingerprint(self, account_id: str, owner: str, value: SecretStr) -> Fingerprint | None:
        """Return the fingerprint of what is stored, if that is this token."""
        try:
            token: Token | None = self._tokens.find(account_id, owner)
        except TokenUnreadableError:
            return None
        return Fingerprint.of(token) if token is not None and token.access_token == value else None


def _is_of(known: Connection, present: Fingerprint | None) -> bool:
    """Whether a token is of the grant that is known."""
    return present is not None and known.fingerprint is not None and known.fingerprint.grant == present.grant
