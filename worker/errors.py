"""Every error of the product in one tree, by what has to be done about it.

ExportError
├── InvalidRequestError       a value of the request is wrong: say which field
│   └── UnknownPropertiesError    HubSpot does not define a property: say which are nearest
├── IdempotencyKeyReusedError
├── AccessDeniedError         the user did not grant the app access
├── NotConfiguredError        a setting is missing that only this needs: the operator sets it
├── AlreadyAskedError         an RPC request that may be made once was made before
├── OverLimitError            the caller has reached a limit of this product: come back later
│   ├── StorageFullError
│   ├── TooManyJobsError
│   └── TooManyRequestsError
├── TokenNotFoundError        nothing is connected for this account and owner
├── JobNotFoundError
├── RecordNotFoundError
├── ScheduleNotFoundError
├── PortalNotFoundError
├── PortalChangedError        it belongs to another HubSpot portal than the connected one
├── PortalConnectedError      the copy of a portal is not removed while the portal is connected
├── InternalError             a bug of ours
│   ├── WorkersLostError      every worker that claimed the job has died; a retry may succeed
│   ├── SpoiledPageError      a stored page is damaged: the operator has to look at it
│   ├── SpoiledRecordError    a record of the copy is damaged: the next full sync replaces it
│   └── SpoiledScheduleError  a schedule is damaged: its owner can store it again
├── CursorLostError           a cursor of one API means nothing to the other: read the list from its start
├── LeaseLostError            another worker holds the lease now: stop, write nothing
├── ErasureAskedError         records are being erased: screen the stored page for them before counting it
├── NoPermitError              a page needs a further call, for which there is no permit: wait, fetch the page again
├── PermitExpiredError        the permit expired before the call left, which was not made: request another one
├── UnavailableError          something we depend on is down: come back later
│   ├── StoreUnavailableError
│   │   └── CopyBusyError     a copy is being removed; a new one can begin after that
│   ├── TokenUnreadableError  a key is missing: the operator restores it
│   ├── BrokerUnavailableError
│   └── NoAnswerError         no worker has answered in time
└── HubSpotError
    ├── RetryableHubSpotError     the same call may succeed later
    │   ├── RateLimitedError
    │   │   ├── SecondlyLimitError    that of searches
    │   │   └── DailyLimitError
    │   ├── AddressTooLongError   request fewer properties with each call
    │   ├── AnswerTooLargeError   exceeds the memory for answers: request less
    │   ├── TimedOutError         no complete answer within the time-out: request less
    │   ├── CallAbandonedError    the worker stops: whoever resumes the job repeats the call
    │   └── TokenEndpointGoneError    the operator checks a setting
    ├── TokenRefusedError         renew the access token, then retry a few times
    ├── ReconnectRequiredError    the refresh token is dead: only the user can help
    ├── FeedUnusableError         a feed of changes is incomplete or missing: read the list
    └── FatalHubSpotError         the same call will fail again
        ├── CodeRefusedError      an authorisation code is invalid or expired
        ├── MissingScopesError    the connection lacks a scope; found before any call
        ├── ListGoneError         the legacy list is no longer served: the dated API may have it
        └── CursorStuckError
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

from worker.rate_limit.quota import Quota

_MOST_NAMED = 10  # names in one message

JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | str | int | float | bool | None"


class ExportError(Exception):
    """Anything that this product refuses or fails at; its text is written for clients."""

    code: ClassVar[str] = "internal"
    details: str | None = None

    @property
    def message(self) -> str:
        """The text for clients: no token, no address, no stack."""
        return str(self)

    @property
    def log_fields(self) -> dict[str, JsonValue]:
        """Fields of the log line about it."""
        return {"error": self.message}


class InvalidRequestError(ExportError):
    """A value of a request is wrong; the message names the field."""

    code = "invalid_request"


class UnknownPropertiesError(InvalidRequestError):
    """HubSpot defines no property of these names; `nearest` of each are what may have been meant."""

    code = "unknown_properties"

    def __init__(self, unknown: Mapping[str, Sequence[str]], *, of: str, field: str = "properties") -> None:
        named = [f"{name} (nearest: {', '.join(near)})" if near else name for name, near in unknown.items()]
        shown = ", ".join(named[:_MOST_NAMED])
        further = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
        super().__init__(f"{field}: HubSpot does not define for {of}: {shown}{further}")


class IdempotencyKeyReusedError(ExportError):
    """The Idempotency-Key was used before, for another request."""

    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("Idempotency-Key: has been used for another request")


class AccessDeniedError(ExportError):
    """The user did not grant the app access to the HubSpot account."""

    code = "access_denied"


class NotConfiguredError(ExportError):
    """Settings are missing that only this needs; the message names them."""

    code = "not_configured"


class AlreadyAskedError(ExportError):
    """An RPC request with this id was made before: an authorisation code is exchanged once."""

    code = "conflict"

    def __init__(self) -> None:
        super().__init__("This authorisation code has already been used")


class OverLimitError(ExportError):
    """The caller has reached a limit of this product; a retry makes sense after `retry_after_s`."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StorageFullError(OverLimitError):
    """The account has reached its limit of stored bytes."""

    code = "storage_full"


