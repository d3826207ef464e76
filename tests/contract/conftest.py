"""One database a module, emptied before each test: to create collections and indexes takes longer than most tests."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from pymongo import MongoClient

from tests.stack_fixtures import MongoDatabase


@pytest.fixture(scope="module")
def module_database(mongo_client: MongoClient[dict[str, Any]]) -> MongoDatabase:
    return mongo_client[f"contract_{uuid4().hex}"]


@pytest.fixture
def mongo_database(module_database: MongoDatabase) -> MongoDatabase:
    for name in module_database.list_collection_names():
        if name.startswith("system."):
            module_database.drop_collection(name)  # nothing can be deleted from the profiler's
        else:
            module_database[name].delete_many({})
    return module_database
