"""Sealed values that a browser carries: the `state` of a link to HubSpot, and the ticket of a bound link."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from pydantic import SecretStr

from worker.errors import InvalidRequestError
from worker.records.conversion import decode

LIFE = timedelta(minutes=10)
TICKET_LIFE = timedelta(minutes=3)  # HubSpot does not document how long a code is valid: the app has to confirm at once

_BEGIN_AGAIN = "begin again at /connect"

Content = TypeVar("Content")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectState:
    """The account and user for whom HubSpot is being connected.

    `nonce` is unique to a state, and the id of its RPC request, so that each state is used once.
    `session` is the digest of the value that the app has bound the link to; None: not bound.
    """

    account_id: str
    owner: str
    nonce: str
    session: str | None = None

    def is_of(self, account_id: str, owner: str, session: str) -> bool:
        """Whether the link was issued to this user in this session; compared in constant time."""
        known = (self.account_id, self.owner, self.session or "")
        given = (account_id, owner, digest_of(session))
        return all(hmac.compare_digest(a.encode(), b.encode()) for a, b in zip(known, given, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectTicket:
    """An authorisation code that has not been exchanged yet, and its state."""

    state: ConnectState
    code: str


class _Seal(Generic[Content]):
    """Encrypts and authenticates values (Fernet) that expire after `life`.

    The key is derived for each kind, so that a value of one kind is never valid as another under the same secret.
    """

    def __init__(  # noqa: PLR0913 - what tells one kind from another, each by name
        self,
        secret: SecretStr,
        kind: type[Content],
        *,
        purpose: bytes,
        name: str,
        origin: str,
        life: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        key = hmac.digest(secret.get_secret_value().encode(), purpose, "sha256")
        self._fernet = Fernet(base64.urlsafe_b64encode(key))
        self._kind, self._name, self._origin, self._life, self._clock = kind, name, origin, life, clock

    def seal(self, content: Content) -> str:
        return self._fernet.encrypt_at_time(msgspec.json.encode(content), self._now()).decode()

    def open(self, text: str) -> Content:
        """Raise InvalidRequestError for a value that is forged or expired."""
        given = text.encode(errors="replace")
        try:
            content = self._fernet.decrypt_at_time(given, int(self._life.total_seconds()), self._now())
        except InvalidToken:
            raise InvalidRequestError(self._complaint_about(given)) from None
        return decode(content, self._kind)

    def _complaint_about(self, given: bytes) -> str:
        try:
            self._fernet.extract_timestamp(given)
        except InvalidToken:
            return f"{self._name}: is not one that {self._origin} gave out; {_BEGIN_AGAIN}"
        return f"{self._name}: is older than {self._life.total_seconds() / 60:.0f} minutes; {_BEGIN_AGAIN}"

    def _now(self) -> int:
        return int(self._clock().timestamp())


class ConnectStates:
    """Issues and reads states, each valid for ten minutes."""

    def __init__(self, secret: SecretStr, *, clock: Callable[[], datetime]) -> None:
        self._seal = _Seal(
            secret,
            ConnectState,
            purpose=b"hubspot-export: the state of /connect, version 1",
            name="state",
            origin="/connect",
            life=LIFE,
            clock=clock,
        )

    def issue(self, account_id: str, owner: str, *, session: str | None = None) -> str:
        """Return a new state, which holds a digest of the `session`."""
        bound_to = digest_of(session) if session is not None else None
        nonce = secrets.token_urlsafe(24)
        return self._seal.seal(ConnectState(account_id=account_id, owner=owner, nonce=nonce, session=bound_to))

    def read(self, text: str) -> ConnectState:
        """Raise InvalidRequestError for a state that is forged or expired."""
        return self._seal.open(text)


class ConnectTickets:
    """Issues and reads tickets, each valid for three minutes.

    The authorisation code travels inside the ticket, and is stored nowhere before its owner has been confirmed.
    """

    def __init__(self, secret: SecretStr, *, clock: Callable[[], datetime]) -> None:
        self._seal = _Seal(
            secret,
            ConnectTicket,
            purpose=b"hubspot-export: the ticket of /connect/callback, version 1",
            name="ticket",
            origin="/connect/callback",
            life=TICKET_LIFE,
            clock=clock,
        )

    def issue(self, state: ConnectState, *, code: str) -> str:
        return self._seal.seal(ConnectTicket(state=state, code=code))

    def read(self, text: str) -> ConnectTicket:
        """Raise InvalidRequestError for a ticket that is forged or expired."""
        return self._seal.open(text)


def digest_of(session: str) -> str:
    return hashlib.sha256(session.encode()).hexdigest()
