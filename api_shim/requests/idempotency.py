"""The Idempotency-Key header, and the fingerprint that identifies a repeated request."""

from __future__ import annotations

import hashlib
import json
import re

from pydantic import BaseModel

from api_shim.auth.jwt import Caller
from worker.errors import InvalidRequestError
from worker.lifecycle.idempotency import KeyedRequest

LONGEST_KEY = 255
_KEY = re.compile(rf"[\x21-\x7e]{{1,{LONGEST_KEY}}}")


def read_key(values: list[str]) -> str | None:
    """Parse the Idempotency-Key headers of a request; None when there is none. Raises InvalidRequestError."""
    if len(values) > 1:
        raise InvalidRequestError("Idempotency-Key: is given more than once")
    if values and not _KEY.fullmatch(values[0]):
        raise InvalidRequestError(f"Idempotency-Key: must be 1 to {LONGEST_KEY} visible ASCII characters")
    return values[0] if values else None


def keyed_request(caller: Caller, key: str | None, *, route: str, body: BaseModel) -> KeyedRequest | None:
    """Bind a request to its key and its caller; None without a key.

    `route` is the method and the path below the base path.
    The fingerprint covers the meaning of the body: an absent field equals its default, and the order of fields does not
    matter. It covers that there is a secret, not which one.
    """
    if key is None:
        return None
    meaning = body.model_dump(mode="json", exclude_defaults=True)
    text = json.dumps([route, meaning], sort_keys=True)
    return KeyedRequest(
        account_id=caller.account_id,
        owner=caller.uid,
        key=key,
        fingerprint=hashlib.sha256(text.encode()).hexdigest(),
    )
