"""RedisRateLimiter on the real server, and on fakeredis where that is away: no window holds more than the limit."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any
from urllib.parse import urlsplit

import pytest
from fakeredis import FakeRedis, FakeServer
from redis import Connection, ConnectionPool, Redis
from redis import ConnectionError as RedisConnectionError
from redis import TimeoutError as RedisTimeoutError
from structlog.testing import capture_logs

from sandbox.servers.embedded import embedded_redis
from sandbox.state_folder import temporary_state
from tests.patience import until
from worker.broker.redis_client import impatient_redis
from worker.errors import PermitExpiredError
from worker.rate_limit.blocks import blocked_for_s, lift_block
from worker.rate_limit.interfaces import RateLimiter, Reservation
from worker.rate_limit.limiter import NoRateLimit, RedisRateLimiter
from worker.rate_limit.permits import DELIVERY_S, PERMIT_S, PRESUMED_OVER_S, Permit
from worker.rate_limit.quota import Quota, Rate

PATIENCE_S = 30.0
CALL_S = 0.002
DATABASES = cycle(range(16))


@dataclass
class Seconds:
    """A monotonic clock that a test moves."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


class Ending:
    """The end of a test, after which nothing connects any more."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.has_come = False


class EndingConnection(Connection):
    """A connection that no thread opens anew behind its test: nobody would close it."""

    def __init__(self, *, ending: Ending, **options: Any) -> None:  # noqa: ANN401 - as redis-py has them
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._ending = ending

    def _connect(self) -> Any:  # noqa: ANN401 - as redis-py has it
        with self._ending.lock:
            if self._ending.has_come:
                raise RedisConnectionError
            return super()._connect()  # type: ignore[no-untyped-call]


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    # What a limiter of the test before still tells in the background goes to another database, and soon nowhere.
    address = urlsplit(redis_url)._replace(path=f"/{next(DATABASES)}")
    pool = ConnectionPool.from_url(address.geturl(), connection_class=EndingConnection, ending=(ending := Ending()))
    yield Redis(connection_pool=pool)
    with ending.lock:
        ending.has_come = True
    pool.disconnect()


@pytest.fixture
def server() -> FakeServer:
    """Return a Redis that can be away."""
    return FakeServer()


def granted(limiter: RateLimiter, tries: int, account_id: str = "a1") -> int:
    """Count the calls that may be made at once; each is answered at once."""
    return sum(is_made(limiter, limiter.reserve(account_id, within_s=0)) for _ in range(tries))


def is_made(limiter: RateLimiter, place: Reservation) -> bool:
    """Make the call that was granted, if one was. A place that is only looked at is given up, some time later."""
    if place.is_granted:
        place.permit.leave()
        place.permit.settle()
        flush(limiter)
    return place.is_granted


def flush(limiter: RateLimiter) -> None:
    if isinstance(limiter, RedisRateLimiter):
        limiter.flush()


def shift_calls(redis: Redis, *, seconds: float) -> None:
    """Make the calls in the log older, or younger than the present."""
    for key in redis.keys("*:calls:*"):
        for call, _ in redis.zscan_iter(key):
            redis.zincrby(key, seconds * 1000, call)
    for key in redis.keys("*:pace:*"):
        places = redis.lrange(key, 0, -1)
        redis.delete(key)
        redis.rpush(key, *(str(int(place) + round(seconds * 1000)) for place in places))


def quota(calls: int, *, counted: int, took_s: float | None = 0.1) -> Quota:
    return Quota(calls=calls, remaining=calls - counted, seconds=10, took_s=took_s)


@dataclass(frozen=True)
class Went:
    """A call that HubSpot has counted between two instants: it leaves after the one, and is answered by the other."""

    booked_at: float
    answered_at: float


def make_calls(
    limiters: Sequence[RateLimiter], count: int, *, meanwhile: Callable[[int], None] = lambda _: None
) -> list[Went]:
    """Let limiters book in turn until so many calls have gone; `meanwhile` is told after each how many they are."""
    went: list[Went] = []
    gives_up_at = time.monotonic() + PATIENCE_S
    for limiter in cycle(limiters):
        began_at = time.monotonic()
        place = limiter.reserve("a1", within_s=0)
        if place.is_granted:
            booked_at = time.monotonic()
            place.permit.leave()
            time.sleep(CALL_S)
            went.append(Went(booked_at, time.monotonic()))
            place.permit.settle()
            meanwhile(len(went))
        if len(went) == count or began_at > gives_up_at:
            break
        time.sleep(0.001)
    return went


def keep(went: Sequence[Went], rate: Rate) -> bool:
    """Return whether no window of the rate's length holds more calls than its number; a slow machine does no harm."""
    pairs = zip(went, went[rate.calls :], strict=False)
    return all(later.booked_at - earlier.answered_at >= rate.seconds for earlier, later in pairs)


# Places


def test_so_many_calls_go_ahead_and_the_next_is_told_how_long_to_wait(redis: Redis) -> None:
    limiter = RedisRateLimiter(redis, Rate(calls=5, seconds=10))
    assert granted(limiter, 5) == 5

    place = limiter.reserve("a1", within_s=0)

    assert not place.is_granted
    assert 5 < place.wait_s <= 10.1


def test_each_account_has_its_own_count(redis: Redis) -> None:
    limiter = RedisRateLimiter(redis, Rate(calls=1, seconds=10))

    assert [granted(limiter, 2, account_id) for account_id in ("a1", "a2")] == [1, 1]


def test_two_workers_share_one_count(redis: Redis) -> None:
    first, second = (RedisRateLimiter(redis, Rate(calls=2, seconds=10)) for _ in range(2))

    assert granted(first, 1) + granted(second, 2) == 2


