"""RedisRateLimiter: calls per HubSpot portal in a sliding window, counted in Redis over all workers."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from redis import Redis, RedisError

from worker.rate_limit.backoff import SharedBackoff
from worker.rate_limit.blocks import CALLS
from worker.rate_limit.circuit_breaker import RedisCircuitBreaker
from worker.rate_limit.interfaces import Reservation
from worker.rate_limit.limit_keys import LimitKey, LimitKeys
from worker.rate_limit.local_window import LocalSlidingWindow
from worker.rate_limit.outstanding import OutstandingCalls
from worker.rate_limit.permits import PERMIT_S, PRESUMED_OVER_S
from worker.rate_limit.quota import Quota, Rate
from worker.rate_limit.redis_window import QUOTA_LIFE_S, CallState, Decision, RedisSlidingWindow

_LATE_ANSWER = 0.1  # of a window: how late an answer of HubSpot may be compared with the log
_IDENTITY_LIFE_S = 1800.0  # half of its TTL in Redis: an older one may have expired
_RETRY_DEGRADED_S = 1.0
_PROBE_RETRY_S = 0.05  # another thread's probe is under way, and soon answered
_MOST_KEYS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What this process knows of a key: the rate in force, the calls in the log, and when it last wrote the rate."""

    rate: Rate
    logged: int = 0
    written_at: float = float("-inf")


