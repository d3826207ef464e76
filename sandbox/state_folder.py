"""The temporary folder of one stack: private, and removed at its end or, after a kill, by the next run."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "hubspot-export-sandbox-"
_UNLOCKED = "new-"


@contextmanager
def temporary_state() -> Iterator[Path]:
    """Make an empty folder that only this user can read, and remove it afterwards.

    A killed run leaves about 300 MB behind. The kernel has released its lock, by which the next run recognises it.
    """
    _remove_leftovers(Path(tempfile.gettempdir()))
    folder, lock = _locked_folder()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked_folder() -> tuple[Path, int]:
    """Lock the folder before renaming it to its final name, so that no other run finds it unlocked and removes it."""
    unlocked = Path(tempfile.mkdtemp(prefix=_UNLOCKED + _PREFIX))
    lock = _try_lock(unlocked)
    if lock is None:
        raise OSError(f"{unlocked} cannot be locked")
    return unlocked.rename(unlocked.with_name(unlocked.name.removeprefix(_UNLOCKED))), lock


def _remove_leftovers(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}????????"):
        lock = _try_lock(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _try_lock(folder: Path) -> int | None:
    """Return a file descriptor that holds the lock while it is open; None if the folder is locked or not ours."""
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock
