"""RedisRateLimiter: calls per HubSpot portal in a sliding window, counted in Redis over all workers."""

from __future__ import annotations

import hashlib
import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from redis import Redis, RedisError

from worker.rate_limit.blocks import LONGEST_BLOCK_S
from worker.rate_limit.circuit_breaker import RedisCircuitBreaker
from worker.rate_limit.interfaces import Reservation
from worker.rate_limit.local_window import LocalBackoff, LocalSlidingWindow
from worker.rate_limit.outstanding import OutstandingCalls
from worker.rate_limit.permits import PERMIT_S, PRESUMED_OVER_S
from worker.rate_limit.quota import Quota, Rate
from worker.rate_limit.redis_window import QUOTA_LIFE_S, CallState, LimitKey, Place, RedisSlidingWindow

# Redis' clock and HubSpot's need not tell the same length of a window: NTP corrects a clock by 0.05 % at the most. And
# instants are whole milliseconds.
_CLOCKS_DIFFER, _ROUNDED_S = 1.001, 0.005
_LATE_NEWS = 0.1  # of a window: for so long an answer of HubSpot may wait before it is compared with the log
_IDENTITY_LIFE_S = 1800.0  # half of what Redis remembers it for: an older one may have ended by itself
_PATIENCE_ALONE_S = 1.0
_LOOK_AGAIN_S = 0.05  # whether the one that asks Redis has had its answer
_LOOK_AT_BLOCK_S = 2.0  # whether someone has lifted it
_MOST_ACCOUNTS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What this process last heard of an account: the rate in force, the calls in the log, and when it told Redis."""

    rate: Rate
    logged: int = 0
    told_at: float = float("-inf")


class _LimitKeys:
    """Whose limit an account's calls count in: its portal's, or, while that is not known, that of the last one it had.

    An account of which no portal was ever told has a limit of its own. `on_new_name` is told when what was counted
    under one name goes on under another.
    """

    def __init__(self, app: str, *, on_new_name: Callable[[str, str], None]) -> None:
        self._app = hashlib.sha256(app.encode()).hexdigest()[:16]
        self._on_new_name = on_new_name
        self._last: dict[str, LimitKey] = {}

    def of(self, account_id: str, hub_id: int | None) -> LimitKey:
        """Return it."""
        last = self._last.get(account_id)
        if hub_id is None:
            return last or LimitKey(account_id)
        key = LimitKey(account_id, f"{self._app}:{hub_id}")
        if last is None:
            self._on_new_name(LimitKey(account_id).name, key.name)
        if last != key:
            if len(self._last) >= _MOST_ACCOUNTS:
                self._last.clear()  # Redis knows as well
            self._last[account_id] = key
        return key


class RedisRateLimiter:
    """At most `rate` calls of one `app` to each portal, and no more than HubSpot allows where that is less.

    While Redis is away each worker keeps to its share, and books nothing before all calls of the time before are a
    window old. When it comes back, and when it has lost its data, what it does not know is waited out in the same way.
    """

    def __init__(self, redis: Redis, rate: Rate, *, app: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._configured = rate
        self._rate = _measured_by_us(rate)
        self._clock = clock
        self._shared = RedisSlidingWindow(redis)
        self._calls = LocalSlidingWindow()
        self._contact = RedisCircuitBreaker(clock)
        keep_s = 2 * self._rate.seconds + PRESUMED_OVER_S
        self._keep_s = keep_s
        self._outstanding = OutstandingCalls(self._tell, keep_s=keep_s, clock=clock)
        self._blocks = _Blocks(self._shared, self._contact, clock)
        self._keys = _LimitKeys(app, on_new_name=self._take_over)
        self._known: dict[str, _Known] = {}
        self._birth: str | None = None
        self._workers = rate.calls  # until Redis has told: the least share there is

    def reserve(
        self, account_id: str, *, hub_id: int | None = None, within_s: float, is_spare: bool = False
    ) -> Reservation:
        """Book the next call that may be made, if that is within so many seconds, at most a window."""
        key = self._keys.of(account_id, hub_id)
        left_s = self._blocks.left_s(key)
        if left_s > 0:
            return Reservation(wait_s=left_s, is_booked=False)
        within_s, call, asked_at = min(within_s, self._rate.seconds), secrets.token_hex(8), self._clock()
        place = self._contact.look(lambda: self._ask_for_place(key, call=call, within_s=within_s, is_spare=is_spare))
        if place is None and is_spare:  # a share of the limit is no more than the ordinary calls need
            return Reservation(wait_s=_PATIENCE_ALONE_S, is_booked=False)
        if place is None:
            return self._reserve_alone(key, within_s=within_s)
        self._remember(key, place)
        if not place.is_booked:
            return _come_back(place, within_s=0.0 if is_spare else within_s)
        local = self._calls.note(key.name, place.rate, at=asked_at)
        permit = self._outstanding.open(call, key, valid_from=asked_at + place.wait_s, local=local)
        return Reservation(wait_s=place.wait_s, is_booked=True, permit=permit)

    def learn(self, account_id: str, quota: Quota, *, hub_id: int | None = None) -> None:
        """Take note of what HubSpot says: a lower limit than ours, or calls that we know nothing of.

        Redis is asked only where this is news.
        """
        at, key = self._clock(), self._keys.of(account_id, hub_id)
        rate = _measured_by_us(self._configured.under(quota))
        took_s = quota.seconds if quota.took_s is None else quota.took_s
        counted = quota.counted if took_s <= quota.seconds else 0  # an older answer tells of a window that is over
        known = self._known.get(key.name, _Known(rate=self._rate))
        is_told = rate == self._rate or at - known.told_at < QUOTA_LIFE_S / 2
        if rate == known.rate and is_told and counted <= known.logged:
            return
        self._know(key.name, _Known(rate=rate, logged=known.logged, told_at=at))
        reach_s = took_s + quota.seconds * (1 + _LATE_NEWS)
        self._contact.ask(lambda: self._shared.learn(key, rate, counted=counted, reach_s=reach_s))

    def block(self, account_id: str, *, hub_id: int | None = None, seconds: float) -> None:
        """Hold back all calls to the portal, in every worker; while Redis is away, in this one. A day is the most."""
        self._blocks.add(self._keys.of(account_id, hub_id), seconds=seconds)

    def flush(self) -> None:
        """Report the outcome of calls to Redis now, which otherwise happens in the background."""
        self._outstanding.flush()

    def _tell(self, states: Mapping[LimitKey, Sequence[CallState]]) -> bool:
        def tell() -> bool:
            self._shared.tell(states, keep_s=self._keep_s)
            return True

        return self._contact.ask(tell) is not None

    def _take_over(self, earlier: str, name: str) -> None:
        self._calls.take_over(earlier, name)
        self._blocks.take_over(earlier, name)

    def _ask_for_place(self, key: LimitKey, *, call: str, within_s: float, is_spare: bool) -> Place:
        at = self._clock()
        is_known = at - self._contact.last_answer_at < _IDENTITY_LIFE_S
        try:
            return self._shared.reserve(
                key,
                self._rate,
                call=call,
                within_s=within_s,
                is_spare=is_spare,
                birth=self._birth if is_known else None,
                unlogged_ago_s=self._unlogged_ago_s(at),
            )
        except RedisError:  # its answer may be all that was lost
            self._outstanding.retract(call, key)
            raise

    def _unlogged_ago_s(self, at: float) -> float | None:
        """Return how long ago some worker may have made a call on its own; None: nobody can have."""
        if self._contact.away_since is None or at - self._contact.last_answer_at <= self._rate.seconds + PERMIT_S:
            return None
        return at - max(self._contact.last_failure_at, self._calls.last_booked_at)

    def _remember(self, key: LimitKey, place: Place) -> None:
        told_at = self._known.get(key.name, _Known(rate=place.rate)).told_at
        self._know(key.name, _Known(rate=place.rate, logged=place.logged, told_at=told_at))
        self._birth, self._workers = place.birth, place.workers

    def _know(self, name: str, known: _Known) -> None:
        if len(self._known) >= _MOST_ACCOUNTS:
            self._known.clear()  # it saves round trips, no more
        self._known[name] = known

    def _reserve_alone(self, key: LimitKey, *, within_s: float) -> Reservation:
        patience_s = _PATIENCE_ALONE_S * (1 + random.random())  # noqa: S311 - spreads load
        if self._contact.away_since is not None and not self._contact.is_surely_away:
            return Reservation(wait_s=patience_s, is_booked=False)
        place = self._contact.alone(lambda away_since: self._book_alone(key, within_s=within_s, away_since=away_since))
        if place is None:  # it may be back
            return Reservation(wait_s=_LOOK_AGAIN_S, is_booked=False)
        if place.is_booked:
            return place
        return Reservation(wait_s=min(place.wait_s, patience_s), is_booked=False)

    def _book_alone(self, key: LimitKey, *, within_s: float, away_since: float) -> Reservation:
        """Book a place of this worker's share, a window after the last call may have left that was booked in Redis."""
        at, rate = self._clock(), self._known.get(key.name, _Known(rate=self._rate)).rate
        share = Rate(max(1, rate.calls // self._workers), rate.seconds)
        not_before = away_since + within_s + PERMIT_S + max(rate.seconds, self._rate.seconds)
        wait_s, local = self._calls.reserve(key.name, share, at=at, within_s=within_s, not_before=not_before)
        if local is None:
            return Reservation(wait_s=wait_s, is_booked=False)
        permit = self._outstanding.open(secrets.token_hex(8), key, valid_from=at + wait_s, local=local)
        return Reservation(wait_s=wait_s, is_booked=True, permit=permit)


class NoRateLimit:
    """What HUBSPOT_RATE_LIMIT=0 asks for: every call goes ahead, unless HubSpot itself has asked for patience.

    Without a Redis only this process knows of that.
    """

    def __init__(
        self, redis: Redis | None = None, *, app: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._shared = RedisSlidingWindow(redis) if redis is not None else None
        self._contact = RedisCircuitBreaker(clock)
        self._blocks = _Blocks(self._shared, self._contact, clock)
        self._keys = _LimitKeys(app, on_new_name=self._blocks.take_over)

    def reserve(
        self,
        account_id: str,
        *,
        hub_id: int | None = None,
        within_s: float,  # noqa: ARG002 - there is no queue
        is_spare: bool = False,  # noqa: ARG002 - nor a limit to leave anything of
    ) -> Reservation:
        """Let the call go ahead, or tell for how long HubSpot wants none."""
        key = self._keys.of(account_id, hub_id)
        left_s = self._blocks.left_s(key) or self._left_elsewhere_s(key)
        return Reservation(wait_s=left_s, is_booked=left_s == 0)

    def learn(self, account_id: str, quota: Quota, *, hub_id: int | None = None) -> None:
        """Nothing: whoever asks for no limit gets none."""

    def block(self, account_id: str, *, hub_id: int | None = None, seconds: float) -> None:
        """Hold back all calls to the portal, in every worker, for a day at the most."""
        self._blocks.add(self._keys.of(account_id, hub_id), seconds=seconds)

    def flush(self) -> None:
        """Nothing: no call is counted."""

    def _left_elsewhere_s(self, key: LimitKey) -> float:
        if (shared := self._shared) is None:
            return 0.0
        return self._contact.look(lambda: shared.blocked_for_s(key)) or 0.0


class _Blocks:
    """What this process knows of blocks, and what Redis does, which is looked at again while there is one.

    A block that was noted while Redis was away is told it as soon as it is back.
    """

    def __init__(
        self, shared: RedisSlidingWindow | None, contact: RedisCircuitBreaker, clock: Callable[[], float]
    ) -> None:
        self._shared = shared
        self._contact = contact
        self._clock = clock
        self._local = LocalBackoff()

    def add(self, key: LimitKey, *, seconds: float) -> None:
        """Note that HubSpot wants patience."""
        if seconds <= 0:
            return
        seconds, shared = min(seconds, LONGEST_BLOCK_S), self._shared
        left_s = self._contact.ask(lambda: shared.block(key, seconds)) if shared is not None else None
        is_shared = left_s is not None
        self._local.add(key.name, seconds=left_s or seconds, at=self._clock(), is_shared=is_shared)

    def take_over(self, earlier: str, name: str) -> None:
        """Wait under this name as long as was asked for under the earlier one."""
        self._local.take_over(earlier, name)

    def left_s(self, key: LimitKey) -> float:
        """Return the seconds that are left of a block, 0.0 where it has none that is known here."""
        at = self._clock()
        block = self._local.find(key.name, at=at)
        if block is None:
            return 0.0
        left_s = block.until - at
        if at - block.seen_at < _LOOK_AT_BLOCK_S or (shared := self._shared) is None:
            return left_s
        told_s = self._contact.ask(lambda: shared.blocked_for_s(key) if block.is_shared else shared.block(key, left_s))
        if told_s is None:
            return left_s
        self._local.set(key.name, seconds=told_s, at=at)
        return told_s


def _measured_by_us(rate: Rate) -> Rate:
    return Rate(rate.calls, round(rate.seconds * _CLOCKS_DIFFER + _ROUNDED_S, 3))


def _come_back(place: Place, *, within_s: float) -> Reservation:
    """Spread those who are to come back over the time in which they could book: not all at once, none too late."""
    if place.is_blocked:
        return Reservation(wait_s=place.wait_s, is_booked=False)
    early_s = min(within_s, place.rate.seconds) * random.random()  # noqa: S311 - spreads load
    return Reservation(wait_s=place.wait_s - early_s, is_booked=False)
