"""Which server program is taken, and what is said when none can be."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from sandbox.servers.binaries import UnusableBinaryError, find_mongod, find_redis_server

MONGOD_7 = "db version v7.0.28"
MONGOD_4 = "db version v4.4.18"
REDIS_6_0 = "Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64"
VALKEY_8 = "Valkey server v=8.1.0 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64"


@pytest.fixture(autouse=True)
def _bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}")
    for name in ("MONGOD", "REDIS_SERVER"):
        monkeypatch.delenv(name, raising=False)


def _program(path: Path, *, says: str, status: int = 0) -> Path:
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {status}\n")
    path.chmod(0o700)
    return path


def test_the_named_one_wins_over_the_one_on_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _program(tmp_path / "bin" / "mongod", says=MONGOD_7)
    named = _program(tmp_path / "my-mongod", says="db version v8.0.4")
    monkeypatch.setenv("MONGOD", str(named))

    found = find_mongod(links=tmp_path / "lib")

    assert (found.path, found.version) == (named, (8, 0))


@pytest.mark.parametrize(
    ("says", "complaint"),
    [(MONGOD_4, "version 4.4 is too old, 6.0 or newer is needed"), (VALKEY_8, "does not say that it is a mongod")],
)
def test_a_named_one_that_cannot_be_used_is_never_replaced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, says: str, complaint: str
) -> None:
    _program(tmp_path / "bin" / "mongod", says=MONGOD_7)
    named = _program(tmp_path / "my-mongod", says=says)
    monkeypatch.setenv("MONGOD", str(named))

    with pytest.raises(UnusableBinaryError) as caught:
        find_mongod(links=tmp_path / "lib")

    assert str(caught.value).startswith(f"MONGOD={named}: ")
    assert complaint in str(caught.value)


def test_a_named_one_that_is_missing_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_SERVER", "/nowhere/redis-server")

    with pytest.raises(UnusableBinaryError, match=r"^REDIS_SERVER=/nowhere/redis-server: there is no program"):
        find_redis_server()


def test_a_named_one_that_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "mongod"
    broken.write_text("#!/bin/sh\necho 'a library is missing' >&2\nexit 127\n")
    broken.chmod(0o700)
    monkeypatch.setenv("MONGOD", str(broken))

    with pytest.raises(UnusableBinaryError, match="does not start: a library is missing"):
        find_mongod(links=tmp_path / "lib")


def test_a_recent_one_on_the_path_is_taken(tmp_path: Path) -> None:
    server = _program(tmp_path / "bin" / "valkey-server", says=VALKEY_8)

    assert find_redis_server().path == server


def test_an_old_one_on_the_path_is_passed_over(tmp_path: Path) -> None:
    old = _program(tmp_path / "bin" / "redis-server", says=REDIS_6_0)

    assert find_redis_server().path != old


def test_without_any_the_message_asks_for_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def nothing_installed(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr("sandbox.servers.binaries.distribution", nothing_installed)

    with pytest.raises(UnusableBinaryError, match=r"set MONGOD to a mongod 6\.0 or newer, or .*MONGODB_URI"):
        find_mongod(links=tmp_path / "lib")
