"""The embedded servers are real ones: their data survives kill -9, and a set of three the loss of its primary."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pymongo import MongoClient
from redis import AuthenticationError, Redis

from sandbox.servers.embedded import embedded_mongo, embedded_redis
from sandbox.servers.mongo import MongoServer
from sandbox.servers.ports import ReservedPort, is_open
from sandbox.servers.redis import RedisServer
from sandbox.state_folder import temporary_state

if TYPE_CHECKING:  # pytest wants to load its plugins itself
    from tests.stack_fixtures import MongoDatabase

pytest_plugins = ["tests.stack_fixtures"]

SYNCED_S = 1.2  # the append-only file is synced every second


@pytest.fixture
def folder() -> Iterator[Path]:
    with temporary_state() as path:
        yield path


@pytest.fixture
def mongo(folder: Path) -> Iterator[MongoServer]:
    server = embedded_mongo(folder)
    try:
        yield server.start().wait_ready()
    finally:
        server.kill()


@pytest.fixture
def replica_set(folder: Path) -> Iterator[MongoServer]:
    server = embedded_mongo(folder, members=3)
    try:
        yield server.start().wait_ready()
    finally:
        server.kill()


@pytest.fixture
def redis(folder: Path) -> Iterator[RedisServer]:
    server = embedded_redis(folder)
    try:
        yield server.start().wait_ready()
    finally:
        server.kill()


def _insert(server: MongoServer, number: int) -> None:
    client: MongoClient[dict[str, Any]] = MongoClient(server.uri)
    with client:
        client["test"]["numbers"].insert_one({"_id": number})


def _numbers(server: MongoServer) -> list[int]:
    client: MongoClient[dict[str, Any]] = MongoClient(server.uri)
    with client:
        return sorted(document["_id"] for document in client["test"]["numbers"].find())


def test_an_acknowledged_write_survives_kill_9_of_mongod(mongo: MongoServer) -> None:
    uri = mongo.uri
    _insert(mongo, 1)

    mongo.kill()
    mongo.restart()

    assert _numbers(mongo) == [1]
    assert mongo.uri == uri


def test_mongod_stops_and_starts_again_on_the_same_port_and_data(mongo: MongoServer) -> None:
    _insert(mongo, 1)

    mongo.restart()
    _insert(mongo, 2)

    assert _numbers(mongo) == [1, 2]


def test_mongodb_has_transactions(mongo_database: MongoDatabase) -> None:
    client = mongo_database.client
    mongo_database.create_collection("numbers")

    with client.start_session() as session:
        session.start_transaction()
        mongo_database["numbers"].insert_one({"_id": 1}, session=session)
        session.abort_transaction()

    assert mongo_database["numbers"].count_documents({}) == 0


def test_three_members_take_writes_again_soon_after_the_primary_was_killed(replica_set: MongoServer) -> None:
    _insert(replica_set, 1)
    killed = replica_set.primary

    killed.kill()
    _insert(replica_set, 2)

    assert replica_set.primary is not killed
    killed.restart()
    assert _numbers(replica_set) == [1, 2]


def test_redis_keeps_its_data_over_kill_9(redis: RedisServer) -> None:
    url = redis.url
    with Redis.from_url(url) as client:
        client.set("name", "value")
    time.sleep(SYNCED_S)

    redis.kill()
    redis.restart()

    assert redis.url == url
    with Redis.from_url(url) as client:
        assert client.get("name") == b"value"


def test_redis_asks_for_the_password_and_evicts_nothing(redis: RedisServer) -> None:
    with Redis.from_url(redis.url) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendfsync") == {"appendfsync": "everysec"}

    with Redis.from_url(redis.url.replace("redis://:", "redis://:x")) as client, pytest.raises(AuthenticationError):
        client.ping()


def test_each_test_gets_an_empty_database_and_an_empty_redis(mongo_database: MongoDatabase, redis_url: str) -> None:
    with Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
    assert mongo_database.list_collection_names() == []


def test_a_reserved_port_is_free_for_a_server_and_chosen_only_once() -> None:
    ports = [ReservedPort() for _ in range(200)]

    assert len({port.number for port in ports}) == 200
    assert not any(is_open(port.number) for port in ports)
