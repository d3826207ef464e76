"""Real servers for tests: one MongoDB and one Redis a session, an empty place in each of them a test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from pymongo import MongoClient
from pymongo.database import Database
from redis import Redis

from sandbox.servers.embedded import embedded_mongo, embedded_redis
from sandbox.servers.mongo import MongoServer
from sandbox.servers.redis import RedisServer
from sandbox.state_folder import temporary_state

MongoDatabase = Database[dict[str, Any]]


@pytest.fixture(scope="session")
def mongo_server() -> Iterator[MongoServer]:
    """Yield a one-member replica set whose TTL monitor looks every second."""
    with temporary_state() as folder:
        server = embedded_mongo(folder, ttl_sweep_s=1)
        try:
            yield server.start().wait_ready()
        finally:
            server.stop()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """Yield a Redis that writes an append-only file."""
    with temporary_state() as folder:
        server = embedded_redis(folder)
        try:
            yield server.start().wait_ready()
        finally:
            server.stop()


@pytest.fixture(scope="session")
def mongo_client(mongo_server: MongoServer) -> Iterator[MongoClient[dict[str, Any]]]:
    """Yield one client for all tests, with the product's write concern and aware dates."""
    client: MongoClient[dict[str, Any]] = MongoClient(mongo_server.uri, tz_aware=True)
    with client:
        yield client


@pytest.fixture
def mongo_database(mongo_client: MongoClient[dict[str, Any]]) -> MongoDatabase:
    """Return a database that nobody has used. It goes with its server: to drop it takes longer than most tests."""
    return mongo_client[f"test_{uuid4().hex}"]


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """Return the address of a Redis that is empty at the start of the test."""
    with Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url
