"""What the check of all queries sees: a scan with its name and cost, and nothing that other clients asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pymongo import MongoClient

from sandbox.servers.mongo import MongoServer
from tests.acceptance.client import Json
from tests.acceptance.query_plans import APPLICATION, queries_noted, shape_of
from tests.stack_fixtures import MongoDatabase

DOCUMENTS = 50
COLLECTION = "integrations.hubspot.things"


@pytest.fixture
def products(mongo_server: MongoServer, mongo_database: MongoDatabase) -> Iterator[MongoDatabase]:
    """Open the database with the product's application name."""
    mongo_database[COLLECTION].insert_many([{"_id": number, "name": f"n{number}"} for number in range(DOCUMENTS)])
    with MongoClient[Json](mongo_server.uri, appname=APPLICATION) as client:
        yield client[mongo_database.name]


def test_a_scan_is_noted_with_its_name_and_cost(products: MongoDatabase, mongo_database: MongoDatabase) -> None:
    with queries_noted(mongo_database) as noted:
        products[COLLECTION].find_one({"name": "n7"})
        products[COLLECTION].update_one({"_id": 7}, {"$set": {"name": "x"}})
        list(products[COLLECTION].aggregate([{"$match": {"_id": {"$gte": 45}}}]))
        list(products[COLLECTION].find({}).batch_size(30))
        mongo_database[COLLECTION].find_one({"name": "a test's own"})

    assert [(query.name, query.is_scan, query.examined, query.found) for query in noted] == [
        ("query things {name}", True, 8, 1),
        ("update things {_id}", False, 1, 1),
        ("aggregate things {_id: {$gte}}", False, 5, 5),
        ("query things {}", True, 30, 30),
        ("getMore things {}", True, 20, 20),
    ]


def test_the_name_of_a_query_has_no_values_in_it() -> None:
    one = {"_id": {"$in": ["a", "b"]}, "exports.030c8bf7-363d-5573-8b5a-5b095d34958f.epoch": 3}
    assert shape_of(one) == "{_id: {$in}, exports.*.epoch}"
    assert shape_of({"$or": [{"_id": {"$gt": 1}}, {"_id": {"$gt": 2}}, {"x": None}]}) == "{$or: [{_id: {$gt}}, {x}]}"
