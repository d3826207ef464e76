"""Faults of a running Redis, and how each is repaired."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis import Redis

from tests.patience import until

_ENDLESS = "while true do end"


@dataclass(frozen=True)
class Trouble:
    """A fault; both functions get a client that was connected before it began."""

    begin: Callable[[Redis], object]
    end: Callable[[Redis], object]


def _begin_to_fail_saving(redis: Redis) -> None:
    """Put a folder in the place of the snapshot: even root cannot replace it by a file."""
    _snapshot(redis).mkdir()
    redis.config_set("stop-writes-on-bgsave-error", "yes")
    redis.config_set("save", "3600 1")  # without a schedule Redis does not care
    _save(redis, "err")


def _save_again(redis: Redis) -> None:
    _snapshot(redis).rmdir()
    _save(redis, "ok")
    redis.config_set("save", "")


def _snapshot(redis: Redis) -> Path:
    set_ = redis.config_get("d*")
    return Path(f"{set_['dir']}/{set_['dbfilename']}")


def _save(redis: Redis, outcome: str) -> None:
    redis.bgsave(schedule=True)
    until(lambda: redis.info("persistence"), lambda info: info["rdb_last_bgsave_status"] == outcome)


def _change_password(redis: Redis) -> None:
    """Change the password, and close all other connections, which have authenticated with the old one."""
    redis.config_set("requirepass", "another password")
    redis.client_kill_filter(_type="normal", skipme=True)
    redis.client_kill_filter(_type="pubsub", skipme=True)


def _busy() -> Trouble:
    """Run an endless script: other commands are answered BUSY."""
    kept: list[Any] = []

    def begin(redis: Redis) -> None:
        redis.config_set("busy-reply-threshold", "100")
        connection: Any = redis.connection_pool.make_connection()
        connection.connect()
        connection.send_command("EVAL", _ENDLESS, 0)
        kept.append(connection)

    def end(redis: Redis) -> None:
        redis.script_kill()
        kept.pop().disconnect()

    return Trouble(begin, end)


def troubles(*, password: str, refused: str) -> dict[str, Trouble]:
    """Return all faults by name; `refused` are the commands (-get -set) that one of them forbids."""
    return {
        "out of memory": Trouble(
            lambda redis: redis.config_set("maxmemory", "1"), lambda redis: redis.config_set("maxmemory", "0")
        ),
        "read-only": Trouble(
            lambda redis: redis.replicaof("127.0.0.1", "1"), lambda redis: redis.replicaof("NO", "ONE")
        ),
        "cannot save": Trouble(_begin_to_fail_saving, _save_again),
        "without rights": Trouble(
            lambda redis: redis.acl_setuser("default", enabled=True, commands=refused.split()),
            lambda redis: redis.acl_setuser("default", enabled=True, categories=["+@all"]),
        ),
        "another password": Trouble(_change_password, lambda redis: redis.config_set("requirepass", password)),
        "busy with a script": _busy(),
    }