def test_no_window_holds_more_than_the_limit_and_places_are_used(redis: Redis) -> None:
    rate = Rate(calls=10, seconds=1)
    limiters = [RedisRateLimiter(redis, rate) for _ in range(3)]

    went = make_calls(limiters, 35)

    assert len(went) == 35
    assert keep(went, rate)


def test_waiters_book_places_of_their_own_in_the_near_future(redis: Redis) -> None:
    limiter = RedisRateLimiter(redis, Rate(calls=2, seconds=10))
    granted(limiter, 1)
    shift_calls(redis, seconds=-5)
    granted(limiter, 1)

    places = [limiter.reserve("a1", within_s=10.1) for _ in range(3)]

    assert [place.is_granted for place in places] == [True, True, False]
    assert places[0].wait_s <= 5.3
    assert 3 < places[1].wait_s - places[0].wait_s < 6


def test_a_place_that_is_too_far_ahead_is_not_taken(redis: Redis) -> None:
    limiter = RedisRateLimiter(redis, Rate(calls=1, seconds=10))
    granted(limiter, 1)

    assert not limiter.reserve("a1", within_s=0.25).is_granted
    assert limiter.reserve("a1", within_s=10.1).is_granted


def test_those_who_come_back_get_turns_and_no_turn_is_later_than_a_window(redis: Redis) -> None:
    limiter = RedisRateLimiter(redis, Rate(calls=3, seconds=10))
    for _ in range(3):
        granted(limiter, 1)
        shift_calls(redis, seconds=-3)

    waits_s = [limiter.reserve("a1", within_s=0).wait_s for _ in range(5)]

    assert waits_s[0] < waits_s[0] + 2 < waits_s[1] < waits_s[1] + 2 < waits_s[2] <= 10.1
    assert waits_s[2:] == pytest.approx([waits_s[2]] * 3, abs=1)


def test_turns_do_not_all_come_at_once(redis: Redis) -> None:
    limiter = RedisRateLimiter(redis, Rate(calls=1, seconds=10))
    granted(limiter, 1)

    waits_s = [limiter.reserve("a1", within_s=2).wait_s for _ in range(20)]

    assert max(waits_s) - min(waits_s) > 0.5
    assert max(waits_s) <= 10.1


# Calls that are out


@pytest.fixture
def clock() -> Seconds:
    """Return the clock of a process that does nothing unless the test lets it: in the background it renews none."""
    return Seconds()


def out(limiter: RateLimiter) -> Permit:
    """Book a call and let it leave."""
    place = limiter.reserve("a1", within_s=0)
    assert place.is_granted
    place.permit.leave()
    return place.permit


def wait_s(limiter: RateLimiter) -> float:
    place = limiter.reserve("a1", within_s=0)
    assert not place.is_granted
    return place.wait_s


def test_a_call_counts_from_before_it_leaves_until_a_window_after_its_answer(redis: Redis, clock: Seconds) -> None:
    limiter, other = (RedisRateLimiter(redis, Rate(calls=1, seconds=10), clock=clock) for _ in range(2))
    call = out(limiter)
    shift_calls(redis, seconds=-20)  # two windows: it is an answer that takes long
    assert granted(other, 1) == 0

    call.settle()
    clock.now += 4
    limiter.flush()

    assert wait_s(other) == pytest.approx(6, abs=0.5)


def test_while_as_many_calls_are_out_as_may_be_the_next_place_is_a_window_ahead(redis: Redis, clock: Seconds) -> None:
    limiter = RedisRateLimiter(redis, Rate(calls=2, seconds=10), clock=clock)
    calls = [out(limiter), out(limiter)]

    assert limiter.reserve("a1", within_s=10.1).is_granted is False
    assert wait_s(limiter) == pytest.approx(10, abs=0.5)
    assert limiter.reserve("a1", within_s=0.25, low_priority=True).wait_s <= 10.1 + 0.5
    assert len(calls) == 2


def test_a_call_of_a_process_that_was_killed_counts_until_it_must_be_over(redis: Redis, clock: Seconds) -> None:
    killed, other = (RedisRateLimiter(redis, Rate(calls=1, seconds=10), clock=clock) for _ in range(2))
    call = out(killed)

    shift_calls(redis, seconds=-PRESUMED_OVER_S - 4)

    assert wait_s(other) == pytest.approx(6, abs=0.5)
    shift_calls(redis, seconds=-6.1)
    assert granted(other, 1) == 1
    call.settle()


def test_a_call_that_takes_long_counts_on_as_long_as_its_process_says_so(redis: Redis, clock: Seconds) -> None:
    limiter, other = (RedisRateLimiter(redis, Rate(calls=1, seconds=10), clock=clock) for _ in range(2))
    call = out(limiter)

    for _ in range(4):
        shift_calls(redis, seconds=-20)
        clock.now += 20
        limiter.flush()

    assert granted(other, 1) == 0
    call.settle()


def test_a_call_that_was_not_made_is_not_counted(redis: Redis) -> None:
    limiter, other = (RedisRateLimiter(redis, Rate(calls=1, seconds=10)) for _ in range(2))
    place = limiter.reserve("a1", within_s=0)
    place.permit.close()
    place.permit.settle()  # a second time changes nothing
    limiter.flush()

    assert granted(other, 2) == 1


def test_a_permit_that_nobody_has_any_more_counts_no_call(redis: Redis) -> None:
    limiter, other = (RedisRateLimiter(redis, Rate(calls=1, seconds=10)) for _ in range(2))
    place = limiter.reserve("a1", within_s=0)
    assert place.is_granted
    del place
    gc.collect()
    limiter.flush()

    assert granted(other, 2) == 1


def test_a_call_without_an_answer_counts_for_as_long_as_it_may_be_on_its_way(redis: Redis, clock: Seconds) -> None:
    limiter, other = (RedisRateLimiter(redis, Rate(calls=1, seconds=10), clock=clock) for _ in range(2))
    call = out(limiter)
    clock.now += 3

    call.close()
    limiter.flush()

    shift_calls(redis, seconds=-DELIVERY_S + 3 - 4)
    assert wait_s(other) == pytest.approx(6, abs=0.5)


