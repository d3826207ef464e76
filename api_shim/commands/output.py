"""Output: stdout, or a file that appears under its name only when it is complete."""

from __future__ import annotations

import errno
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import click

_OWNER_ONLY = 0o600


@contextmanager
def open_output(path: Path | None) -> Iterator[IO[bytes]]:
    """Open stdout, or a file beside `path` that is renamed to it at the end.

    Only the owner may read the file (mode 0600), since it holds customers' records. It is opened at once: that it
    cannot be written must not show after hours. An error is one line; a broken pipe on stdout is left to click.
    """
    try:
        with _stdout() if path is None else _file(path) as out:
            yield out
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        raise click.ClickException(f"{path or 'stdout'}: {error.strerror}") from None


def write_answer(answer: bytes) -> None:
    """Write the API's answer, as it came, to stdout."""
    with open_output(None) as out:
        out.write(answer + b"\n")


@contextmanager
def _stdout() -> Iterator[IO[bytes]]:
    out = sys.stdout.buffer
    try:
        try:
            yield out
        finally:
            out.flush()
    except OSError:
        _discard_buffer()
        raise


def _discard_buffer() -> None:
    # Python flushes stdout again at exit, and would print a traceback of its own.
    with suppress(OSError), Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


@contextmanager
def _file(path: Path) -> Iterator[IO[bytes]]:
    target = path.resolve()  # a symbolic link stays, and its target is replaced
    if target.exists() and not target.is_file():  # a pipe or a device keeps its name
        with target.open("wb") as out:
            yield out
        return
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    with _removed_on_failure(part):
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY), "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        part.replace(target)


@contextmanager
def _removed_on_failure(part: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:  # Ctrl-C among them
        part.unlink(missing_ok=True)
        raise
