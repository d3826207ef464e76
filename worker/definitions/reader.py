"""DefinitionReader: reads HubSpot's definitions under the rate limit, and keeps them for minutes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property

import structlog

from worker.accounts.interfaces import TokenInfoSource
from worker.accounts.portal_interfaces import AccessTokenSource
from worker.accounts.token import AccessToken
from worker.definitions.interfaces import LIFE_S, Access, DefinitionCache, DefinitionPage, DefinitionSource
from worker.definitions.lists import DefinitionList, Listed
from worker.errors import (
    FatalHubSpotError,
    HubSpotError,
    NoPermitError,
    PermitExpiredError,
    RateLimitedError,
    TokenRefusedError,
)
from worker.rate_limit.interfaces import RateLimiter
from worker.rate_limit.single_permits import LEAST_WAIT_S, SinglePermits

_log = structlog.get_logger()

_PERMIT_WITHIN_S = 10.0
_MOST_PAGES = 1000  # of one list
_MOST_EXPIRED_PERMITS = 5
_BLOCK_S = 10.0  # HubSpot's window


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionReader:
    """Everything that reading takes; one object serves all threads of a worker."""

    source: DefinitionSource
    cache: DefinitionCache
    tokens: AccessTokenSource
    facts: TokenInfoSource
    limiter: RateLimiter
    stopping: threading.Event
    monotonic: Callable[[], float] = time.monotonic

    def begin(self, account_id: str, owner: str, *, max_age_s: float = LIFE_S) -> AccountReader:
        """Begin to read lists for the account, none of them older than that; 0: from HubSpot itself."""
        return AccountReader(self, account_id, owner, max_age_s=max_age_s)


class AccountReader:
    """Lists read for one account; `calls` is how many calls they took."""

    def __init__(self, tools: DefinitionReader, account_id: str, owner: str, *, max_age_s: float) -> None:
        self._tools = tools
        self._account_id = account_id
        self._owner = owner
        self._max_age_s = max_age_s
        self._permits = SinglePermits(
            limiter=tools.limiter, within_s=_PERMIT_WITHIN_S, stopping=tools.stopping, monotonic=tools.monotonic
        )
        self.calls = 0

    def read(self, wanted: DefinitionList, *, required: bool = False) -> Listed:
        """Return a list.

        Raises a HubSpotError, NoPermitError when the limit has no permit for long, CallAbandonedError when the worker
        stops, TokenNotFoundError, UnavailableError.
        """
        access = self._access
        kept = self._kept(access, wanted)
        if kept is not None and not (required and kept.refused is not None):
            return kept
        try:
            listed = self._fetch_all(wanted)
        except FatalHubSpotError as error:
            if required:
                raise
            _log.warning("definitions_refused", list=f"{wanted.kind}/{wanted.key}", **error.log_fields)
            listed = Listed(refused=error.message, status=error.status)
        if access is not None:
            self._tools.cache.put(access, wanted, listed)
        return listed

    @cached_property
    def _access(self) -> Access | None:
        """What may be kept and shown; without HubSpot's word on the token everything is read anew."""
        token = self._tools.tokens.get(self._account_id, self._owner)
        with suppress(HubSpotError):
            return Access.of(self._tools.facts.look(self._account_id, self._owner), hub_id=token.hub_id)
        return None

    def _kept(self, access: Access | None, wanted: DefinitionList) -> Listed | None:
        if access is None or self._max_age_s <= 0:
            return None
        return self._tools.cache.find(access, wanted, max_age_s=self._max_age_s)

    def _fetch_all(self, wanted: DefinitionList) -> Listed:
        page = self._fetch(wanted, after=None)
        listed, seen = page.listed, set[str]()
        while page.after is not None:
            if page.after in seen or len(seen) == _MOST_PAGES:
                raise FatalHubSpotError(f"HubSpot's list of {wanted.kind} does not end")
            seen.add(page.after)
            page = self._fetch(wanted, after=page.after)
            listed = _both(listed, page.listed)
        return listed

    def _fetch(self, wanted: DefinitionList, *, after: str | None) -> DefinitionPage:
        """Make a call, once more with another token where HubSpot refuses the first."""
        token = self._tools.tokens.get(self._account_id, self._owner)
        try:
            return self._call(wanted, token, after=after)
        except TokenRefusedError:
            token = self._tools.tokens.get(self._account_id, self._owner, rejected=token.value)
            return self._call(wanted, token, after=after)

    def _call(self, wanted: DefinitionList, token: AccessToken, *, after: str | None) -> DefinitionPage:
        for _ in range(_MOST_EXPIRED_PERMITS):
            with suppress(PermitExpiredError):
                return self._call_once(wanted, token, after=after)
        raise NoPermitError(wait_s=LEAST_WAIT_S)

    def _call_once(self, wanted: DefinitionList, token: AccessToken, *, after: str | None) -> DefinitionPage:
        limiter, permit = self._tools.limiter, self._permits.take(self._account_id, token.hub_id)
        try:
            page = self._tools.source.fetch(wanted, token.value, after=after, permit=permit)
        except RateLimitedError as error:
            seconds = error.retry_after_s if error.retry_after_s is not None else _BLOCK_S
            limiter.block(self._account_id, hub_id=token.hub_id, seconds=seconds)
            raise
        finally:
            permit.close()
        self.calls += 1
        if page.quota is not None:
            limiter.learn(self._account_id, page.quota, hub_id=token.hub_id)
        return page


def _both(first: Listed, second: Listed) -> Listed:
    return replace(
        first,
        properties=(*first.properties, *second.properties),
        custom_types=(*first.custom_types, *second.custom_types),
        pipelines=(*first.pipelines, *second.pipelines),
        owners=(*first.owners, *second.owners),
    )
