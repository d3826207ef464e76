"""The only module of the sandbox that reads environment variables."""

from __future__ import annotations

import os

_KEPT = frozenset(
    {
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "LANG",
        "LANGUAGE",
        "TZ",
        "TMPDIR",
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
    }
)


def named_binary(variable: str) -> str | None:
    """Return the value of `MONGOD` or `REDIS_SERVER`; None when unset or empty."""
    return os.environ.get(variable) or None


def inherited() -> dict[str, str]:
    """Return the variables that every child process inherits: paths, user and locale.

    The product settings of the user's shell are dropped, so that they cannot affect the sandbox.
    """
    return {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith("LC_")}
