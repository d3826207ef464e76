"""Which of the driver's errors are transient: the server is down, elects a primary, or cannot meet a write concern.

All others are bugs of ours. The driver does not classify them: a fail-over alone appears as a lost connection, a failed
operation, an unmet write concern, in the details of a bulk write, and as a configuration error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pymongo.errors import (
    BulkWriteError,
    ClientBulkWriteException,
    ConfigurationError,
    ConnectionFailure,
    CursorNotFound,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
)

# With each of these labels the server says that the operation may be retried: see its src/mongo/base/error_codes.yml.
_LABELS = ("RetryableWriteError", "TransientTransactionError", "UnknownTransactionCommitResult", "RetryableError")

NOT_NOW: Mapping[int, str] = {
    # there is no primary, or it is another member
    91: "ShutdownInProgress",
    189: "PrimarySteppedDown",
    10058: "LegacyNotPrimary",
    10107: "NotWritablePrimary",
    11600: "InterruptedAtShutdown",
    11602: "InterruptedDueToReplStateChange",
    13435: "NotPrimaryNoSecondaryOk",
    13436: "NotPrimaryOrSecondary",
    133: "FailedToSatisfyReadPreference",
    134: "ReadConcernMajorityNotAvailableYet",
    # members do not reach each other, or are too slow
    6: "HostUnreachable",
    7: "HostNotFound",
    89: "NetworkTimeout",
    9001: "SocketException",
    50: "MaxTimeMSExpired",
    202: "NetworkInterfaceExceededTimeLimit",
    262: "ExceededTimeLimit",
    # a write concern was not met: the write may be lost
    64: "WriteConcernTimeout",
    100: "UnsatisfiableWriteConcern",
    # an operation, cursor or transaction was ended by an operator, a fail-over, or its age
    43: "CursorNotFound",
    175: "QueryPlanKilled",
    237: "CursorKilled",
    11601: "Interrupted",
    24: "LockTimeout",
    46: "LockBusy",
    112: "WriteConflict",
    225: "TransactionTooOld",
    239: "SnapshotTooOld",
    246: "SnapshotUnavailable",
    251: "NoSuchTransaction",
    290: "TransactionExceededLifetimeLimitSeconds",
    # a member's routing information or keys are out of date
    13388: "StaleConfig",
    63: "StaleShardVersion",
    150: "StaleEpoch",
    211: "KeyNotFound",
    # the server lacks memory, disk or capacity
    146: "ExceededMemoryLimit",
    365: "TemporarilyUnavailable",
    462: "IngressRequestRateLimitExceeded",
    8000: "AtlasError",
    14031: "OutOfDiskSpace",
    # credentials are being rotated: the operator mends that, and no job should fail for it
    13: "Unauthorized",
    18: "AuthenticationFailed",
    391: "ReauthenticationRequired",
}
"""The server's codes, each with its name there."""

_NO_SESSIONS = "Sessions are not supported"  # the driver's error for a replica set without a reachable member


def is_not_now(error: PyMongoError) -> bool:
    """Whether the operation was not, or not certainly, done, and may be retried later."""
    if isinstance(error, ConnectionFailure | CursorNotFound | WriteConcernError) or error.timeout:
        return True
    if any(map(error.has_error_label, _LABELS)):
        return True
    if isinstance(error, ConfigurationError):
        return _NO_SESSIONS in str(error)
    if isinstance(error, BulkWriteError):
        return _is_in_details(error.details or {})
    if isinstance(error, ClientBulkWriteException):
        cause = error.error
        return (isinstance(cause, PyMongoError) and is_not_now(cause)) or _is_in_details(error.details or {})
    return isinstance(error, OperationFailure) and error.code in NOT_NOW


def _is_in_details(details: Mapping[str, Any]) -> bool:
    # One unmet write concern leaves all writes of a bulk unacknowledged.
    codes: Iterable[object] = (each.get("code") for each in details.get("writeErrors", ()))
    return bool(details.get("writeConcernErrors")) or any(code in NOT_NOW for code in codes)
