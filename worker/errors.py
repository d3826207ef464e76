"""Every error of the product in one tree, ordered by what has to be done about it.

ExportError
├── InvalidRequestError       the caller's words are wrong: say which field
├── IdempotencyKeyReusedError
├── AccessDeniedError         the user did not let the app in
├── NotConfiguredError        a setting is missing that only this needs: the operator's to set
├── AlreadyAskedError         a question that may be put once was put before
├── OverLimitError            the caller has reached a limit of this product: come back later
│   ├── StorageFullError
│   ├── TooManyJobsError
│   └── TooManyRequestsError
├── TokenNotFoundError        nothing is connected for this account and owner
├── JobNotFoundError
├── RecordNotFoundError
├── ScheduleNotFoundError
├── PortalNotFoundError
├── PortalChangedError        what it is about belongs to another HubSpot portal than the connected one
├── PortalConnectedError      what goes with a portal cannot go while that is connected
├── InternalError             a bug of ours
│   ├── WorkersLostError      every worker that took the job has died; a retry may succeed
│   ├── SpoiledPageError      a stored page is damaged: the operator has to look at it
│   ├── SpoiledRecordError    a record of the copy is damaged: the next full sync replaces it
│   └── SpoiledScheduleError  a schedule is damaged: its owner can store it again
├── CursorLostError           the position in one API cannot be told to the other: read the list from its start
├── LeaseLostError            someone else works on the job now: stop, write nothing
├── ErasureAskedError         records are being erased: look for them in what is stored, then count it
├── NoPlaceError              a page takes a further call, for which the limit has no permit: wait, fetch the page again
├── PermitExpiredError        the call came too late for its permit and was not made: take another permit
├── UnavailableError          what we depend on is away: come back later
│   ├── StoreUnavailableError
│   │   └── CopyBusyError     a copy is being removed; a new one can be begun after that
│   ├── TokenUnreadableError  a key is missing: the operator's to put back
│   ├── BrokerUnavailableError
│   └── NoAnswerError         no worker has answered in time
└── HubSpotError
    ├── RetryableHubSpotError     the same call may work later
    │   ├── RateLimitedError
    │   │   └── DailyLimitError
    │   ├── AddressTooLongError   ask for fewer properties with each call
    │   ├── AnswerTooLargeError   more than there is memory for: ask for less
    │   ├── TimedOutError         no whole answer within the time-out: ask for less
    │   ├── CallAbandonedError    the worker stops: whoever goes on makes the call again
    │   └── TokenEndpointGoneError    a setting is to be looked at: the operator's
    ├── TokenRefusedError         renew the access token, then try again a few times
    ├── ReconnectRequiredError    the refresh token is dead: only the user can help
    ├── FeedUnusableError         what has changed lately cannot be read completely from a feed: read the list
    └── FatalHubSpotError         the same call will fail again
        ├── CodeRefusedError      an authorisation code is worth nothing (any more)
        ├── MissingScopesError    the connection may not read this; seen before any call
        ├── ListGoneError         the legacy list is not served any more: the dated API may have it
        └── CursorStuckError
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

from worker.rate_limit.quota import Quota

JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | str | int | float | bool | None"


class ExportError(Exception):
    """Anything this product refuses or gives up on; its text is written for a client."""

    code: ClassVar[str] = "internal"
    details: str | None = None

    @property
    def message(self) -> str:
        """What a client may read: no token, no address, no stack."""
        return str(self)

    @property
    def log_fields(self) -> dict[str, JsonValue]:
        """What a line of the log about it is to say besides."""
        return {"error": self.message}


class InvalidRequestError(ExportError):
    """A value from outside is wrong; the message names the field."""

    code = "invalid_request"


class IdempotencyKeyReusedError(ExportError):
    """An Idempotency-Key came a second time, with another request than the first."""

    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("Idempotency-Key: has been used for another request")


class AccessDeniedError(ExportError):
    """The user did not let the app into the HubSpot account."""

    code = "access_denied"


class NotConfiguredError(ExportError):
    """Settings are missing that nothing else needs; the message names them."""

    code = "not_configured"


class AlreadyAskedError(ExportError):
    """What may be asked once was asked before."""

    code = "conflict"

    def __init__(self) -> None:
        super().__init__("This was asked before, and is not asked twice")


class OverLimitError(ExportError):
    """The caller has reached a limit of this product; it is worth asking again after `retry_after_s`."""

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
    """The caller has too many requests waiting, or sends too many a second."""

    code = "too_many_requests"


class TokenNotFoundError(ExportError):
    """No OAuth token is stored for the account and owner."""

    code = "token_not_found"

    def __init__(self) -> None:
        super().__init__("Api Token Not Found")


class JobNotFoundError(ExportError):
    """There is no such job, or it belongs to another account: the two are never told apart."""

    code = "job_not_found"

    def __init__(self) -> None:
        super().__init__("RESOURCE_NOT_FOUND")


class RecordNotFoundError(ExportError):
    """The account's current copy holds no such record, nor has it held one that was not erased."""

    code = "record_not_found"

    def __init__(self) -> None:
        super().__init__("RESOURCE_NOT_FOUND")


