"""What every test may ask for: the real servers; and that Ctrl-C works, which the background may have had off."""

from __future__ import annotations

import signal

from hypothesis import settings

pytest_plugins = ["tests.stack_fixtures"]


def pytest_configure() -> None:
    """Have Ctrl-C work here and in all that is started, and no example be too slow.

    A shell without job control turns Ctrl-C off in its background.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    settings.register_profile(
        "of any speed", deadline=None
    )  # Hypothesis' own 200 ms are about the machine, not about us
    settings.load_profile("of any speed")
