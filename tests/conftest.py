"""What every test may ask for: the real servers; and that Ctrl-C works, which the background may have had off."""

from __future__ import annotations

import gc
import os
import signal

from hypothesis import settings

pytest_plugins = ["tests.stack_fixtures", "tests.groups"]

# No deadline: Hypothesis' own 200 ms measure the machine. By default the same few examples every time, so that a run
# is short and repeatable; HYPOTHESIS_PROFILE=thorough draws many others.
settings.register_profile("quick", deadline=None, max_examples=30, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=300)


def pytest_configure() -> None:
    """Turn Ctrl-C on, here and in all that is started: a shell without job control turns it off in its background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_collection_finish() -> None:
    """Leave thousands of collected tests out of all garbage collections that follow."""
    gc.freeze()