def test_a_call_that_comes_too_late_never_leaves(redis: Redis, clock: Seconds) -> None:
    limiter = RedisRateLimiter(redis, Rate(calls=1, seconds=10), clock=clock)
    permit = limiter.reserve("a1", within_s=0).permit

    clock.now += PERMIT_S + 0.1
    with pytest.raises(PermitExpiredError):
        permit.leave()

    permit.close()
    limiter.flush()
    assert granted(limiter, 1) == 1


def test_a_permit_lasts_as_long_as_redis_confirms_it(server: FakeServer, clock: Seconds) -> None:
    limiter = RedisRateLimiter(FakeRedis(server=server), Rate(calls=5, seconds=10), clock=clock)
    early, late = (limiter.reserve("a1", within_s=0).permit for _ in range(2))
    clock.now += PERMIT_S - 1
    limiter.flush()
    clock.now += PERMIT_S - 1
    early.leave()

    server.connected = False
    limiter.flush()
    clock.now += PERMIT_S

    with pytest.raises(PermitExpiredError):
        late.leave()


def test_a_call_that_has_come_too_late_does_not_leave_after_redis_was_told_of_it_again(
    redis: Redis, clock: Seconds
) -> None:
    stopped, other = (RedisRateLimiter(redis, Rate(calls=1, seconds=10), clock=clock) for _ in range(2))
    permit = stopped.reserve("a1", within_s=0).permit
    shift_calls(redis, seconds=-PRESUMED_OVER_S - 11)
    assert granted(other, 1) == 1

    clock.now += PRESUMED_OVER_S + 11
    stopped.flush()

    with pytest.raises(PermitExpiredError):
        permit.leave()


def test_a_booking_whose_answer_was_lost_is_taken_back(server: FakeServer, clock: Seconds) -> None:
    redis = Lossy(server=server)
    limiter = RedisRateLimiter(redis, Rate(calls=3, seconds=10), clock=clock)
    other = RedisRateLimiter(FakeRedis(server=server), Rate(calls=3, seconds=10))
    assert granted(limiter, 1) == 1
    redis.loses_next = True
    assert granted(limiter, 1) == 0
    clock.now += 1.1
    limiter.reserve("a2", within_s=0)  # sees that it is back
    limiter.flush()

    assert granted(other, 3) == 2


def test_what_became_of_calls_is_told_in_the_background(redis: Redis) -> None:
    limiter = RedisRateLimiter(redis, Rate(calls=2, seconds=10))
    out(limiter).settle()
    limiter.reserve("a1", within_s=0).permit.close()

    (key,) = redis.keys("*:calls:*")
    until(lambda: (redis.zcard(key), redis.zcount(key, "-inf", _now_ms(redis))), lambda counts: counts == (1, 1))


def test_what_redis_could_not_be_told_is_told_when_it_is_back(server: FakeServer, clock: Seconds) -> None:
    limiter = RedisRateLimiter(FakeRedis(server=server), Rate(calls=1, seconds=10), clock=clock)
    other = RedisRateLimiter(FakeRedis(server=server), Rate(calls=1, seconds=10))
    call = out(limiter)
    server.connected = False
    call.settle()
    limiter.flush()
    server.connected = True
    clock.now += 4
    limiter.reserve("a2", within_s=0)  # sees that it is back
    limiter.flush()

    assert wait_s(other) == pytest.approx(6, abs=0.5)


def test_an_emptied_redis_is_told_of_the_calls_that_are_still_out(redis: Redis, clock: Seconds) -> None:
    limiter, other = (RedisRateLimiter(redis, Rate(calls=2, seconds=1), clock=clock) for _ in range(2))
    calls = [out(limiter), out(limiter)]
    redis.flushall()
    clock.now += 2
    limiter.flush()

    assert granted(other, 1) == 0
    for call in calls:
        call.settle()


def test_a_call_that_was_out_when_its_portal_became_known_is_settled_in_the_portals_limit(
    redis: Redis, clock: Seconds
) -> None:
    unaware, knows = (RedisRateLimiter(redis, Rate(calls=1, seconds=10), app="app", clock=clock) for _ in range(2))
    call = out(unaware)
    assert not knows.reserve("a1", hub_id=111, within_s=0).is_granted

    call.settle()
    clock.now += 4
    unaware.flush()

    for _ in range(2):
        assert knows.reserve("a1", hub_id=111, within_s=0).wait_s == pytest.approx(6, abs=0.5)


def test_without_redis_calls_that_are_out_count_as_well(server: FakeServer) -> None:
    limiter, clock = alone(server, Rate(calls=4, seconds=10), workers=2)
    calls = [out(limiter), out(limiter)]
    clock.now += 60
    assert granted(limiter, 1) == 0

    for call in calls:
        call.settle()
    clock.now += 10.1

    assert granted(limiter, 3) == 2


def test_a_worker_of_the_version_before_is_counted_and_counts_what_is_out(redis: Redis, clock: Seconds) -> None:
    limiter = RedisRateLimiter(redis, Rate(calls=3, seconds=10), clock=clock)
    call = out(limiter)
    now = _now_ms(redis)
    redis.zadd("hubspot-export:calls:a1", {"older-1": now, "older-2": now + 200})  # one of them is granted ahead

    assert granted(limiter, 1) == 0
    assert redis.zcount("hubspot-export:calls:a1", now - 10_000, "+inf") == 3
    call.settle()


# Spare calls


def spare(limiter: RateLimiter, tries: int) -> int:
    """Count the spare calls that may be made at once."""
    return sum(is_made(limiter, limiter.reserve("a1", within_s=0.25, low_priority=True)) for _ in range(tries))


