"""Simulates 10,000 accounts, one of which floods the queue: a message per job compared with turns per account.

    python -m benchmarks.turns [--accounts 10000] [--exports 1] [--flood 1000] [--slots 64] [--bound 8]

Every account submits `--exports` exports of three slices at the same moment; one account submits `--flood` exports just
before. A slice takes two seconds, a message without work three milliseconds. Later 100 more accounts submit one slice
each, one per second. The rules are those of the product; the time is simulated.
"""

from __future__ import annotations

import heapq
import statistics
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import click

from benchmarks.tables import figures_table, show

_SLICE_S, _IN_VAIN_S = 2.0, 0.003
_SLICES, _SLICES_OF_FLOOD = 3, 20
_LATE, _LATE_FROM_S = 100, 10.0
_FLOODS = "floods"
_WIDTH = 140
_HEADINGS = (
    "message per",
    "flood",
    "others' exports: median s",
    "last",
    "late pages: median s",
    "last",
    "most messages",
    "slots of the flood",
    "slices",
    "in vain",
)


@dataclass(slots=True, eq=False)
class _Job:
    account: str
    slices: int
    asked_at: float
    ready_at: float
    claimed_at: float = float("-inf")


@dataclass(slots=True)
class _Line:
    """The jobs of an account: ready ones, held ones, and the time of the last claim."""

    ready: deque[_Job] = field(default_factory=deque)
    held: set[_Job] = field(default_factory=set)
    claimed_at: float = float("-inf")


@dataclass(frozen=True, slots=True)
class _Message:
    """A turn of an account, published at `as_of`; or a message for one `job` only."""

    account: str
    as_of: float
    job: _Job | None


@dataclass(slots=True, kw_only=True)
class _Result:
    seconds: dict[str, float] = field(default_factory=dict)
    most_messages: int = 0
    most_held: int = 0
    slices: int = 0
    in_vain: int = 0


class _Deployment:
    """Slots that process messages in order. With `bound=None` each message belongs to one job until that has ended."""

    def __init__(self, *, slots: int, bound: int | None) -> None:
        self.result = _Result()
        self._bound = bound
        self._free = [(0.0, number) for number in range(slots)]
        self._messages: deque[_Message] = deque()
        self._ends: deque[_Job] = deque()  # all slices take equally long, so they end in the order of their start
        self._lines: dict[str, _Line] = defaultdict(_Line)

    def run(self, asked: Sequence[_Job]) -> None:
        """Process everything."""
        to_come = deque(sorted(asked, key=lambda job: job.asked_at))
        while to_come or self._messages or self._ends:
            at, slot = heapq.heappop(self._free)
            if not self._messages:
                at = max(at, self._next_event(to_come))
            while to_come and to_come[0].asked_at <= at:
                self._submit(to_come.popleft())
            while self._ends and self._ends[0].claimed_at + _SLICE_S <= at:
                self._end(self._ends.popleft())
            heapq.heappush(self._free, (at + (self._work(at) if self._messages else 0.0), slot))

    def _next_event(self, to_come: deque[_Job]) -> float:
        arrivals = [to_come[0].asked_at] if to_come else []
        return min([*arrivals, *(job.claimed_at + _SLICE_S for job in list(self._ends)[:1])], default=0.0)

    def _submit(self, job: _Job) -> None:
        self._lines[job.account].ready.append(job)
        self._publish(job, job.asked_at)

    def _publish(self, job: _Job, at: float) -> None:
        self._messages.append(_Message(job.account, at, job if self._bound is None else None))
        self.result.most_messages = max(self.result.most_messages, len(self._messages))

    def _work(self, at: float) -> float:
        """Process a message; return for how long it occupies the slot."""
        message = self._messages.popleft()
        line = self._lines[message.account]
        job = message.job or self._choose(line, message)
        if job is None:
            self.result.in_vain += 1
            return _IN_VAIN_S
        line.ready.remove(job)
        line.held.add(job)
        job.claimed_at = line.claimed_at = at
        self._ends.append(job)
        if self._bound is not None and line.ready:
            self._publish(line.ready[0], at)
        self.result.slices += 1
        if job.account == _FLOODS:
            self.result.most_held = max(self.result.most_held, len(line.held))
        return _SLICE_S

    def _choose(self, line: _Line, turn: _Message) -> _Job | None:
        """Return the job that `has_turn` and `claim_next` would pick."""
        first = line.ready[0] if line.ready else None
        is_void = line.claimed_at > turn.as_of or len(line.held) >= (self._bound or 0)
        return None if is_void or first is None or first.ready_at > turn.as_of else first

    def _end(self, job: _Job) -> None:
        """End a slice, and publish the message that follows from it."""
        at = job.claimed_at + _SLICE_S
        line = self._lines[job.account]
        line.held.discard(job)
        job.slices -= 1
        if job.slices:
            job.ready_at = at
            line.ready.append(job)
        else:
            self.result.seconds[job.account] = max(self.result.seconds.get(job.account, 0.0), at - job.asked_at)
        following = job if self._bound is None else next(iter(line.ready), None)
        if following is not None and following.slices:
            self._publish(following, at)


@click.command()
@click.option("--accounts", default=10_000, show_default=True, type=click.IntRange(min=1))
@click.option("--exports", default=1, show_default=True, type=click.IntRange(min=1), help="Of each other account.")
@click.option("--flood", default=1000, show_default=True, type=click.IntRange(min=0), help="Exports of one account.")
@click.option("--slots", default=64, show_default=True, type=click.IntRange(min=1))
@click.option("--bound", default=8, show_default=True, type=click.IntRange(min=1), help="SLOTS_PER_ACCOUNT.")
def main(accounts: int, exports: int, flood: int, slots: int, bound: int) -> None:
    """Simulate and print."""
    title = f"{accounts:,} accounts, {exports} exports each, on {slots} slots; the flood: {flood:,} of one"
    table = figures_table(title, *_HEADINGS)
    for name, limit in (("job", None), ("account's turn", bound)):
        for number in (0, flood):
            deployment = _Deployment(slots=slots, bound=limit)
            deployment.run(_asked(accounts, exports=exports, flood=number))
            table.add_row(name, f"{number:,}", *_figures(deployment.result))
    show(table, width=_WIDTH)


def _asked(accounts: int, *, exports: int, flood: int) -> list[_Job]:
    floods = [_Job(_FLOODS, _SLICES_OF_FLOOD, 0.0, 0.0) for _ in range(flood)]
    others = [_Job(f"account-{number}", _SLICES, 0.0, 0.0) for number in range(accounts) for _ in range(exports)]
    late = [_Job(f"late-{number}", 1, _LATE_FROM_S + number, _LATE_FROM_S + number) for number in range(_LATE)]
    return [*floods, *others, *late]


def _figures(result: _Result) -> list[str]:
    others = [seconds for account, seconds in result.seconds.items() if account.startswith("account")]
    late = [seconds for account, seconds in result.seconds.items() if account.startswith("late")]
    times = (statistics.median(others), max(others), statistics.median(late), max(late))
    numbers = (result.most_messages, result.most_held, result.slices, result.in_vain)
    return [*(f"{each:,.0f}" for each in times), *(f"{each:,}" for each in numbers)]


if __name__ == "__main__":
    main()