class ScheduleNotFoundError(ExportError):
    """There is no schedule for this account and owner."""

    code = "schedule_not_found"

    def __init__(self) -> None:
        super().__init__("RESOURCE_NOT_FOUND")


class PortalNotFoundError(ExportError):
    """The account was never connected to this HubSpot portal, or nothing of that is left."""

    code = "portal_not_found"

    def __init__(self) -> None:
        super().__init__("RESOURCE_NOT_FOUND")


class PortalChangedError(ExportError):
    """The account is connected to another HubSpot portal than the one that this belongs to.

    Ids, cursors and offsets of two portals have nothing to do with each other: whoever went on would mix the two.
    """

    code = "portal_changed"

    def __init__(self, what: str, *, hub_id: int, connected: int, remedy: str) -> None:
        self.details = f"{remedy}, or connect portal {hub_id} again"
        says = f"{what} belongs to HubSpot portal {hub_id}, and the account is connected to {connected} now"
        super().__init__(f"{says}. {self.details}")
        self.hub_id = hub_id
        self.connected = connected


class PortalConnectedError(ExportError):
    """The copy of a portal that the account is connected to is not removed: the next sync would bring it back."""

    code = "conflict"

    def __init__(self, hub_id: int) -> None:
        super().__init__(f"Portal {hub_id} is connected: connect another one, or remove the connection, first")


class LeaseLostError(ExportError):
    """The job's lease has gone to another worker, so nothing more may be written here."""

    code = "lease_lost"


class ErasureAskedError(ExportError):
    """An eraser has marked the job's lease: its pages are not counted before they were looked at."""


class InternalError(ExportError):
    """This product is at fault; the log says more than a client may read."""

    def __init__(self, message: str = "The export failed for a reason that is not HubSpot's") -> None:
        super().__init__(message)


class WorkersLostError(InternalError):
    """Workers ended, one after the other, while they had the job: it may be the cause, or have been there by chance."""


class SpoiledPageError(InternalError):
    """What is stored of a page cannot be read; all other pages can."""

    def __init__(self, job_id: str, number: int) -> None:
        super().__init__(f"Page {number} of job {job_id} cannot be read: what is stored of it is damaged")
        self.job_id = job_id
        self.number = number


class SpoiledRecordError(InternalError):
    """What is stored of a record of the copy cannot be read."""

    details = "The next full sync replaces it"

    def __init__(self, record_id: int) -> None:
        super().__init__(f"Record {record_id} cannot be read: what is stored of it is damaged. {self.details}")
        self.record_id = record_id


class SpoiledScheduleError(InternalError):
    """What is stored of a schedule cannot be read."""

    details = "Store it again with PUT, or remove it with DELETE"

    def __init__(self) -> None:
        super().__init__(f"The schedule cannot be read: what is stored of it is damaged. {self.details}")


class NoPlaceError(ExportError):
    """The limit has no place for a further call of a page for so many seconds."""

    def __init__(self, *, wait_s: float = 0.0) -> None:
        super().__init__("HubSpot's limit of calls for this account is used up")
        self.wait_s = wait_s


