"""BoundedQueue: publishes within a bounded time, whatever the broker does."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Generic, Protocol, TypeVar

from worker.errors import BrokerUnavailableError

Item = TypeVar("Item")
Item_contra = TypeVar("Item_contra", contravariant=True)


class _Queue(Protocol[Item_contra]):
    """A JobQueue or an RpcQueue."""

    def publish(self, item: Item_contra, /) -> None: ...


class BoundedQueue(Generic[Item]):
    """Publishes by threads of its own, so that a caller waits `within_s` at the most.

    A broker that accepts connections and never answers blocks a publish for several socket time-outs in a row. So that
    happens in daemon threads, at most `most_at_once`, started as they are needed. A caller that finds all of them busy
    waits a fifth of the time for one, or not at all when all are overdue: a frozen broker does not occupy the callers'
    threads either.
    """

    def __init__(self, queue: _Queue[Item], *, within_s: float = 2.5, most_at_once: int = 16) -> None:
        self._queue = queue
        self._within_s = within_s
        self._most_at_once = most_at_once
        self._free = threading.BoundedSemaphore(most_at_once)
        self._idle = threading.Semaphore(0)
        self._waiting: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._overdue: set[Future[None]] = set()

    def publish(self, item: Item) -> None:
        """Publish. Raises BrokerUnavailableError when it takes too long; the message may still arrive, harmlessly."""
        ends_at = time.monotonic() + self._within_s
        if len(self._overdue) >= self._most_at_once or not self._free.acquire(timeout=self._within_s / 5):
            raise BrokerUnavailableError
        outcome = self._begin(item)
        try:
            outcome.result(timeout=max(0.0, ends_at - time.monotonic()))
        except TimeoutError:
            self._overdue.add(outcome)
            outcome.add_done_callback(self._overdue.discard)
            raise BrokerUnavailableError from None

    def start(self, item: Item) -> Future[None]:
        """Begin to publish, for an event loop. Raises BrokerUnavailableError where all threads are busy."""
        if not self._free.acquire(blocking=False):
            raise BrokerUnavailableError
        return self._begin(item)

    def _begin(self, item: Item) -> Future[None]:
        outcome: Future[None] = Future()
        outcome.set_running_or_notify_cancel()  # a caller that gives up must not cancel it: the thread sets its result
        self._require_thread()
        task = partial(contextvars.copy_context().run, self._publish, item, outcome)  # with the caller's span
        self._waiting.put(task)
        return outcome

    def _require_thread(self) -> None:
        """Reserve an idle thread for one more message, or start one."""
        if self._idle.acquire(blocking=False):
            return
        try:
            threading.Thread(target=self._publish_forever, name="publish", daemon=True).start()
        except RuntimeError as error:  # the system allows no further thread
            self._free.release()
            raise BrokerUnavailableError from error

    def _publish_forever(self) -> None:
        while True:
            self._waiting.get()()
            self._idle.release()  # in this order, or a caller would start one thread too many
            self._free.release()

    def _publish(self, item: Item, outcome: Future[None]) -> None:
        try:
            self._queue.publish(item)
        except BaseException as error:  # noqa: BLE001 - raised where the result is awaited
            outcome.set_exception(error)
        else:
            outcome.set_result(None)