def test_spare_calls_keep_the_pace_of_the_limit(redis: Redis) -> None:
    limiter = RedisRateLimiter(redis, Rate(calls=100, seconds=10))

    assert spare(limiter, 20) < 10
    place = limiter.reserve("a1", within_s=0.25, low_priority=True)

    assert not place.is_granted
    assert 0 < place.wait_s < 1
    assert limiter.reserve("a1", within_s=0).is_granted  # whoever is not spare goes at once


def test_spare_calls_leave_a_place_free(redis: Redis) -> None:
    limiter = RedisRateLimiter(redis, Rate(calls=10, seconds=10))
    for _ in range(3):
        granted(limiter, 3)
        shift_calls(redis, seconds=-3)

    assert spare(limiter, 3) == 0
    assert limiter.reserve("a1", within_s=0, low_priority=True).wait_s <= 1.4
    assert granted(limiter, 2) == 1


def test_a_spare_call_is_never_made_before_someone_who_waits_and_gets_no_turn(redis: Redis) -> None:
    limiter = RedisRateLimiter(redis, Rate(calls=4, seconds=10))
    granted(limiter, 4)
    assert spare(limiter, 3) == 0
    assert redis.keys("*:turns:*") == []
    waiting = limiter.reserve("a1", within_s=0)
    shift_calls(redis, seconds=-11)

    place = limiter.reserve("a1", within_s=0.25, low_priority=True)

    assert not place.is_granted
    assert place.wait_s >= waiting.wait_s
    assert granted(limiter, 1) == 1


def test_spare_calls_and_others_together_keep_the_limit(redis: Redis) -> None:
    @dataclass
    class Spare:
        """It asks for a spare call whenever it is asked."""

        limiter: RateLimiter

        def reserve(
            self, account_id: str, *, hub_id: int | None = None, within_s: float, low_priority: bool = True
        ) -> Reservation:
            return self.limiter.reserve(account_id, hub_id=hub_id, within_s=within_s, low_priority=low_priority)

        def learn(self, account_id: str, quota: Quota, *, hub_id: int | None = None) -> None:
            self.limiter.learn(account_id, quota, hub_id=hub_id)

        def block(self, account_id: str, *, hub_id: int | None = None, seconds: float) -> None:
            self.limiter.block(account_id, hub_id=hub_id, seconds=seconds)

    rate = Rate(calls=20, seconds=1)
    limiter = RedisRateLimiter(redis, rate)

    went = make_calls([Spare(limiter), Spare(limiter), limiter], 50)

    assert len(went) == 50
    assert keep(went, rate)


def test_a_block_holds_spare_calls_as_well(redis: Redis) -> None:
    limiter = RedisRateLimiter(redis, Rate(calls=10, seconds=10))
    limiter.block("a1", seconds=60)

    place = limiter.reserve("a1", within_s=0.25, low_priority=True)

    assert (place.is_granted, 40 < place.wait_s <= 60) == (False, True)


def test_without_redis_there_are_no_spare_calls(server: FakeServer) -> None:
    limiter, _ = alone(server, Rate(calls=8, seconds=10), workers=1)

    assert spare(limiter, 3) == 0
    assert granted(limiter, 1) == 1


def test_without_a_limit_every_call_goes_ahead_be_it_spare_or_not() -> None:
    assert spare(NoRateLimit(), 200) == 200


# What HubSpot says


def test_a_lower_limit_of_hubspot_holds_for_every_worker(redis: Redis) -> None:
    first, second = (RedisRateLimiter(redis, Rate(calls=5, seconds=10)) for _ in range(2))
    granted(first, 1)

    first.learn("a1", quota(3, counted=1))

    assert granted(first, 1) + granted(second, 5) == 2


def test_a_higher_limit_of_hubspot_changes_nothing(redis: Redis) -> None:
    limiter = RedisRateLimiter(redis, Rate(calls=3, seconds=10))
    limiter.learn("a1", quota(190, counted=0))

    assert granted(limiter, 5) == 3


def test_a_limit_that_is_raised_again_is_noticed(redis: Redis) -> None:
    limiter = RedisRateLimiter(redis, Rate(calls=5, seconds=10))
    limiter.learn("a1", quota(2, counted=0))
    assert granted(limiter, 5) == 2

    limiter.learn("a1", quota(4, counted=2))

    assert granted(limiter, 5) == 2


def test_a_learned_limit_is_forgotten_unless_hubspot_repeats_it(redis: Redis) -> None:
    clock = Seconds()
    limiter, other = (RedisRateLimiter(redis, Rate(calls=5, seconds=10), clock=clock) for _ in range(2))
    granted(limiter, 1)
    limiter.learn("a1", quota(3, counted=1))
    (key,) = redis.keys("*:quota:*")
    assert 0 < redis.pttl(key) <= 300_000

    redis.delete(key)
    clock.now += 200
    limiter.learn("a1", quota(3, counted=1))

    assert granted(other, 5) == 2


def test_calls_of_another_program_take_places(redis: Redis) -> None:
    limiter = RedisRateLimiter(redis, Rate(calls=10, seconds=10))
    granted(limiter, 2)

    for _ in range(2):  # what is known by then is not counted again
        limiter.learn("a1", quota(10, counted=6))

    assert granted(limiter, 10) == 4


def test_calls_that_hubspot_has_not_counted_yet_are_no_news(redis: Redis) -> None:
    limiter, other = (RedisRateLimiter(redis, Rate(calls=10, seconds=10)) for _ in range(2))
    granted(other, 4)
    granted(limiter, 1)
    granted(other, 2)

    limiter.learn("a1", quota(10, counted=7))
    limiter.learn("a1", quota(10, counted=3))

    assert granted(limiter, 10) == 3


