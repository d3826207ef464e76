"""LimitKey: whose limit a call counts in; LimitKeys: those of a process' accounts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

_MOST_ACCOUNTS = 10_000


@dataclass(frozen=True, slots=True)
class LimitKey:
    """Whose limit a call counts in: the portal's for our app; None: no portal is known, and the account has its own."""

    account_id: str
    portal: str | None = None

    @property
    def name(self) -> str:
        """A text that no other key has."""
        return f"account:{self.account_id}" if self.portal is None else f"portal:{self.portal}"


class LimitKeys:
    """The key of each account: its portal's, or while that is not known, that of the last portal it had.

    An account of which no portal was ever known has a limit of its own; once its portal is known, `on_new_name` is
    called with the old name and the new one, so that what was counted moves along.
    """

    def __init__(self, app: str, *, on_new_name: Callable[[str, str], None]) -> None:
        self._app = hashlib.sha256(app.encode()).hexdigest()[:16]
        self._on_new_name = on_new_name
        self._last: dict[str, LimitKey] = {}

    def of(self, account_id: str, hub_id: int | None) -> LimitKey:
        last = self._last.get(account_id)
        if hub_id is None:
            return last or LimitKey(account_id)
        key = LimitKey(account_id, f"{self._app}:{hub_id}")
        if last is None:
            self._on_new_name(LimitKey(account_id).name, key.name)
        if last != key:
            if len(self._last) >= _MOST_ACCOUNTS:
                self._last.clear()  # a cache: Redis knows the portals too
            self._last[account_id] = key
        return key
