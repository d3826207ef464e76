"""ConnectStates: the `state` that goes to HubSpot's authorisation page and comes back with the user."""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from pydantic import SecretStr

from worker.errors import InvalidRequestError

LIFE = timedelta(minutes=10)

_PURPOSE = b"hubspot-export: the state of /connect, version 1"
_BEGIN_AGAIN = "begin again at /connect"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectState:
    """For whom an account is being connected. `nonce` is a state's own, and an errand's id: each is good once."""

    account_id: str
    owner: str
    nonce: str


class ConnectStates:
    """Makes states and reads them: encrypted, authentic (compared in constant time), good for ten minutes.

    The key is derived, so that a state is nothing but a state even where the secret serves something else as well.
    """

    def __init__(self, secret: SecretStr, *, clock: Callable[[], datetime]) -> None:
        key = hmac.digest(secret.get_secret_value().encode(), _PURPOSE, "sha256")
        self._fernet = Fernet(base64.urlsafe_b64encode(key))
        self._clock = clock

    def issue(self, account_id: str, owner: str) -> str:
        """Make a state that nobody else can have."""
        state = ConnectState(account_id=account_id, owner=owner, nonce=secrets.token_urlsafe(24))
        return self._fernet.encrypt_at_time(msgspec.json.encode(state), self._now()).decode()

    def read(self, text: str) -> ConnectState:
        """Read a state back. Raises InvalidRequestError when it is not one of ours, or is too old."""
        given = text.encode(errors="replace")
        try:
            content = self._fernet.decrypt_at_time(given, int(LIFE.total_seconds()), self._now())
        except InvalidToken:
            raise InvalidRequestError(self._complaint_about(given)) from None
        return msgspec.json.decode(content, type=ConnectState)

    def _complaint_about(self, given: bytes) -> str:
        try:
            self._fernet.extract_timestamp(given)
        except InvalidToken:
            return f"state: is not one that /connect gave out; {_BEGIN_AGAIN}"
        return f"state: is older than {LIFE.total_seconds() / 60:.0f} minutes; {_BEGIN_AGAIN}"

    def _now(self) -> int:
        return int(self._clock().timestamp())