@pytest.mark.parametrize(("took_s", "free"), [(0.1, 0), (3.0, 5), (None, 5), (30.0, 5)])
def test_an_answer_is_compared_with_the_calls_of_its_own_time(redis: Redis, took_s: float | None, free: int) -> None:
    limiter = RedisRateLimiter(redis, Rate(calls=5, seconds=10))
    granted(limiter, 5)
    shift_calls(redis, seconds=-12)
    other = RedisRateLimiter(redis, Rate(calls=5, seconds=10))

    other.learn("a1", quota(5, counted=5, took_s=took_s))

    assert granted(other, 6) == free


def test_what_is_known_is_not_told_to_redis(server: FakeServer) -> None:
    limiter = RedisRateLimiter(FakeRedis(server=server), Rate(calls=5, seconds=10))
    granted(limiter, 3)
    server.connected = False

    with capture_logs() as logs:
        limiter.learn("a1", quota(5, counted=3))

    assert logs == []


# Patience


def test_a_block_holds_in_every_worker_and_a_shorter_one_does_not_end_it(redis: Redis) -> None:
    first, second = (RedisRateLimiter(redis, Rate(calls=5, seconds=10)) for _ in range(2))

    first.block("a1", seconds=60)
    second.block("a1", seconds=1)

    for limiter in (first, second, RedisRateLimiter(redis, Rate(calls=5, seconds=10))):
        place = limiter.reserve("a1", within_s=100)
        assert not place.is_granted
        assert 40 < place.wait_s <= 60


def test_a_block_is_of_one_account_and_ends(redis: Redis) -> None:
    first, second = (RedisRateLimiter(redis, Rate(calls=5, seconds=10)) for _ in range(2))
    began_at = time.monotonic()
    first.block("a1", seconds=0.3)
    assert granted(second, 1, "a2") == 1

    went = make_calls([first, second], 1)

    assert went[0].booked_at - began_at >= 0.29


@pytest.mark.parametrize("rate", [Rate(calls=5, seconds=10), None])
def test_a_block_that_is_lifted_is_lifted_in_every_worker_within_seconds(redis: Redis, rate: Rate | None) -> None:
    clock = Seconds()
    first, second = (
        RedisRateLimiter(redis, rate, clock=clock) if rate is not None else NoRateLimit(redis, clock=clock)
        for _ in range(2)
    )
    first.block("a1", seconds=3600)
    assert granted(first, 1) == granted(second, 1) == 0

    assert 3590 < lift_block(redis, "a1") <= 3600

    clock.now += 2.1
    assert granted(first, 1) == granted(second, 1) == 1
    assert lift_block(redis, "a1") == 0


def test_a_block_that_is_not_lifted_holds_however_often_it_is_looked_at(redis: Redis) -> None:
    clock = Seconds()
    limiter = RedisRateLimiter(redis, Rate(calls=5, seconds=10), clock=clock)
    limiter.block("a1", seconds=3600)

    for _ in range(5):
        clock.now += 2.1
        assert 3580 < limiter.reserve("a1", within_s=0).wait_s <= 3600


@pytest.mark.parametrize("rate", [Rate(calls=5, seconds=10), None])
def test_no_block_lasts_for_longer_than_a_day(redis: Redis, rate: Rate | None) -> None:
    limiter = RedisRateLimiter(redis, rate) if rate is not None else NoRateLimit(redis)
    limiter.block("a1", seconds=864_000)

    assert 86_000 < limiter.reserve("a1", within_s=0).wait_s <= 86_400
    assert blocked_for_s(redis, "a1") <= 86_400


def test_a_block_of_no_time_is_none(redis: Redis) -> None:
    limiter = RedisRateLimiter(redis, Rate(calls=5, seconds=10))
    limiter.block("a1", seconds=0)

    assert granted(limiter, 1) == 1


# Redis away


def away(server: FakeServer, rate: Rate, *, workers: int) -> tuple[RedisRateLimiter, Seconds]:
    """Return one of several workers' limiters at the moment when Redis has gone."""
    clock = Seconds()
    limiters = [RedisRateLimiter(FakeRedis(server=server), rate, clock=clock) for _ in range(workers)]
    for _ in range(2):  # the first does not know yet how many there are
        assert all(limiter.reserve("other", within_s=0).is_granted for limiter in limiters)
    server.connected = False
    assert granted(limiters[0], 1) == 0
    return limiters[0], clock


def look(limiter: RateLimiter, clock: Seconds) -> None:
    """Let a limiter see that Redis stays away."""
    for _ in range(3):
        clock.now += 1.1
        assert granted(limiter, 1, "other") == 0


def alone(server: FakeServer, rate: Rate, *, workers: int) -> tuple[RedisRateLimiter, Seconds]:
    """Return one of several workers' limiters at the moment from which on it goes alone."""
    limiter, clock = away(server, rate, workers=workers)
    look(limiter, clock)
    clock.now += PERMIT_S + rate.seconds - 3.2
    return limiter, clock


def test_without_redis_nothing_goes_before_the_calls_of_all_workers_are_a_window_old(server: FakeServer) -> None:
    limiter, clock = away(server, Rate(calls=8, seconds=10), workers=2)
    look(limiter, clock)

    clock.now += PERMIT_S + 10 - 3.3

    assert granted(limiter, 8) == 0


def test_a_process_that_has_not_looked_for_redis_again_and_again_does_not_go_alone(server: FakeServer) -> None:
    limiter, clock = away(server, Rate(calls=8, seconds=10), workers=2)

    for _ in range(2):
        clock.now += 60  # as one that was stopped meanwhile
        assert granted(limiter, 8) == 0
    clock.now += 1.1

    assert granted(limiter, 8) == 4


def test_without_redis_a_worker_then_keeps_to_its_share(server: FakeServer) -> None:
    limiter, clock = alone(server, Rate(calls=8, seconds=10), workers=2)

    counts = []
    for _ in range(3):
        counts.append(granted(limiter, 8))
        clock.now += 10.1

    assert counts == [4, 4, 4]