class TooManyJobsError(OverLimitError):
    """The account has reached its limit of open jobs."""

    code = "too_many_jobs"


class TooManyRequestsError(OverLimitError):
    """The caller has too many requests pending, or sends too many a second."""

    code = "too_many_requests"


class TokenNotFoundError(ExportError):
    """No OAuth token is stored for the account and owner."""

    code = "token_not_found"

    def __init__(self) -> None:
        super().__init__("Api Token Not Found")


class JobNotFoundError(ExportError):
    """There is no such job, or it belongs to another account: the answer is the same."""

    code = "job_not_found"

    def __init__(self) -> None:
        super().__init__("RESOURCE_NOT_FOUND")


class RecordNotFoundError(ExportError):
    """The account's current copy holds no such record, or only the tombstone of an erased one."""

    code = "record_not_found"

    def __init__(self) -> None:
        super().__init__("RESOURCE_NOT_FOUND")


class ScheduleNotFoundError(ExportError):
    """There is no schedule for this account and owner."""

    code = "schedule_not_found"

    def __init__(self) -> None:
        super().__init__("RESOURCE_NOT_FOUND")


class PortalNotFoundError(ExportError):
    """The account was never connected to this HubSpot portal, or its copy has been removed."""

    code = "portal_not_found"

    def __init__(self) -> None:
        super().__init__("RESOURCE_NOT_FOUND")


class PortalChangedError(ExportError):
    """The account is connected to another HubSpot portal than the one that this belongs to.

    Ids and cursors of one portal mean nothing in another: continuing would mix the two.
    """

    code = "portal_changed"

    def __init__(self, what: str, *, hub_id: int, connected: int, remedy: str) -> None:
        self.details = f"{remedy}, or connect portal {hub_id} again"
        says = f"{what} belongs to HubSpot portal {hub_id}, and the account is connected to {connected} now"
        super().__init__(f"{says}. {self.details}")
        self.hub_id = hub_id
        self.connected = connected


class PortalConnectedError(ExportError):
    """The copy of a connected portal is not removed: the next sync would restore it."""

    code = "conflict"

    def __init__(self, hub_id: int) -> None:
        super().__init__(f"Portal {hub_id} is connected: connect another one, or remove the connection, first")


class LeaseLostError(ExportError):
    """Another worker holds the job's lease, so nothing more may be written here."""

    code = "lease_lost"


class ErasureAskedError(ExportError):
    """An eraser has marked the job's lease: its pages must be screened before they are counted."""


class InternalError(ExportError):
    """A bug of this product; the details are in the log only."""

    def __init__(self, message: str = "The export failed for a reason that is not HubSpot's") -> None:
        super().__init__(message)


class WorkersLostError(InternalError):
    """Several workers died one after the other while they held the job, which may or may not be the cause."""


class SpoiledPageError(InternalError):
    """A stored page cannot be read; the others can."""

    def __init__(self, job_id: str, number: int) -> None:
        super().__init__(f"Page {number} of job {job_id} cannot be read: what is stored of it is damaged")
        self.job_id = job_id
        self.number = number


class SpoiledRecordError(InternalError):
    """A record of the copy cannot be read."""

    details = "The next full sync replaces it"

    def __init__(self, record_id: int) -> None:
        super().__init__(f"Record {record_id} cannot be read: what is stored of it is damaged. {self.details}")
        self.record_id = record_id


class SpoiledScheduleError(InternalError):
    """A stored schedule cannot be read."""

    details = "Store it again with PUT, or remove it with DELETE"

    def __init__(self) -> None:
        super().__init__(f"The schedule cannot be read: what is stored of it is damaged. {self.details}")


class NoPermitError(ExportError):
    """The rate limit grants no permit for a further call of a page for `wait_s` seconds."""

    def __init__(self, *, wait_s: float = 0.0) -> None:
        super().__init__("The rate limit for this HubSpot account is exhausted")
        self.wait_s = wait_s


class PermitExpiredError(ExportError):
    """The process was too slow to use its permit: nothing was sent, and the call may be made with another one."""

    def __init__(self) -> None:
        super().__init__("The permit for this call has expired; the call is made with a new one")


