"""OutstandingCalls: the permits of this process, and its reports to Redis: in flight, ended, or never made."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from worker.errors import PermitExpiredError
from worker.rate_limit.limit_keys import LimitKey
from worker.rate_limit.local_window import LocalCall
from worker.rate_limit.permits import DELIVERY_S, PERMIT_S, PRESUMED_OVER_S
from worker.rate_limit.redis_window import CallState

_log = structlog.get_logger()

_GATHER_S = 0.05  # calls that end within it are reported together
_REPORT_EVERY_S = 1.5

Report = Callable[[Mapping[LimitKey, Sequence[CallState]]], bool]
"""Reports to Redis; False: it is away."""


@dataclass(slots=True, kw_only=True)
class _Call:
    """A call that counts. It may leave within PERMIT_S of `confirmed_at`; it was last reported at `reported_at`."""

    name: str
    key: LimitKey
    local: LocalCall
    confirmed_at: float
    reported_at: float

    def confirm(self, *, at: float) -> None:
        """Note that Redis has learned, after this instant, that the call is still in flight.

        A permit that has expired stays expired: Redis may have granted another one in its stead.
        """
        self.reported_at = at
        if not self.is_late(at=at):
            self.confirmed_at = at

    def is_late(self, *, at: float) -> bool:
        """Whether it is too late for the call to leave."""
        return at - self.confirmed_at > PERMIT_S


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    """A call that ended at `at`, which may lie slightly ahead; None: it was never made."""

    name: str
    key: LimitKey
    at: float | None
    noted_at: float


class OutstandingCalls:
    """Issues permits and reports to Redis in the background how calls ended, so that no call waits for that.

    A late report costs throughput, never the limit: until then the call counts as outstanding. A report that fails is
    repeated for `keep_s`. Instants are of `clock`.
    """

    def __init__(self, report: Report, *, keep_s: float, clock: Callable[[], float]) -> None:
        self._report = report
        self._keep_s = keep_s
        self._clock = clock
        self._changing, self._reporting = threading.Lock(), threading.Lock()
        self._calls: dict[str, _Call] = {}
        self._ended: list[_Ended] = []
        self._dropped = deque[tuple[_Call, float | None]]()
        self._has_ended = threading.Event()
        self._is_running = False

    def open(self, name: str, key: LimitKey, *, valid_from: float, local: LocalCall) -> CallPermit:
        """Return the permit of a call that counts from now on, and has to leave within PERMIT_S of `valid_from`."""
        call = _Call(name=name, key=key, local=local, confirmed_at=valid_from, reported_at=valid_from)
        with self._changing:
            self._calls[name] = call
            self._run_in_background()
        return CallPermit(self, call, clock=self._clock)

    def retract(self, name: str, key: LimitKey) -> None:
        """Report a call as never made that Redis may have granted: its answer was lost."""
        with self._changing:
            self._note(_Ended(name=name, key=key, at=None, noted_at=self._clock()))

    def end(self, call: _Call, *, at: float | None) -> None:
        """Count a call until a window after this instant; None: it was never made."""
        with self._changing:
            if self._calls.pop(call.name, None) is not None:
                call.local.ends_at = at if at is not None else float("-inf")
                self._note(_Ended(name=call.name, key=call.key, at=at, noted_at=self._clock()))

    def drop(self, call: _Call, *, at: float | None) -> None:
        """Queue the end of a call: the garbage collector may call this, so it must not wait for a lock."""
        self._dropped.append((call, at))

    def flush(self) -> None:
        """Report to Redis. What fails is kept for the next time."""
        # One report at a time: a delayed one must not overwrite the newer states of another.
        with self._reporting:
            while self._dropped:
                call, ended_at = self._dropped.popleft()
                self.end(call, at=ended_at)
            at = self._clock()
            with self._changing:
                ended, self._ended = self._ended, []
                due = [call for call in self._calls.values() if at - call.reported_at >= _REPORT_EVERY_S]
            states = defaultdict[LimitKey, list[CallState]](list)
            for call in due:
                states[call.key].append(CallState(name=call.name, over_ago_s=-PRESUMED_OVER_S))
            for each in ended:
                over_ago_s = at - each.at if each.at is not None else None
                states[each.key].append(CallState(name=each.name, over_ago_s=over_ago_s))
            if not states or self._report(states):
                for call in due:
                    call.confirm(at=at)
                return
            with self._changing:
                self._ended = [*(each for each in ended if at - each.noted_at < self._keep_s), *self._ended]

    def _note(self, ended: _Ended) -> None:
        self._ended.append(ended)
        self._has_ended.set()
        self._run_in_background()

    def _run_in_background(self) -> None:
        """Run a thread while there is something to report; it starts at first use, after any fork."""
        if not self._is_running:
            self._is_running = True
            threading.Thread(target=self._run, name="permits", daemon=True).start()

    def _run(self) -> None:
        while self._has_work():
            self._has_ended.wait(_REPORT_EVERY_S)
            self._has_ended.clear()
            time.sleep(_GATHER_S)
            try:
                self.flush()
            except Exception:  # the outermost loop of a thread: without it no call would ever end
                _log.exception("permits_not_reported")

    def _has_work(self) -> bool:
        with self._changing:
            self._is_running = bool(self._calls or self._ended)
            return self._is_running


class CallPermit:
    """A Permit, for one thread at a time."""

    def __init__(self, calls: OutstandingCalls, call: _Call, *, clock: Callable[[], float]) -> None:
        self._calls = calls
        self._call = call
        self._clock = clock
        self._left_at: float | None = None

    def leave(self) -> None:
        at = self._clock()
        if self._call.is_late(at=at):
            raise PermitExpiredError
        self._left_at = at

    def settle(self) -> None:
        """End the call now if it has left; otherwise it was never made."""
        self._calls.end(self._call, at=self._clock() if self._left_at is not None else None)

    def close(self) -> None:
        """Give the permit up: a call that has left may still arrive until its delivery time has passed."""
        self._calls.end(self._call, at=self._ends_at)

    def __del__(self) -> None:
        """Release a permit that was dropped unused, so that its call does not count for ever."""
        self._calls.drop(self._call, at=self._ends_at)

    @property
    def _ends_at(self) -> float | None:
        return max(self._clock(), self._left_at + DELIVERY_S) if self._left_at is not None else None
