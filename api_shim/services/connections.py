"""ConnectionService: connects an account to HubSpot, shows the connection, and removes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from pydantic import SecretStr

from api_shim.auth.jwt import Caller
from api_shim.services.connect_state import LIFE, ConnectState, ConnectStates, ConnectTickets
from api_shim.services.rpc_client import RpcClient
from worker.accounts.connection import Connection, Fingerprint
from worker.accounts.gone_list import GoneList
from worker.accounts.interfaces import ConnectionStore, GoneListStore, TokenStore
from worker.accounts.known_tokens import KnownTokens
from worker.accounts.portal_interfaces import Portal, PortalStore
from worker.accounts.token import Token
from worker.current_copy.upkeep import CopyUpkeep
from worker.errors import (
    AlreadyAskedError,
    InvalidRequestError,
    NotConfiguredError,
    PortalConnectedError,
    PortalNotFoundError,
    StoreUnavailableError,
    TokenNotFoundError,
    TokenUnreadableError,
)
from worker.rpc.requests import Answer, ExchangeCode, RpcRequest
from worker.settings import ShimSettings

_LONGEST_CODE = 1024  # HubSpot's have 36 characters; a ticket goes into an address
_REMOVE_WITHIN_S = 1.5  # a client is answered within 3 s


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """The address at which a user authorises the app, and until when it is valid."""

    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Unconfirmed:
    """The user has authorised the app by a link that is bound to a session: nothing is done before it is confirmed."""

    ticket: SecretStr
    return_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownConnection:
    """A connection: its token, what is known of it, the legacy lists that are gone, the portals seen, newest first."""

    token: Token
    known: Connection
    gone: Sequence[GoneList]
    portals: Sequence[Portal]


@dataclass(frozen=True, slots=True, kw_only=True)
class _OAuthSettings:
    """The settings that only connecting needs."""

    client_id: str
    redirect_uri: str
    return_url: str
    states: ConnectStates
    tickets: ConnectTickets


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionService:
    """What the routes of connections call. What does not say that it blocks runs on the event loop."""

    settings: ShimSettings
    tokens: TokenStore
    known_tokens: KnownTokens
    connections: ConnectionStore
    gone_lists: GoneListStore
    portals: PortalStore
    copies: CopyUpkeep
    rpc_requests: RpcClient
    clock: Callable[[], datetime]

    def invite(self, caller: Caller, *, session: str | None = None) -> Invitation:
        """Return the address of HubSpot's page for the caller's account and user, bound to `session` if there is one.

        Raises NotConfiguredError.
        """
        oauth = self._oauth(is_bound=session is not None)
        asked = {
            "client_id": oauth.client_id,
            "redirect_uri": oauth.redirect_uri,
            "scope": " ".join(self.settings.hubspot_scopes),
            "optional_scope": " ".join(self.settings.hubspot_optional_scopes),
            "state": oauth.states.issue(caller.account_id, caller.uid, session=session),
        }
        url = with_query(self.settings.hubspot_authorize_url, {name: value for name, value in asked.items() if value})
        return Invitation(url=url, expires_at=self.clock() + LIFE)

    async def connect(self, *, state: str, code: str) -> Answer | Unconfirmed:
        """Let a worker exchange the code and store the token for the account and user that the state names.

        Where the link is bound to a session, nothing is done yet: the returned ticket has to be confirmed.

        Raises InvalidRequestError for a state that is not valid, NotConfiguredError, and what `RpcClient.ask` raises.
        """
        opened = self._oauth().states.read(state)
        return await self._exchange(opened, code, name="state") if opened.session is None else self._keep(opened, code)

    async def confirm(self, caller: Caller, *, ticket: str, session: str) -> Answer:
        """Finish what `connect` began, if the link was made for this caller in this session.

        A ticket is valid once. A confirmation by another user does not use it up, nor does one that reached no worker.
        Raises InvalidRequestError, and what `connect` raises.
        """
        read = self._oauth().tickets.read(ticket)
        if not read.state.is_of(caller.account_id, caller.uid, session):
            raise InvalidRequestError("ticket: belongs to another user or session; begin again at /connect")
        return await self._exchange(read.state, read.code, name="ticket")

    def _keep(self, state: ConnectState, code: str) -> Unconfirmed:
        oauth = self._oauth(is_bound=True)
        if len(code) > _LONGEST_CODE:
            raise InvalidRequestError(f"code: must be at most {_LONGEST_CODE} characters")
        return Unconfirmed(ticket=SecretStr(oauth.tickets.issue(state, code=code)), return_url=oauth.return_url)

    async def _exchange(self, state: ConnectState, code: str, *, name: str) -> Answer:
        """`name` is the field that an error about a used state names."""
        rpc_request = RpcRequest(
            rpc_id=state.nonce,
            account_id=state.account_id,
            owner=state.owner,
            question=ExchangeCode(redirect_uri=self._oauth().redirect_uri),
            created_at=self.clock(),
            secret=SecretStr(code),
        )
        try:
            return await self.rpc_requests.ask(rpc_request)
        except AlreadyAskedError:
            raise InvalidRequestError(f"{name}: was used before; begin again at /connect") from None

    def require_state(self, state: str) -> None:
        """Raise InvalidRequestError unless /connect issued this state; that does not use it up."""
        self._oauth().states.read(state)

    def show(self, caller: Caller) -> ShownConnection:
        """Return what is stored of the connection, without asking HubSpot. Blocks. Raises TokenNotFoundError."""
        account_id, owner = caller.account_id, caller.uid
        token = self.tokens.find(account_id, owner)
        if token is None:
            raise TokenNotFoundError
        known = self.connections.find(account_id, owner) or Connection(account_id=account_id, owner=owner)
        return ShownConnection(
            token=token,
            known=known.about(Fingerprint.of(token)),
            gone=self.gone_lists.remembered(account_id),
            portals=self.portals.seen_by(account_id),
        )

    def recheck(self, caller: Caller) -> ShownConnection:
        """Forget which legacy lists are gone, so that the next jobs ask for them. Blocks; raises as `show`."""
        shown = self.show(caller)
        self.gone_lists.forget(caller.account_id)
        return replace(shown, gone=self.gone_lists.remembered(caller.account_id))

    def remove_portal(self, caller: Caller, hub_id: int) -> None:
        """Remove the copies of a portal that the account is not connected to; a worker removes large ones. Blocks.

        Raises PortalConnectedError, PortalNotFoundError.
        """
        if self._is_connected(caller.account_id, hub_id):
            raise PortalConnectedError(hub_id)
        if not self.portals.start_removal(caller.account_id, hub_id):
            raise PortalNotFoundError
        with suppress(StoreUnavailableError):  # the removal is stored: a worker completes it
            self.copies.remove(caller.account_id, hub_id, within_s=_REMOVE_WITHIN_S)

    def disconnect(self, caller: Caller) -> None:
        """Remove the stored token and all that is known of it. Blocks. Raises TokenNotFoundError."""
        # The rest is removed whether there was a token or not: an earlier call may have been interrupted.
        was_there = self.tokens.remove(caller.account_id, caller.uid)
        self.known_tokens.forget(caller.account_id, caller.uid)
        self.connections.remove(caller.account_id, caller.uid)
        self.gone_lists.forget(caller.account_id)
        if not was_there:
            raise TokenNotFoundError

    def _is_connected(self, account_id: str, hub_id: int) -> bool:
        """Whether a user of the account is connected to the portal, as far as is known of the stored tokens."""
        for known in self.connections.of_portal(account_id, hub_id):
            try:
                token = self.tokens.find(account_id, known.owner)
            except TokenUnreadableError:  # it may be a token of this portal
                return True
            if token is not None and known.about(Fingerprint.of(token)).facts.hub_id == hub_id:
                return True
        return False

    def _oauth(self, *, is_bound: bool = False) -> _OAuthSettings:
        """Raise NotConfiguredError naming all settings that are missing; a bound link needs one more."""
        client_id, redirect_uri = self.settings.hubspot_client_id, self.settings.hubspot_redirect_uri
        secret, return_url = self.settings.connect_state_secret, self.settings.connect_return_url or ""
        needed = {
            "HUBSPOT_CLIENT_ID": client_id,
            "HUBSPOT_REDIRECT_URI": redirect_uri,
            "CONNECT_STATE_SECRET": secret,
            "CONNECT_RETURN_URL": return_url or not is_bound or None,
        }
        missing = ", ".join(name for name, value in needed.items() if value is None)
        if missing or client_id is None or redirect_uri is None or secret is None:
            raise NotConfiguredError(f"Accounts cannot be connected here before these settings are made: {missing}")
        return _OAuthSettings(
            client_id=client_id,
            redirect_uri=redirect_uri,
            return_url=return_url,
            states=ConnectStates(secret, clock=self.clock),
            tickets=ConnectTickets(secret, clock=self.clock),
        )


def with_query(url: str, further: dict[str, str]) -> str:
    parts = urlsplit(url)
    pairs = [*parse_qsl(parts.query, keep_blank_values=True), *further.items()]
    return urlunsplit(parts._replace(query=urlencode(pairs, quote_via=quote)))