def test_without_redis_places_of_the_share_are_booked_ahead(server: FakeServer) -> None:
    limiter, clock = alone(server, Rate(calls=4, seconds=10), workers=2)

    places = [limiter.reserve("a1", within_s=0) for _ in range(2)]
    for place in places:
        is_made(limiter, place)
    clock.now += 9.915
    places += [limiter.reserve("a1", within_s=0.25) for _ in range(3)]

    assert [place.is_granted for place in places] == [True, True, True, True, False]
    assert places[2].wait_s == pytest.approx(0.1)


def test_a_share_is_never_less_than_one_call(server: FakeServer) -> None:
    limiter, clock = away(server, Rate(calls=4, seconds=10), workers=2)
    limiter.learn("a1", quota(1, counted=0))
    look(limiter, clock)
    clock.now += 20

    assert granted(limiter, 2) == 1


def test_a_worker_that_has_never_seen_redis_takes_the_least_share(server: FakeServer) -> None:
    server.connected = False
    clock = Seconds()
    limiter = RedisRateLimiter(FakeRedis(server=server), Rate(calls=100, seconds=10), clock=clock)
    assert granted(limiter, 1) == 0
    look(limiter, clock)

    clock.now += 20

    assert granted(limiter, 5) == 1


def test_redis_is_asked_again_once_a_second_and_whoever_waits_looks_soon(server: FakeServer) -> None:
    limiter, clock = away(server, Rate(calls=8, seconds=10), workers=1)
    server.connected = True

    clock.now += 0.9
    place = limiter.reserve("a1", within_s=0)
    clock.now += 0.2

    assert not place.is_granted
    assert place.wait_s <= 2
    assert granted(limiter, 8) == 8


def test_the_absence_is_logged_once_and_so_is_the_return(server: FakeServer) -> None:
    with capture_logs() as logs:
        limiter, clock = away(server, Rate(calls=8, seconds=10), workers=1)
        for _ in range(3):
            clock.now += 2
            granted(limiter, 2)
            limiter.learn("a1", quota(4, counted=3))
            limiter.block("a2", seconds=1)
        server.connected = True
        clock.now += 2
        granted(limiter, 2)

    assert [log["event"] for log in logs] == ["limiter_redis_away", "limiter_redis_back"]


def test_a_worker_that_saw_a_short_absence_goes_on_with_the_count(server: FakeServer) -> None:
    limiter, clock = away(server, Rate(calls=8, seconds=10), workers=1)
    other = RedisRateLimiter(FakeRedis(server=server), Rate(calls=8, seconds=10))
    server.connected = True
    assert granted(other, 3) == 3

    clock.now += PERMIT_S + 9

    assert granted(limiter, 8) == 5


def test_after_a_long_absence_every_worker_waits_a_window_for_what_others_did_alone(server: FakeServer) -> None:
    limiter, clock = alone(server, Rate(calls=8, seconds=10), workers=2)
    assert granted(limiter, 1) == 1
    server.connected = True
    clock.now += 1.1

    unaware = RedisRateLimiter(FakeRedis(server=server), Rate(calls=8, seconds=10))
    places = [each.reserve("a1", within_s=0) for each in (limiter, unaware)]

    assert [place.is_granted for place in places] == [False, False]
    assert all(5 < place.wait_s <= 10.1 + PERMIT_S for place in places)


def test_a_long_absence_that_is_long_over_holds_nobody_back(server: FakeServer) -> None:
    limiter, clock = away(server, Rate(calls=8, seconds=10), workers=2)
    server.connected = True
    clock.now += 100

    assert granted(limiter, 8) == 8


class Interruptible(FakeRedis):
    """A Redis during whose next command something happens."""

    meanwhile: Callable[[], None] | None = None

    def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - redis-py's signature
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return super().execute_command(*args, **options)  # type: ignore[no-untyped-call] # redis-py has no types for it


class Lossy(FakeRedis):
    """A Redis whose answer to a command is lost."""

    loses_next = False

    def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - redis-py's signature
        answer = super().execute_command(*args, **options)  # type: ignore[no-untyped-call] # redis-py has no types for it
        if self.loses_next:
            self.loses_next = False
            raise RedisTimeoutError
        return answer


def test_while_one_asks_whether_redis_is_back_nobody_goes_alone(server: FakeServer) -> None:
    clock, redis, places = Seconds(), Interruptible(server=server), list[Reservation]()
    limiter = RedisRateLimiter(redis, Rate(calls=8, seconds=10), clock=clock)
    server.connected = False
    assert granted(limiter, 1) == 0
    look(limiter, clock)
    server.connected = True
    clock.now += 100

    redis.meanwhile = lambda: places.append(limiter.reserve("a1", within_s=0))
    assert granted(limiter, 8) == 8

    assert [place.is_granted for place in places] == [False]
    assert 0 < places[0].wait_s < 1


def test_who_asks_in_vain_whether_redis_is_back_holds_nobody_up_after(server: FakeServer) -> None:
    limiter, clock = alone(server, Rate(calls=8, seconds=10), workers=2)
    clock.now += 100
    assert granted(limiter, 1) == 1

    assert granted(limiter, 8) == 3


def test_a_block_holds_while_redis_is_away(server: FakeServer) -> None:
    limiter, clock = away(server, Rate(calls=8, seconds=10), workers=1)
    limiter.block("a1", seconds=60)
    look(limiter, clock)

    clock.now += 26.7

    assert wait_s(limiter) == pytest.approx(30)
    assert granted(limiter, 1, "a2") == 1


