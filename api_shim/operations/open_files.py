"""The limit of open files of this process, and how many client connections it leaves room for."""

from __future__ import annotations

import resource

MOST_CONNECTIONS = 10_000
FEWEST_CONNECTIONS = 16

_OWN_FILES = 128  # for the database, Redis, broker, threads, and the connections reserved for health checks
_MOST_FILES = 65_536
_MOST_BACKLOG, _LEAST_BACKLOG = 2048, 32


def raise_limit() -> int:
    """Raise the soft limit of open files towards the hard one, as far as one process can use it; return the new limit.

    The usual soft limit of 1,024 exists for programs that use select(), which this one does not.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return _MOST_FILES if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):  # some systems allow less than the limit that they report
        return soft
    return wanted


def most_files() -> int:
    """Return what `raise_limit` would return, without changing the limit."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)


def backlog_within(files: int) -> int:
    """Return the size of the backlog, all of which may be accepted before one connection can be refused."""
    return min(_MOST_BACKLOG, max(_LEAST_BACKLOG, files // 8))


def room_within(files: int) -> int:
    """Return how many connections a process with so many files can serve."""
    return max(FEWEST_CONNECTIONS, files - _OWN_FILES - backlog_within(files))


def files_for(connections: int) -> int:
    """Return how many files a process needs for so many connections."""
    own = connections + _OWN_FILES
    return min(own + _MOST_BACKLOG, max(own + _LEAST_BACKLOG, -(-own * 8 // 7)))
