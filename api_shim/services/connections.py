"""ConnectionService: connects an account to HubSpot, says how the connection is, and ends it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from pydantic import SecretStr
from starlette.concurrency import run_in_threadpool

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
    """Where the user lets the app into a HubSpot account, and until when that will do."""

    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Unconfirmed:
    """The user has let the app in, by a link that is bound to a session: nothing is done before that is confirmed."""

    ticket: SecretStr
    return_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """What only connecting needs of the settings."""

    client_id: str
    redirect_uri: str
    return_url: str
    states: ConnectStates
    tickets: ConnectTickets


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionService:
    """What the routes of connections call. Stores block, so they are called in threads."""

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
        way = self._way_to_hubspot(is_bound=session is not None)
        asked = {
            "client_id": way.client_id,
            "redirect_uri": way.redirect_uri,
            "scope": " ".join(self.settings.hubspot_scopes),
            "optional_scope": " ".join(self.settings.hubspot_optional_scopes),
            "state": way.states.issue(caller.account_id, caller.uid, session=session),
        }
        url = with_query(self.settings.hubspot_authorize_url, {name: value for name, value in asked.items() if value})
        return Invitation(url=url, expires_at=self.clock() + LIFE)

    async def connect(self, *, state: str, code: str) -> Answer | Unconfirmed:
        """Have a worker exchange the code and store the token for the account and user that the state names.

        Where the link is bound to a session, nothing is done yet: the returned ticket has to be confirmed.

        Raises InvalidRequestError for a state that is not to be trusted, NotConfiguredError, and what
        `RpcClient.ask` raises.
        """
        told = self._way_to_hubspot().states.read(state)
        return await self._exchange(told, code, name="state") if told.session is None else self._keep(told, code)

    async def confirm(self, caller: Caller, *, ticket: str, session: str) -> Answer:
        """Finish what `connect` began, if the link was made for this caller in this session.

        A ticket is good once. A confirmation by somebody else does not use it up, nor does one that reached no worker.
        Raises InvalidRequestError, and what `connect` raises.
        """
        read = self._way_to_hubspot().tickets.read(ticket)
        if not read.state.is_of(caller.account_id, caller.uid, session):
            raise InvalidRequestError("ticket: belongs to another user or session; begin again at /connect")
        return await self._exchange(read.state, read.code, name="ticket")

    def _keep(self, told: ConnectState, code: str) -> Unconfirmed:
        """Seal the code into a ticket."""
        way = self._way_to_hubspot(is_bound=True)
        if len(code) > _LONGEST_CODE:
            raise InvalidRequestError(f"code: must be at most {_LONGEST_CODE} characters")
        return Unconfirmed(ticket=SecretStr(way.tickets.issue(told, code=code)), return_url=way.return_url)

    async def _exchange(self, told: ConnectState, code: str, *, name: str) -> Answer:
        """Ask a worker to exchange the code; `name` is the field that an error about a used state names."""
        rpc_request = RpcRequest(
            rpc_id=told.nonce,
            account_id=told.account_id,
            owner=told.owner,
            question=ExchangeCode(redirect_uri=self._way_to_hubspot().redirect_uri),
            created_at=self.clock(),
            secret=SecretStr(code),
        )
        try:
            return await self.rpc_requests.ask(rpc_request)
        except AlreadyAskedError:
            raise InvalidRequestError(f"{name}: was used before; begin again at /connect") from None

    def require_state(self, state: str) -> None:
        """Raise InvalidRequestError unless /connect gave this state out; it is not used up by that."""
        self._way_to_hubspot().states.read(state)

    async def find(self, caller: Caller) -> tuple[Token, Connection]:
        """Return the stored token and what is known of it, without asking HubSpot. Raises TokenNotFoundError."""
        token = await run_in_threadpool(self.tokens.find, caller.account_id, caller.uid)
        if token is None:
            raise TokenNotFoundError
        known = await run_in_threadpool(self.connections.find, caller.account_id, caller.uid)
        nothing = Connection(account_id=caller.account_id, owner=caller.uid)
        return token, (known or nothing).about(Fingerprint.of(token))

    async def gone(self, caller: Caller) -> list[GoneList]:
        """Return the legacy lists that are remembered as gone for the caller's account."""
        return await run_in_threadpool(self.gone_lists.remembered, caller.account_id)

    async def recheck(self, caller: Caller) -> None:
        """Have the legacy lists asked again by the account's next jobs. Raises TokenNotFoundError."""
        await self.find(caller)
        await run_in_threadpool(self.gone_lists.forget, caller.account_id)

    async def portals_of(self, caller: Caller) -> list[Portal]:
        """List the HubSpot portals that the account has been connected to, the one that was seen last first."""
        return await run_in_threadpool(self.portals.seen_by, caller.account_id)

    async def remove_portal(self, caller: Caller, hub_id: int) -> None:
        """Remove the copies of a portal that the account is not connected to; what takes long a worker does.

        Raises PortalConnectedError, PortalNotFoundError.
        """
        if await run_in_threadpool(self._is_connected, caller.account_id, hub_id):
            raise PortalConnectedError(hub_id)
        if not await run_in_threadpool(self.portals.start_removal, caller.account_id, hub_id):
            raise PortalNotFoundError
        with suppress(StoreUnavailableError):  # it is written down
            await run_in_threadpool(self.copies.remove, caller.account_id, hub_id, within_s=_REMOVE_WITHIN_S)

    def _is_connected(self, account_id: str, hub_id: int) -> bool:
        """Whether anyone of the account is connected to the portal, as far as is known of the stored tokens."""
        for known in self.connections.of_portal(account_id, hub_id):
            try:
                token = self.tokens.find(account_id, known.owner)
            except TokenUnreadableError:  # of which nobody can say that it is another one
                return True
            if token is not None and known.about(Fingerprint.of(token)).facts.hub_id == hub_id:
                return True
        return False

    async def disconnect(self, caller: Caller) -> None:
        """Remove the stored token and all that is known of it. Raises TokenNotFoundError."""
        was_there = await run_in_threadpool(self.tokens.remove, caller.account_id, caller.uid)
        self.known_tokens.forget(caller.account_id, caller.uid)
        await run_in_threadpool(self.connections.remove, caller.account_id, caller.uid)
        await run_in_threadpool(self.gone_lists.forget, caller.account_id)
        if not was_there:
            raise TokenNotFoundError

    def _way_to_hubspot(self, *, is_bound: bool = False) -> _Way:
        """Read the settings. Raises NotConfiguredError naming all that are missing, for a bound link one more."""
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
        return _Way(
            client_id=client_id,
            redirect_uri=redirect_uri,
            return_url=return_url,
            states=ConnectStates(secret, clock=self.clock),
            tickets=ConnectTickets(secret, clock=self.clock),
        )


def with_query(url: str, further: dict[str, str]) -> str:
    """Add parameters to those of an address."""
    parts = urlsplit(url)
    pairs = [*parse_qsl(parts.query, keep_blank_values=True), *further.items()]
    return urlunsplit(parts._replace(query=urlencode(pairs, quote_via=quote)))