def test_a_block_that_redis_missed_is_told_it_when_it_is_back(server: FakeServer) -> None:
    limiter, clock = away(server, Rate(calls=8, seconds=10), workers=1)
    limiter.block("a1", seconds=60)
    server.connected = True
    clock.now += 30
    granted(limiter, 1, "a2")  # sees that it is back

    assert limiter.reserve("a1", within_s=0).wait_s == pytest.approx(30, abs=1)

    assert 28 < blocked_for_s(FakeRedis(server=server), "a1") <= 30
    assert granted(RedisRateLimiter(FakeRedis(server=server), Rate(calls=8, seconds=10)), 1) == 0


def test_a_learned_limit_holds_while_redis_is_away(server: FakeServer) -> None:
    limiter, clock = away(server, Rate(calls=8, seconds=10), workers=2)
    limiter.learn("a1", quota(4, counted=0))
    look(limiter, clock)

    clock.now += 20

    assert granted(limiter, 8) == 2


def test_a_redis_that_is_killed_and_started_again_keeps_the_limit() -> None:
    rate = Rate(calls=10, seconds=2)
    with temporary_state() as folder:
        redis_server = embedded_redis(folder).start().wait_ready()
        limiters = [RedisRateLimiter(impatient_redis(redis_server.url), rate) for _ in range(2)]

        def interrupt(count: int) -> None:
            if count == 5:
                redis_server.kill()
                assert granted(limiters[0], 1) == 0
                redis_server.start().wait_ready()

        try:
            went = make_calls(limiters, 25, meanwhile=interrupt)
        finally:
            redis_server.stop()

    assert len(went) == 25
    assert keep(went, rate)


# Redis emptied


def test_a_redis_that_is_emptied_in_the_middle_lets_no_window_overflow(redis: Redis) -> None:
    rate = Rate(calls=10, seconds=1)
    limiters = [RedisRateLimiter(redis, rate) for _ in range(3)]

    def empty(count: int) -> None:
        if count == 15:
            redis.flushall()

    went = make_calls(limiters, 40, meanwhile=empty)

    assert len(went) == 40
    assert keep(went, rate)


def test_an_emptied_redis_holds_every_account_for_a_window_and_not_again(redis: Redis) -> None:
    first, late = (RedisRateLimiter(redis, Rate(calls=5, seconds=10)) for _ in range(2))
    granted(first, 2)
    granted(late, 2)
    redis.flushall()

    assert granted(first, 1, "a2") == 0
    redis.hset("hubspot-export:log", "born_at", _now_ms(redis) - 60_000)
    redis.hset("hubspot-export:log", "unknown_before", _now_ms(redis) - 60_000)

    assert granted(late, 1, "a2") == 1


def test_places_booked_ahead_before_redis_was_emptied_are_waited_out_too(redis: Redis) -> None:
    limiter = RedisRateLimiter(redis, Rate(calls=1, seconds=10))
    granted(limiter, 1)
    assert limiter.reserve("a1", within_s=10.1).is_granted
    redis.flushall()

    assert limiter.reserve("a1", within_s=10.1).wait_s > 10


def test_a_worker_that_meets_an_empty_redis_for_the_first_time_starts_at_once(redis: Redis) -> None:
    assert granted(RedisRateLimiter(redis, Rate(calls=5, seconds=10)), 5) == 5


# What is left behind, and clocks


def test_an_account_that_is_left_alone_leaves_nothing_behind(redis: Redis) -> None:
    limiter = RedisRateLimiter(redis, Rate(calls=1, seconds=10))
    granted(limiter, 2)
    limiter.learn("a1", quota(1, counted=5))
    limiter.block("a1", seconds=30)

    of_account, of_all = redis.keys("*:a1"), redis.keys("*")

    assert len(of_account) == 5
    assert all(0 < redis.pttl(key) <= 300_000 for key in of_account)
    assert all(0 < redis.pttl(key) <= 3_600_000 for key in of_all)


def test_a_server_clock_that_is_set_back_freezes_nobody(redis: Redis) -> None:
    hour_s = 3600
    limiter, other = (RedisRateLimiter(redis, Rate(calls=2, seconds=10)) for _ in range(2))
    granted(limiter, 3)
    shift_calls(redis, seconds=hour_s)
    redis.hset("hubspot-export:log", "unknown_before", _now_ms(redis) + hour_s * 1000)

    assert 5 < other.reserve("a1", within_s=0).wait_s <= 2 * 10.1 + PERMIT_S

    limiter.block("a2", seconds=5)
    redis.pexpire("hubspot-export:blocked:a2", hour_s * 1000)
    assert other.reserve("a2", within_s=0).wait_s <= 5


# No limit


def test_no_limit_lets_everything_through(redis: Redis) -> None:
    limiter = NoRateLimit(redis)
    limiter.learn("a1", quota(1, counted=1))

    assert [limiter.reserve("a1", within_s=0) for _ in range(3)] == [Reservation(wait_s=0, is_granted=True)] * 3


def test_without_a_limit_a_block_still_holds_in_every_worker(redis: Redis) -> None:
    first, second = NoRateLimit(redis), NoRateLimit(redis)
    first.block("a1", seconds=60)
    first.block("a1", seconds=1)

    for limiter in (first, second, RedisRateLimiter(redis, Rate(calls=5, seconds=10))):
        place = limiter.reserve("a1", within_s=100)
        assert not place.is_granted
        assert 40 < place.wait_s <= 60
    assert granted(second, 1, "a2") == 1


def test_without_a_limit_and_without_redis_everything_goes_but_what_this_process_knows(server: FakeServer) -> None:
    server.connected = False
    clock = Seconds()
    limiter = NoRateLimit(FakeRedis(server=server), clock=clock)
    limiter.block("a1", seconds=60)

    assert granted(limiter, 2, "a2") == 2
    assert limiter.reserve("a1", within_s=0) == Reservation(wait_s=60, is_granted=False)


def test_without_a_limit_a_redis_that_is_back_is_asked_again(server: FakeServer) -> None:
    clock = Seconds()
    limiter = NoRateLimit(FakeRedis(server=server), clock=clock)
    server.connected = False
    granted(limiter, 1)
    server.connected = True
    NoRateLimit(FakeRedis(server=server)).block("a1", seconds=60)
    assert granted(limiter, 1) == 1

    clock.now += 1.1

    assert granted(limiter, 1) == 0


