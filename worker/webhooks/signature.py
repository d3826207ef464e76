"""Signatures of webhooks in the form of Standard Webhooks 1.0.0, with secrets of each account's own; pure.

An event is signed as `<id>.<time>.<body>` with HMAC-SHA256 (https://www.standardwebhooks.com). The secret of an account
is derived from the service's: whoever can check the events of one account can forge none of another's.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime

from pydantic import SecretStr

_PREFIX = "whsec_"


class Signer:
    """Signs with each of the service's secrets, so that receivers may rotate theirs at any time."""

    def __init__(self, secrets: Sequence[SecretStr]) -> None:
        self._secrets = tuple(secrets)

    @property
    def can_sign(self) -> bool:
        return bool(self._secrets)

    def secrets_of(self, account_id: str) -> list[SecretStr]:
        """Return what an account's receivers verify with, one for each of the service's secrets."""
        return [SecretStr(f"{_PREFIX}{_in_base64(key)}") for key in self._keys_of(account_id)]

    def headers(self, account_id: str, *, event_id: str, body: bytes, at: datetime) -> dict[str, str]:
        """Return the headers of an attempt at this instant; receivers reject one that is too old."""
        seconds = str(int(at.timestamp()))
        signed = f"{event_id}.{seconds}.".encode() + body
        signatures = (f"v1,{_in_base64(_hmac(key, signed))}" for key in self._keys_of(account_id))
        return {
            "webhook-id": event_id,
            "webhook-timestamp": seconds,
            "webhook-signature": " ".join(signatures),
        }

    def _keys_of(self, account_id: str) -> list[bytes]:
        purpose = f"webhooks of account {account_id}".encode()
        return [_hmac(secret.get_secret_value().encode(), purpose) for secret in self._secrets]


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _in_base64(content: bytes) -> str:
    return b64encode(content).decode()
