"""Builds the embedded servers of one folder, which holds their data, logs and links."""

from __future__ import annotations

from pathlib import Path

from sandbox.servers.binaries import find_mongod, find_redis_server
from sandbox.servers.mongo import MongoServer
from sandbox.servers.redis import RedisServer


def embedded_mongo(folder: Path, *, members: int = 1, ttl_sweep_s: int = 60) -> MongoServer:
    """Build a MongoDB below `folder` without starting it. Raises UnusableBinaryError."""
    return MongoServer(
        binary=find_mongod(links=folder / "lib"),
        folder=folder / "data",
        logs=_logs(folder),
        members=members,
        ttl_sweep_s=ttl_sweep_s,
    )


def embedded_redis(folder: Path) -> RedisServer:
    """Build a Redis below `folder` without starting it. Raises UnusableBinaryError."""
    return RedisServer(binary=find_redis_server(), folder=folder / "data" / "redis", log=_logs(folder) / "redis.log")


def _logs(folder: Path) -> Path:
    logs = folder / "logs"
    logs.mkdir(exist_ok=True)
    return logs