def _now_ms(redis: Redis) -> int:
    seconds, microseconds = redis.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


# Portals


def test_accounts_of_one_portal_share_its_limit(redis: Redis) -> None:
    first, second = (RedisRateLimiter(redis, Rate(calls=5, seconds=10), app="app") for _ in range(2))

    went = [
        is_made(limiter, limiter.reserve(account, hub_id=111, within_s=0))
        for limiter, account in zip([first, second] * 6, ["a1", "a2", "a3"] * 4, strict=True)
    ]

    assert sum(went) == 5


def test_portals_and_apps_have_limits_of_their_own(redis: Redis) -> None:
    limiter = RedisRateLimiter(redis, Rate(calls=1, seconds=10), app="app")
    another_app = RedisRateLimiter(redis, Rate(calls=1, seconds=10), app="another")
    assert is_made(limiter, limiter.reserve("a1", hub_id=111, within_s=0))

    assert is_made(limiter, limiter.reserve("a1", hub_id=222, within_s=0))
    assert is_made(another_app, another_app.reserve("a1", hub_id=111, within_s=0))
    assert not is_made(limiter, limiter.reserve("a2", hub_id=111, within_s=0))


@pytest.mark.parametrize("worker", [0, 1])
def test_calls_made_before_the_portal_was_known_count_in_its_limit(redis: Redis, worker: int) -> None:
    first, second = (RedisRateLimiter(redis, Rate(calls=5, seconds=10), app="app") for _ in range(2))
    assert granted(first, 3) == 3

    knows = (first, second)[worker]
    went = [is_made(knows, knows.reserve("a1", hub_id=111, within_s=0)) for _ in range(4)]

    assert went == [True, True, False, False]
    assert granted(first, 3) == 0  # a worker that was not told yet
    assert not is_made(knows, knows.reserve("a2", hub_id=111, within_s=0))


def test_whoever_does_not_know_the_portal_yet_is_counted_with_those_who_do(redis: Redis) -> None:
    knows, unaware = (RedisRateLimiter(redis, Rate(calls=6, seconds=10), app="app") for _ in range(2))
    went = 0
    for _ in range(10):
        went += is_made(knows, knows.reserve("a1", hub_id=111, within_s=0))
        went += is_made(unaware, unaware.reserve("a1", within_s=0))

    assert went == 6


def test_what_an_older_worker_logs_under_the_account_counts_in_the_portals_limit(redis: Redis) -> None:
    limiter = RedisRateLimiter(redis, Rate(calls=5, seconds=10), app="app")
    assert is_made(limiter, limiter.reserve("a1", hub_id=111, within_s=0))
    now = int(time.time() * 1000)
    redis.zadd("hubspot-export:calls:a1", {"older-1": now, "older-2": now, "older-3": now})

    went = [is_made(limiter, limiter.reserve("a1", hub_id=111, within_s=0)) for _ in range(3)]

    assert went == [True, False, False]


def test_a_block_holds_for_all_accounts_of_the_portal(redis: Redis) -> None:
    limiter, other = (RedisRateLimiter(redis, Rate(calls=5, seconds=10), app="app") for _ in range(2))
    other.block("a1", hub_id=111, seconds=9)

    assert 8 < limiter.reserve("a2", hub_id=111, within_s=0).wait_s <= 9
    assert is_made(limiter, limiter.reserve("a2", hub_id=222, within_s=0))


def test_a_block_from_before_the_portal_was_known_holds_for_it(redis: Redis) -> None:
    limiter, other = (RedisRateLimiter(redis, Rate(calls=5, seconds=10), app="app") for _ in range(2))
    other.block("a1", seconds=9)

    assert 8 < limiter.reserve("a1", hub_id=111, within_s=0).wait_s <= 9
    assert 8 < other.reserve("a1", hub_id=111, within_s=0).wait_s <= 9


def test_without_a_limit_a_block_is_the_portals_as_well(redis: Redis) -> None:
    limiter, other = (NoRateLimit(redis, app="app") for _ in range(2))
    limiter.reserve("a1", hub_id=111, within_s=0)
    other.block("a2", hub_id=111, seconds=9)

    assert not is_made(limiter, limiter.reserve("a1", hub_id=111, within_s=0))
    assert not is_made(limiter, limiter.reserve("a1", within_s=0))
    assert is_made(limiter, limiter.reserve("a1", hub_id=222, within_s=0))


def test_what_hubspot_tells_of_a_portals_limit_holds_for_all_its_accounts(redis: Redis) -> None:
    limiter = RedisRateLimiter(redis, Rate(calls=10, seconds=10), app="app")
    places = [limiter.reserve("a1", hub_id=111, within_s=0)]
    limiter.learn("a1", quota(4, counted=3), hub_id=111)

    places += [limiter.reserve("a2", hub_id=111, within_s=0) for _ in range(3)]

    assert [place.is_granted for place in places] == [True, True, False, False]


def test_without_redis_accounts_of_one_portal_share_what_there_is(server: FakeServer) -> None:
    clock = Seconds()
    limiter = RedisRateLimiter(FakeRedis(server=server), Rate(calls=4, seconds=10), app="app", clock=clock)
    is_made(limiter, limiter.reserve("a1", within_s=0))
    server.connected = False
    limiter.reserve("a1", within_s=0)
    look(limiter, clock)
    clock.now += 60

    went = [is_made(limiter, limiter.reserve("a1", within_s=0))]  # the portal is not known yet
    went += [is_made(limiter, limiter.reserve(account, hub_id=111, within_s=0)) for account in ("a1", "a2") * 4]

    assert sum(went) <= 4
    assert went[0]
