"""Which of the driver's errors say "not now": the server is away, changes its primary, or cannot keep its word.

Everything else is a mistake of ours. The driver does not sort them: a fail-over alone comes as a lost connection, as a
failed operation, as a write concern that was not met, inside of a bulk write's details, and as a configuration error.
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

# Each of these is the server's word that the same operation may be done again: see its src/mongo/base/error_codes.yml.
_LABELS = ("RetryableWriteError", "TransientTransactionError", "UnknownTransactionCommitResult", "RetryableError")

NOT_NOW: Mapping[int, str] = {
    # the primary is gone, going, or not this member any more
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
    # members cannot reach each other, or are too slow
    6: "HostUnreachable",
    7: "HostNotFound",
    89: "NetworkTimeout",
    9001: "SocketException",
    50: "MaxTimeMSExpired",
    202: "NetworkInterfaceExceededTimeLimit",
    262: "ExceededTimeLimit",
    # what a majority was to keep is not known to be kept
    64: "WriteConcernTimeout",
    100: "UnsatisfiableWriteConcern",
    # an operation was ended, or what it worked on is gone: by an operator, a fail-over, or its age
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
    # keys and routes that a member has not heard of yet
    13388: "StaleConfig",
    63: "StaleShardVersion",
    150: "StaleEpoch",
    211: "KeyNotFound",
    # the server is out of something
    146: "ExceededMemoryLimit",
    365: "TemporarilyUnavailable",
    462: "IngressRequestRateLimitExceeded",
    8000: "AtlasError",
    14031: "OutOfDiskSpace",
    # credentials that are being changed: the operator's to mend, and no reason to give up a customer's job
    13: "Unauthorized",
    18: "AuthenticationFailed",
    391: "ReauthenticationRequired",
}
"""The server's codes, each with its name there."""

_NO_SESSIONS = "Sessions are not supported"  # so the driver calls a set of which it knows no member that is up


def is_not_now(error: PyMongoError) -> bool:
    """Whether the operation may be done again later, and was not, or not certainly, done now."""
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
    """Look into a bulk write: one write concern that was not met leaves all of its writes unacknowledged."""
    codes: Iterable[object] = (each.get("code") for each in details.get("writeErrors", ()))
    return bool(details.get("writeConcernErrors")) or any(code in NOT_NOW for code in codes)
