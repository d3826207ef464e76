"""What every test may ask for: the real servers; and that Ctrl-C works, which the background may have had off."""

from __future__ import annotations

import signal

pytest_plugins = ["tests.stack_fixtures"]


def pytest_configure() -> None:
    """Have Ctrl-C work here and in all that is started: a shell without job control turns it off in its background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