class UnavailableError(ExportError):
    """Something that this product depends on, a server or a key, is not available now."""

    code = "unavailable"


class StoreUnavailableError(UnavailableError):
    """MongoDB does not answer."""

    def __init__(self) -> None:
        super().__init__("The database is not available")


class CopyBusyError(StoreUnavailableError):
    """The copy of this portal is being removed; a new one can be written once that is done."""

    def __init__(self) -> None:
        ExportError.__init__(self, "The copy of this HubSpot portal is being removed: try again")


class TokenUnreadableError(UnavailableError):
    """A stored token is encrypted with a key that this process does not have."""

    def __init__(
        self, message: str = "A stored token cannot be decrypted: its key is missing in TOKEN_ENCRYPTION_KEYS"
    ) -> None:
        super().__init__(message)


class BrokerUnavailableError(UnavailableError):
    """The message broker does not answer."""

    def __init__(self) -> None:
        super().__init__("The message broker is not available")


class NoAnswerError(UnavailableError):
    """No worker has answered in time."""


class HubSpotError(ExportError):
    """HubSpot, or the network on the way to it, failed.

    `status` is HubSpot's HTTP status (None: no answer), `body` its decoded JSON body or its text. `correlation_id` is
    what HubSpot's support asks for, `quota` the limit according to the answer, `details` what a client can do about it.
    """

    code = "hubspot_error"

    def __init__(  # noqa: PLR0913 - what an answer holds
        self,
        message: str,
        *,
        status: int | None = None,
        body: JsonValue = None,
        correlation_id: str | None = None,
        retry_after_s: float | None = None,
        quota: Quota | None = None,
        details: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = body
        self.correlation_id = correlation_id
        self.retry_after_s = retry_after_s
        self.quota = quota
        self.details = details

    @property
    def log_fields(self) -> dict[str, JsonValue]:
        answer: dict[str, JsonValue] = {"hubspot_status": self.status, "hubspot_correlation_id": self.correlation_id}
        return super().log_fields | answer


class RetryableHubSpotError(HubSpotError):
    """The same call may succeed later; `retry_after_s` is HubSpot's own advice, if any."""


class RateLimitedError(RetryableHubSpotError):
    """HubSpot answered 429: the account's quota is exhausted for now."""


class SecondlyLimitError(RateLimitedError):
    """The limit of a second is exhausted, which HubSpot keeps for searches alone."""


class DailyLimitError(RateLimitedError):
    """The account's daily quota is exhausted; HubSpot does not say when its day ends."""


class AnswerTooLargeError(RetryableHubSpotError):
    """The answer exceeds the memory for one answer, or for all that are being read at once."""


class TimedOutError(RetryableHubSpotError):
    """HubSpot gave no complete answer within the time-out."""


class AddressTooLongError(RetryableHubSpotError):
    """HubSpot answered 414; queries of at most `longest_query` characters may work, several of them for one page."""

    def __init__(self, message: str, *, longest_query: int = 0, **answer: Any) -> None:  # noqa: ANN401 - HubSpotError's
        super().__init__(message, **answer)
        self.longest_query = longest_query


class CallAbandonedError(RetryableHubSpotError):
    """This worker is stopping and did not wait for the answer, which says nothing about the call."""


class TokenEndpointGoneError(RetryableHubSpotError):
    """There is no token endpoint at HUBSPOT_TOKEN_ENDPOINT, nor at its other version."""


class TokenRefusedError(HubSpotError):
    """HubSpot answered 401 to the access token."""


class ReconnectRequiredError(HubSpotError):
    """HubSpot refused the refresh token; it stays refused until the user connects the account again."""

    code = "reconnect_required"


class FeedUnusableError(HubSpotError):
    """HubSpot's feed of recent changes is missing or cannot be complete; the list of all records is."""


class FatalHubSpotError(HubSpotError):
    """HubSpot refused the call, and would refuse it again."""


class CodeRefusedError(FatalHubSpotError):
    """HubSpot refused an authorisation code: it was used, has expired, or was issued for another redirect URI."""

    code = InvalidRequestError.code


class MissingScopesError(FatalHubSpotError):
    """The connection lacks a scope that HubSpot requires; connecting again adds it, if the user agrees."""

    code = "missing_scopes"


class ListGoneError(FatalHubSpotError):
    """HubSpot answered 404 or 410 for a legacy list (never for a feed): the dated API may serve it."""


class CursorLostError(ExportError):
    """The list has to be read from its start: a cursor of one API means nothing to the other."""

    code = "cursor_lost"


class CursorStuckError(FatalHubSpotError):
    """HubSpot says that there is more, but gives no next offset or one that was there before."""

    code = "cursor_stuck"
