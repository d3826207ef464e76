"""TokenEncryption: encrypts stored tokens where the operator has set keys."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr

from worker.errors import TokenUnreadableError

_FERNET = "gAAAAA"  # the prefix of all: a version, and a time whose upper bytes stay zero until the year 2242


def is_encrypted(stored: str) -> bool:
    """Whether a stored value is encrypted; anything else is a token in plain text."""
    return stored.startswith(_FERNET)


class TokenEncryption:
    """Encrypts with the first key, decrypts with any; without keys tokens stay in plain text."""

    def __init__(self, keys: Sequence[SecretStr] = ()) -> None:
        fernets = [Fernet(key.get_secret_value()) for key in keys]
        self._fernet = MultiFernet(fernets) if fernets else None

    @property
    def has_keys(self) -> bool:
        return self._fernet is not None

    def encrypt(self, token: SecretStr) -> str:
        """Return the text to store, different each time (Fernet is randomised)."""
        plain = token.get_secret_value()
        return plain if self._fernet is None else self._fernet.encrypt(plain.encode()).decode()

    def decrypt(self, stored: str) -> str:
        """Return the token; one stored in plain text is returned as it is. Raises TokenUnreadableError."""
        if not is_encrypted(stored):
            return stored
        if self._fernet is None:
            raise TokenUnreadableError
        try:
            # `replace`: a token that is not UTF-8 is refused by HubSpot; it is no reason to fail here.
            return self._fernet.decrypt(stored.encode()).decode(errors="replace")
        except InvalidToken:
            raise TokenUnreadableError from None


PLAIN_TEXT = TokenEncryption()