class RedisRateLimiter:
    """At most `rate` calls of one `app` to each portal, and no more than HubSpot allows where that is less.

    While Redis is away each worker uses its share of the limit, and grants nothing before all earlier calls are a
    window old. When Redis is back, or has lost its data, calls that it does not know of are waited out the same way.
    """

    def __init__(
        self,
        redis: Redis,
        rate: Rate,
        *,
        app: str = "",
        clock: Callable[[], float] = time.monotonic,
        limit: str = CALLS,
    ) -> None:
        self._configured = rate
        self._rate = rate.measured_by_us
        self._clock = clock
        self._shared = RedisSlidingWindow(redis, limit=limit)
        self._calls = LocalSlidingWindow()
        self._breaker = RedisCircuitBreaker(clock)
        # No call counts longer than that, whatever became of it.
        keep_s = 2 * self._rate.seconds + PRESUMED_OVER_S
        self._keep_s = keep_s
        self._outstanding = OutstandingCalls(self._report, keep_s=keep_s, clock=clock)
        self._blocks = SharedBackoff(self._shared, self._breaker, clock)
        self._keys = LimitKeys(app, on_new_name=self._take_over)
        self._known: dict[str, _Known] = {}
        self._birth: str | None = None
        self._workers = rate.calls  # until Redis says how many there are: the smallest share

    def reserve(
        self, account_id: str, *, hub_id: int | None = None, within_s: float, low_priority: bool = False
    ) -> Reservation:
        """Request a permit; `within_s` counts for a window at most."""
        key = self._keys.of(account_id, hub_id)
        left_s = self._blocks.left_s(key)
        if left_s > 0:
            return Reservation(wait_s=left_s, is_granted=False)
        # `asked_at` is from before the round trip, so that the permit expires early rather than late.
        within_s, call, asked_at = min(within_s, self._rate.seconds), secrets.token_hex(8), self._clock()
        decision = self._breaker.probe(
            lambda: self._request(key, call=call, within_s=within_s, low_priority=low_priority)
        )
        if decision is None and low_priority:  # a worker's share of the limit is no more than ordinary calls need
            return Reservation(wait_s=_RETRY_DEGRADED_S, is_granted=False)
        if decision is None:
            return self._reserve_degraded(key, within_s=within_s)
        self._remember(key, decision)
        if not decision.is_granted:
            return _retry_later(decision, within_s=0.0 if low_priority else within_s)
        local = self._calls.note(key.name, decision.rate, at=asked_at)
        permit = self._outstanding.open(call, key, valid_from=asked_at + decision.wait_s, local=local)
        return Reservation(wait_s=decision.wait_s, is_granted=True, permit=permit)

    def learn(self, account_id: str, quota: Quota, *, hub_id: int | None = None) -> None:
        at, key = self._clock(), self._keys.of(account_id, hub_id)
        rate = self._configured.under(quota).measured_by_us
        took_s = quota.seconds if quota.took_s is None else quota.took_s
        counted = quota.counted if took_s <= quota.seconds else 0  # a slower answer is about a window that has passed
        known = self._known.get(key.name, _Known(rate=self._rate))
        # A lower rate expires in Redis, and is written again at half of its life.
        is_written = rate == self._rate or at - known.written_at < QUOTA_LIFE_S / 2
        if rate == known.rate and is_written and counted <= known.logged:
            return  # nothing that Redis does not know
        self._know(key.name, _Known(rate=rate, logged=known.logged, written_at=at))
        reach_s = took_s + quota.seconds * (1 + _LATE_ANSWER)
        self._breaker.call(lambda: self._shared.learn(key, rate, counted=counted, reach_s=reach_s))

    def block(self, account_id: str, *, hub_id: int | None = None, seconds: float) -> None:
        """Hold back all calls to the portal for a day at most; while Redis is away, only those of this process."""
        self._blocks.add(self._keys.of(account_id, hub_id), seconds=seconds)

    def blocked_for_s(self, account_id: str, *, hub_id: int | None = None) -> float:
        """Return the seconds left of a block, by whichever worker; 0.0 where none is known."""
        key = self._keys.of(account_id, hub_id)
        return self._blocks.left_s(key) or self._breaker.probe(lambda: self._shared.blocked_for_s(key)) or 0.0

    def flush(self) -> None:
        """Report to Redis now how calls ended, which otherwise happens in the background."""
        self._outstanding.flush()

    def _report(self, states: Mapping[LimitKey, Sequence[CallState]]) -> bool:
        def report() -> bool:
            self._shared.report(states, keep_s=self._keep_s)
            return True

        return self._breaker.call(report) is not None

    def _take_over(self, earlier: str, name: str) -> None:
        self._calls.take_over(earlier, name)
        self._blocks.take_over(earlier, name)

    def _request(self, key: LimitKey, *, call: str, within_s: float, low_priority: bool) -> Decision:
        at = self._clock()
        is_known = at - self._breaker.last_answer_at < _IDENTITY_LIFE_S
        try:
            return self._shared.reserve(
                key,
                self._rate,
                call=call,
                within_s=within_s,
                low_priority=low_priority,
                birth=self._birth if is_known else None,
                unlogged_ago_s=self._unlogged_ago_s(at),
            )
        except RedisError:  # the permit may have been granted, and only the answer lost
            self._outstanding.retract(call, key)
            raise

    def _unlogged_ago_s(self, at: float) -> float | None:
        """Return how long ago some worker may have made a call without Redis; None: nobody can have."""
        if self._breaker.away_since is None or at - self._breaker.last_answer_at <= self._rate.seconds + PERMIT_S:
            return None
        return at - max(self._breaker.last_failure_at, self._calls.last_granted_at)

    def _remember(self, key: LimitKey, decision: Decision) -> None:
        written_at = self._known.get(key.name, _Known(rate=decision.rate)).written_at
        self._know(key.name, _Known(rate=decision.rate, logged=decision.logged, written_at=written_at))
        self._birth, self._workers = decision.birth, decision.workers

    def _know(self, name: str, known: _Known) -> None:
        if len(self._known) >= _MOST_KEYS:
            self._known.clear()  # a cache that saves round trips
        self._known[name] = known

    def _reserve_degraded(self, key: LimitKey, *, within_s: float) -> Reservation:
        retry_s = _RETRY_DEGRADED_S * (1 + random.random())  # noqa: S311 - spreads load
        if self._breaker.away_since is not None and not self._breaker.is_surely_away:
            return Reservation(wait_s=retry_s, is_granted=False)
        reservation = self._breaker.call_degraded(
            lambda away_since: self._grant_degraded(key, within_s=within_s, away_since=away_since)
        )
        if reservation is None:  # Redis may be back
            return Reservation(wait_s=_PROBE_RETRY_S, is_granted=False)
        if reservation.is_granted:
            return reservation
        return Reservation(wait_s=min(reservation.wait_s, retry_s), is_granted=False)

    def _grant_degraded(self, key: LimitKey, *, within_s: float, away_since: float) -> Reservation:
        """Grant a permit of this worker's share, from a window after the last call that Redis granted may have left."""
        at, rate = self._clock(), self._known.get(key.name, _Known(rate=self._rate)).rate
        share = Rate(max(1, rate.calls // self._workers), rate.seconds)
        not_before = away_since + within_s + PERMIT_S + max(rate.seconds, self._rate.seconds)
        wait_s, local = self._calls.reserve(key.name, share, at=at, within_s=within_s, not_before=not_before)
        if local is None:
            return Reservation(wait_s=wait_s, is_granted=False)
        permit = self._outstanding.open(secrets.token_hex(8), key, valid_from=at + wait_s, local=local)
        return Reservation(wait_s=wait_s, is_granted=True, permit=permit)


class NoRateLimit:
    """HUBSPOT_RATE_LIMIT=0: every call goes ahead, unless HubSpot has answered 429.

    Without a Redis only this process knows of that.
    """

    def __init__(
        self,
        redis: Redis | None = None,
        *,
        app: str = "",
        clock: Callable[[], float] = time.monotonic,
        limit: str = CALLS,
    ) -> None:
        self._shared = RedisSlidingWindow(redis, limit=limit) if redis is not None else None
        self._breaker = RedisCircuitBreaker(clock)
        self._blocks = SharedBackoff(self._shared, self._breaker, clock)
        self._keys = LimitKeys(app, on_new_name=self._blocks.take_over)

    def reserve(
        self,
        account_id: str,
        *,
        hub_id: int | None = None,
        within_s: float,  # noqa: ARG002 - there is no queue
        low_priority: bool = False,  # noqa: ARG002 - nor a limit
    ) -> Reservation:
        """Grant at once, unless the portal is blocked."""
        left_s = self.blocked_for_s(account_id, hub_id=hub_id)
        return Reservation(wait_s=left_s, is_granted=left_s == 0)

    def learn(self, account_id: str, quota: Quota, *, hub_id: int | None = None) -> None:
        """Do nothing: there is no limit to adapt."""

    def block(self, account_id: str, *, hub_id: int | None = None, seconds: float) -> None:
        self._blocks.add(self._keys.of(account_id, hub_id), seconds=seconds)

    def blocked_for_s(self, account_id: str, *, hub_id: int | None = None) -> float:
        """Return the seconds left of a block, by whichever worker; 0.0 where none is known."""
        key = self._keys.of(account_id, hub_id)
        return self._blocks.left_s(key) or self._left_elsewhere_s(key)

    def flush(self) -> None:
        """Do nothing: no call is counted."""

    def _left_elsewhere_s(self, key: LimitKey) -> float:
        if (shared := self._shared) is None:
            return 0.0
        return self._breaker.probe(lambda: shared.blocked_for_s(key)) or 0.0


def _retry_later(decision: Decision, *, within_s: float) -> Reservation:
    """Spread retries over the time in which a permit would be granted: not all at once, none too late."""
    if decision.is_blocked:
        return Reservation(wait_s=decision.wait_s, is_granted=False)
    early_s = min(within_s, decision.rate.seconds) * random.random()  # noqa: S311 - spreads load
    return Reservation(wait_s=decision.wait_s - early_s, is_granted=False)
