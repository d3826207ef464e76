"""What the sandbox takes from the environment it is started in; none of its other modules reads it."""

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
    """Give what the user set in `MONGOD` or `REDIS_SERVER`; an empty value is no value."""
    return os.environ.get(variable) or None


def inherited() -> dict[str, str]:
    """Give the part of the environment that every child may see: where programs are and how people write.

    The user's own settings of the product are left out, so that they cannot disturb the sandbox.
    """
    return {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith("LC_")}
