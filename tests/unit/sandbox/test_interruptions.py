"""Ctrl-C and its like: noted at once, answered at a pause."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from sandbox.commands.interruptions import Interruptions, StopRequestedError
from tests.patience import HELD_UP_S


def test_a_signal_raises_nothing_until_someone_pauses() -> None:
    with Interruptions() as interruptions:
        os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(StopRequestedError):
            interruptions.pause(60)


def test_a_pause_ends_soon_after_a_signal() -> None:
    with Interruptions() as interruptions:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        began_at = time.monotonic()

        with pytest.raises(StopRequestedError):
            interruptions.pause(60)

    assert time.monotonic() - began_at < HELD_UP_S


def test_the_first_signal_decides_the_exit_status() -> None:
    with Interruptions() as interruptions:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(os.getpid(), number)

    assert interruptions.exit_status == 130


def test_without_a_signal_a_pause_just_passes() -> None:
    with Interruptions() as interruptions:
        interruptions.pause(0.01)
        interruptions.check()

    assert interruptions.exit_status == 0


def test_the_handlers_from_before_come_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]

    with Interruptions():
        pass

    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before