class PermitExpiredError(ExportError):
    """The process was too slow for its permit: nothing was sent, and the call may be made with another permit."""

    def __init__(self) -> None:
        super().__init__("The permit for this call has expired; the call is made with a new one")


class UnavailableError(ExportError):
    """What this product depends on, a server or a key, is not there now."""

    code = "unavailable"


class StoreUnavailableError(UnavailableError):
    """MongoDB does not answer."""

    def __init__(self) -> None:
        super().__init__("The database is not available")


class CopyBusyError(StoreUnavailableError):
    """The copy of this portal is being removed; one can be written again when that is done."""

    def __init__(self) -> None:
        ExportError.__init__(self, "The copy of this HubSpot portal is being removed: try again")


class TokenUnreadableError(UnavailableError):
    """A stored token is encrypted with a key that this process has not been given; with the key it works again."""

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
    """HubSpot, or the way to it, failed.

    `status` is HubSpot's HTTP status (None: no answer came), `body` its decoded JSON body or its text.
    `correlation_id` is what HubSpot's support asks for, `quota` what HubSpot said about the account's limit, `details`
    what a client can do about it.
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
        """Say as well what HubSpot's support asks for."""
        answer: dict[str, JsonValue] = {"hubspot_status": self.status, "hubspot_correlation_id": self.correlation_id}
        return super().log_fields | answer


class RetryableHubSpotError(HubSpotError):
    """The same call may succeed later; `retry_after_s` is HubSpot's own advice where it gave one."""


class RateLimitedError(RetryableHubSpotError):
    """HubSpot answered 429: the account's quota is used up for now."""


class DailyLimitError(RateLimitedError):
    """The quota of the account's day is used up; when that day turns, HubSpot does not tell."""


class AnswerTooLargeError(RetryableHubSpotError):
    """HubSpot's answer takes more memory than one may, or than all that are being read at once may together."""


class TimedOutError(RetryableHubSpotError):
    """HubSpot gave no whole answer in the time there is for one."""


class AddressTooLongError(RetryableHubSpotError):
    """HubSpot answered 414; a query of at most `longest_query` characters may work, where one page takes several."""

    def __init__(self, message: str, *, longest_query: int = 0, **answer: Any) -> None:  # noqa: ANN401 - HubSpotError's
        super().__init__(message, **answer)
        self.longest_query = longest_query


class CallAbandonedError(RetryableHubSpotError):
    """This worker stops, and has not waited for the answer: nothing is known of it, and nothing was wrong."""


class TokenEndpointGoneError(RetryableHubSpotError):
    """There is no token endpoint where HUBSPOT_TOKEN_ENDPOINT says, nor at its other version."""


class TokenRefusedError(HubSpotError):
    """HubSpot answered 401 to the access token."""


class ReconnectRequiredError(HubSpotError):
    """HubSpot refused the refresh token; it stays refused until the user connects the account again."""

    code = "reconnect_required"


class FeedUnusableError(HubSpotError):
    """HubSpot's feed of what has changed lately is not there, or cannot be complete; the list of all records is."""


class FatalHubSpotError(HubSpotError):
    """HubSpot refused the call, and would refuse it again."""


class CodeRefusedError(FatalHubSpotError):
    """HubSpot refused an authorisation code: it was used, is too old, or was given out for another address."""

    code = InvalidRequestError.code


class MissingScopesError(FatalHubSpotError):
    """The connection was made without a scope that HubSpot asks for; a new connection has it, if the user agrees."""

    code = "missing_scopes"


class ListGoneError(FatalHubSpotError):
    """HubSpot answered 404 or 410 for a legacy list, never for a feed: the dated API may have what was asked for."""


class CursorLostError(ExportError):
    """The list has to be read from its beginning: nothing tells the API that is asked how far another one was read."""

    code = "cursor_lost"


class CursorStuckError(FatalHubSpotError):
    """HubSpot says that there is more but does not say where, or sends us back to where we were."""

    code = "cursor_stuck"
