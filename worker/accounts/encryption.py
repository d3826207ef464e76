"""TokenEncryption: tokens as they are stored, encrypted where the operator has given keys."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr

from worker.errors import TokenUnreadableError

_FERNET = "gAAAAA"  # how all of them begin: the version, and a time whose upper bytes stay zero until the year 2242


def is_encrypted(stored: str) -> bool:
    """Whether a stored value is encrypted; whatever is not, is a token in plain text."""
    return stored.startswith(_FERNET)


class TokenEncryption:
    """Encrypts with the first of the keys, decrypts with any; without keys everything stays in plain text."""

    def __init__(self, keys: Sequence[SecretStr] = ()) -> None:
        fernets = [Fernet(key.get_secret_value()) for key in keys]
        self._fernet = MultiFernet(fernets) if fernets else None

    @property
    def has_keys(self) -> bool:
        """Whether what is stored from now on is encrypted."""
        return self._fernet is not None

    def encrypt(self, token: SecretStr) -> str:
        """Give what to store. The same token never comes out the same twice."""
        plain = token.get_secret_value()
        return plain if self._fernet is None else self._fernet.encrypt(plain.encode()).decode()

    def decrypt(self, stored: str) -> str:
        """Give the token; one that was stored in plain text as it is. Raises TokenUnreadableError."""
        if not is_encrypted(stored):
            return stored
        if self._fernet is None:
            raise TokenUnreadableError
        try:
            return self._fernet.decrypt(stored.encode()).decode(errors="replace")
        except InvalidToken:
            raise TokenUnreadableError from None


PLAIN_TEXT = TokenEncryption()
