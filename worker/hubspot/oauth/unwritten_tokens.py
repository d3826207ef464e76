"""UnwrittenTokens: tokens that HubSpot has given and MongoDB has not acknowledged yet; they exist nowhere else."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

import structlog

from worker.accounts.token import Token
from worker.errors import StoreUnavailableError

_log = structlog.get_logger()

LONGEST_SHUTDOWN_WAIT_S = 30.0
"""How long a stopping worker waits for MongoDB while a token is in its memory alone."""

_TRY_AGAIN_S = 0.5  # a try waits for MongoDB by itself; whoever takes a lapsed lease over waits for longer than this

Write = Callable[[], bool]
"""Writes a token; returns False where it is obsolete. Raises StoreUnavailableError."""


class Written(Enum):
    """What became of a token."""

    YES = auto()
    NOT_YET = auto()
    WORTHLESS = auto()


@dataclass(eq=False, slots=True)
class _Kept:
    token: Token
    write: Write
    give_up_at: float
    turn: threading.Lock = field(default_factory=threading.Lock)
    outcome: Written = Written.NOT_YET
    when_over: list[Callable[[], None]] = field(default_factory=list)


class UnwrittenTokens:
    """Keeps tokens in memory until they are written; only the end of the process can lose them.

    Each that could not be written at once has a thread of its own, so that none waits for another's answer.
    """

    def __init__(
        self, *, pause: Callable[[float], None] = time.sleep, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._pause = pause
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._kept: dict[tuple[str, str], _Kept] = {}

    def write(self, token: Token, write: Write, *, within_s: float = math.inf, patience_s: float = 0.0) -> Written:
        """Write a token, or keep it and retry for `within_s`; of an account the newer replaces the older.

        Gives what became of it within `patience_s`. Any error but StoreUnavailableError is raised, the token being kept
        all the same.
        """
        kept = _Kept(token, write, self._monotonic() + within_s)
        self._replace(kept)
        try:
            return self._try(kept)
        except StoreUnavailableError:
            _log.warning("token_not_written_yet", account_id=token.account_id, owner=token.owner)
        finally:
            if self._is_kept(kept):
                threading.Thread(target=self._try_until_written, args=(kept,), name="unwritten", daemon=True).start()
        with self._changed:
            self._changed.wait_for(lambda: self._kept.get((token.account_id, token.owner)) is not kept, patience_s)
        return kept.outcome

    def find(self, account_id: str, owner: str) -> Token | None:
        """Return the token that is kept, if there is one: it is newer than the stored one."""
        with self._changed:
            kept = self._kept.get((account_id, owner))
        return kept.token if kept is not None else None

    def write_now(self, account_id: str, owner: str) -> None:
        """Write the token that is kept, if there is one. Raises StoreUnavailableError."""
        with self._changed:
            kept = self._kept.get((account_id, owner))
        if kept is not None:
            self._try(kept)

    def when_over(self, account_id: str, owner: str, then: Callable[[], None]) -> None:
        """Call `then` when the account's token is no longer kept: at once where none is."""
        with self._changed:
            kept = self._kept.get((account_id, owner))
            if kept is not None:
                kept.when_over.append(then)
        if kept is None:
            then()

    def close(self, *, within_s: float) -> int:
        """Wait for what is not written yet, and log what is lost with this process; return how many that are."""
        with self._changed:
            self._changed.wait_for(lambda: not self._kept, timeout=within_s)
            lost = list(self._kept.values())
        for kept in lost:
            self._say_lost(kept)
        return len(lost)

    def _try(self, kept: _Kept) -> Written:
        """Write, one thread at a time: a second one would find the first one's token, and take it for a stranger's.

        A token that a newer one has replaced is not written any more.
        """
        with kept.turn:
            if kept.outcome is Written.NOT_YET:
                kept.outcome = Written.YES if self._is_kept(kept) and kept.write() else Written.WORTHLESS
        self._drop(kept)
        return kept.outcome

    def _try_until_written(self, kept: _Kept) -> None:
        is_said = False
        while self._is_kept(kept):
            self._pause(_TRY_AGAIN_S)
            try:
                written = self._try(kept)
            except StoreUnavailableError:
                pass
            except Exception:  # noqa: BLE001 - the outermost loop of this thread: there is no other copy
                if not is_said:
                    _log.exception("token_not_written", account_id=kept.token.account_id, owner=kept.token.owner)
                is_said = True
            else:
                _log.info("token_written_late", account_id=kept.token.account_id, is_stored=written is Written.YES)
            if self._monotonic() >= kept.give_up_at and self._is_kept(kept):
                self._say_lost(kept)
                self._drop(kept)

    def _replace(self, kept: _Kept) -> None:
        key = (kept.token.account_id, kept.token.owner)
        with self._changed:
            older, self._kept[key] = self._kept.get(key), kept
        for then in older.when_over if older is not None else ():
            then()

    def _is_kept(self, kept: _Kept) -> bool:
        with self._changed:
            return self._kept.get((kept.token.account_id, kept.token.owner)) is kept

    def _drop(self, kept: _Kept) -> None:
        key = (kept.token.account_id, kept.token.owner)
        with self._changed:
            if self._kept.get(key) is not kept:
                return
            del self._kept[key]
            self._changed.notify_all()
        for then in kept.when_over:
            then()

    @staticmethod
    def _say_lost(kept: _Kept) -> None:
        _log.error(
            "token_lost",
            account_id=kept.token.account_id,
            owner=kept.token.owner,
            reason="MongoDB has not taken what HubSpot gave: the account has to be connected again",
        )
