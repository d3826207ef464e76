"""Which of the driver's errors mean an absent database, and which a mistake of ours: all, by class and code."""

from __future__ import annotations

import inspect
from typing import Any

import pymongo.errors
import pytest
from pymongo import helpers_shared
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ClientBulkWriteException,
    CollectionInvalid,
    ConfigurationError,
    ConnectionFailure,
    CursorNotFound,
    DuplicateKeyError,
    EncryptedCollectionError,
    EncryptionError,
    ExecutionTimeout,
    InvalidName,
    InvalidOperation,
    InvalidURI,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    ProtocolError,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WriteConcernError,
    WriteError,
    WTimeoutError,
)

from tests.contract.stores import new_job
from worker.errors import StoreUnavailableError
from worker.jobs.mongo.inserts import insert_missing
from worker.mongo.availability import NOT_NOW, is_not_now
from worker.mongo.database import translated_errors

DUPLICATE = {"index": 0, "code": 11000, "errmsg": "E11000 duplicate key error"}
STEPPED_DOWN = {"code": 189, "codeName": "PrimarySteppedDown", "errmsg": "operation was interrupted"}
BAD_VALUE = 2


def bulk(*, errors: list[dict[str, Any]], concerns: list[dict[str, Any]]) -> BulkWriteError:
    return BulkWriteError({"writeErrors": errors, "writeConcernErrors": concerns, "nInserted": 0})


def client_bulk(**details: object) -> ClientBulkWriteException:
    nothing: dict[str, object] = {"error": None, "writeErrors": [], "writeConcernErrors": [], "anySuccessful": False}
    return ClientBulkWriteException(nothing | details, verbose=False)


AWAY: list[PyMongoError] = [
    ConnectionFailure("connection closed"),
    AutoReconnect("connection reset by peer"),
    NetworkTimeout("timed out"),
    ServerSelectionTimeoutError("No primary"),
    WaitQueueTimeoutError("Timed out while checking out a connection"),
    NotPrimaryError("Not primary"),
    CursorNotFound("cursor id 1 not found", 43),
    ExecutionTimeout("operation exceeded time limit", 50),
    WriteConcernError("operation was interrupted", 11602),
    WriteConcernError("the primary stepped down", 189),
    WriteConcernError("the server is in quiesce mode", 91),
    WTimeoutError("waiting for replication timed out", 64),
    ConfigurationError("Sessions are not supported by this MongoDB deployment"),
    bulk(errors=[], concerns=[STEPPED_DOWN]),
    bulk(errors=[DUPLICATE], concerns=[STEPPED_DOWN]),
    bulk(errors=[DUPLICATE, {"index": 1, **STEPPED_DOWN}], concerns=[]),
    client_bulk(error=NotPrimaryError("Not primary")),
    client_bulk(writeConcernErrors=[STEPPED_DOWN]),
    client_bulk(writeErrors=[{"idx": 0, **STEPPED_DOWN}]),
    *(OperationFailure(name, code) for code, name in NOT_NOW.items()),
]

OURS: list[PyMongoError] = [
    PyMongoError("something else"),
    ProtocolError("unexpected opcode"),
    ConfigurationError("Unknown option"),
    InvalidURI("Invalid URI scheme"),
    InvalidName("collection names cannot be empty"),
    InvalidOperation("cannot set options after executing query"),
    CollectionInvalid("collection exists"),
    EncryptionError(ValueError("no key")),
    EncryptedCollectionError(ValueError("no key"), {}),
    OperationFailure("unknown operator: $nope", BAD_VALUE),
    OperationFailure("without a code"),
    WriteError("Document failed validation", 121),
    DuplicateKeyError("E11000 duplicate key error", 11000),
    bulk(errors=[DUPLICATE], concerns=[]),
    bulk(errors=[{"index": 0, "code": 121, "errmsg": "Document failed validation"}], concerns=[]),
    client_bulk(writeErrors=[{"idx": 0, **DUPLICATE}]),
    client_bulk(error=OperationFailure("unknown operator", BAD_VALUE)),
]


@pytest.mark.parametrize("error", AWAY, ids=repr)
def test_what_may_be_done_again_later_is_an_absent_database(error: PyMongoError) -> None:
    assert is_not_now(error)
    with pytest.raises(StoreUnavailableError), translated_errors():
        raise error


@pytest.mark.parametrize("error", OURS, ids=repr)
def test_what_would_fail_again_is_a_mistake_of_ours(error: PyMongoError) -> None:
    assert not is_not_now(error)
    with pytest.raises(type(error)), translated_errors():
        raise error


def test_every_class_of_the_driver_stands_in_one_of_the_two_tables() -> None:
    classes = {
        each
        for name, each in vars(pymongo.errors).items()
        if inspect.isclass(each) and issubclass(each, PyMongoError) and not name.startswith("_")
    }
    assert classes == {type(error) for error in (*AWAY, *OURS)}


def test_every_code_that_the_driver_itself_would_retry_is_in_the_table() -> None:
    known = helpers_shared._RETRYABLE_ERROR_CODES  # noqa: SLF001 - the driver's own list
    assert known <= set(NOT_NOW)


@pytest.mark.parametrize(
    "label", ["RetryableWriteError", "TransientTransactionError", "UnknownTransactionCommitResult", "RetryableError"]
)
def test_the_servers_label_counts_whatever_the_code(label: str) -> None:
    error = OperationFailure("something new", 99_999, {"ok": 0, "errorLabels": [label]})
    assert is_not_now(error)


class RefusingCollection:
    """Stores nothing: answers every insertion with the same error."""

    def __init__(self, error: BulkWriteError) -> None:
        self._error = error

    def bulk_write(self, documents: list[dict[str, Any]], *, ordered: bool) -> None:  # noqa: ARG002 - pymongo's
        raise self._error


def test_jobs_that_are_there_already_are_no_failure() -> None:
    insert_missing(RefusingCollection(bulk(errors=[DUPLICATE], concerns=[])), [new_job()])  # type: ignore[arg-type]  # all it needs


@pytest.mark.parametrize("errors", [[], [DUPLICATE]], ids=["new", "there already"])
def test_what_the_majority_has_not_acknowledged_is_not_stored(errors: list[dict[str, Any]]) -> None:
    collection = RefusingCollection(bulk(errors=errors, concerns=[STEPPED_DOWN]))
    with pytest.raises(StoreUnavailableError), translated_errors():
        insert_missing(collection, [new_job()])  # type: ignore[arg-type]  # all it needs
