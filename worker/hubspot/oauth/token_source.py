"""TokenProvider: access tokens that work now; each is renewed by one refresher, everyone else waits for it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import structlog
from pydantic import SecretStr

from worker.accounts.connection import Fingerprint, Refusal
from worker.accounts.interfaces import ConnectionStore, RenewalLeases, TokenStore
from worker.accounts.token import RenewalLease, RenewedToken, Token
from worker.errors import (
    ExportError,
    ReconnectRequiredError,
    RetryableHubSpotError,
    StoreUnavailableError,
    TokenNotFoundError,
    TokenUnreadableError,
)
from worker.hubspot.oauth.grants import Grant
from worker.hubspot.oauth.keyed_lock import KeyedLock
from worker.hubspot.oauth.token_endpoint import Renewer
from worker.hubspot.oauth.unwritten_tokens import UnwrittenTokens, Written
from worker.hubspot.transport import LONGEST_CALL_S

_log = structlog.get_logger()

LEASE_S = 15.0  # what a killed refresher costs; one that lives renews its lease, for as long as a renewal may take
_BEATS_A_LEASE = 3  # two may fail before the lease does
_LONGEST_RENEWAL_S = LONGEST_CALL_S + 30.0  # it reads before its call and writes after it
_LOOK_EVERY_S = 0.15
_LONGEST_WAIT_S = 5.0  # for someone else's renewal; after that the job waits in the database, not in a worker
_LOOK_AGAIN_S = 1.0
_BEFORE_ASKING_S, _AFTER_A_REFUSAL_S = 1.5, 10.0  # for a holder before, which writes as soon as MongoDB is back
_BETWEEN_REFUSALS_S = 60.0  # that a 401 has a token renewed: one that was renewed may meet 401 for some seconds
_UNTIL_A_KEY_IS_BACK_S = 60.0
_REFUSAL_HOLDS_S = 3600.0  # HubSpot may have been wrong, and nobody would ever know if nobody asked
_BAD_REQUEST = 400


class TokenProvider:
    """Reads the stored token before every call, since other programs and workers renew it as well.

    The right to renew is a lease in the database. Of the threads of one process only one at a time asks for it.
    A token that HubSpot has refused is not sent again within the hour, unless someone retries a job or stores another.
    A refresh token that HubSpot has replaced is in `unwritten` until it is stored; the lease is held as long.
    """

    def __init__(  # noqa: PLR0913 - everything it works with, each by name
        self,
        *,
        store: TokenStore,
        leases: RenewalLeases,
        endpoint: Renewer,
        client_id: str,
        connections: ConnectionStore,
        unwritten: UnwrittenTokens,
        clock: Callable[[], datetime],
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._leases = leases
        self._endpoint = endpoint
        self._client_id = client_id
        self._connections = connections
        self._unwritten = unwritten
        self._clock = clock
        self._pause = pause
        self._turns = KeyedLock()

    def get(self, account_id: str, owner: str, *, rejected: SecretStr | None = None) -> SecretStr:
        """Return the stored access token, or a renewed one when it is about to expire or was refused by HubSpot.

        The latter happens once a minute at most, over all workers: in between the token is given as it is.
        """
        kept = self._unwritten.find(account_id, owner)
        usable = self._usable(kept or self._find(account_id, owner), rejected)
        if usable is not None:
            return usable
        give_up_at = time.monotonic() + _LONGEST_WAIT_S
        with self._turns.wait((account_id, owner), within_s=_LONGEST_WAIT_S) as is_ours:
            if is_ours:
                left_s = max(give_up_at - time.monotonic(), _LOOK_EVERY_S)
                return self._renew_or_wait(account_id, owner, rejected, within_s=left_s)
        raise _others_take_long()

    def _renew_or_wait(self, account_id: str, owner: str, rejected: SecretStr | None, *, within_s: float) -> SecretStr:
        for _ in range(math.ceil(within_s / _LOOK_EVERY_S)):
            usable = self._usable(self._find(account_id, owner), rejected)
            if usable is not None:
                return usable
            lease = self._leases.acquire(account_id, owner, lease_s=LEASE_S)
            if lease is not None:
                return self._renew_under(lease, rejected)
            self._pause(_LOOK_EVERY_S)
        raise _others_take_long()

    def _renew_under(self, lease: RenewalLease, rejected: SecretStr | None) -> SecretStr:
        is_over = threading.Event()
        threading.Thread(target=self._keep, args=(lease, is_over), name="renewal", daemon=True).start()
        try:
            return self._renew_unless_done(lease, rejected)
        finally:
            self._unwritten.when_over(lease.account_id, lease.owner, lambda: self._end(lease, is_over))

    def _keep(self, lease: RenewalLease, is_over: threading.Event) -> None:
        """Keep the lease alive while HubSpot or MongoDB takes its time; what fails is tried again at the next beat."""
        give_up_at = time.monotonic() + _LONGEST_RENEWAL_S
        while not is_over.wait(LEASE_S / _BEATS_A_LEASE):
            if time.monotonic() >= give_up_at and self._unwritten.find(lease.account_id, lease.owner) is None:
                return
            try:
                self._leases.extend(lease, lease_s=LEASE_S)
            except StoreUnavailableError:
                _log.warning("renewal_lease_not_extended")

    def _end(self, lease: RenewalLease, is_over: threading.Event) -> None:
        is_over.set()
        self._give_back(lease)

    def _give_back(self, lease: RenewalLease) -> None:
        """Release the lease; where that fails others can renew as soon as it has lapsed."""
        try:
            self._leases.release(lease)
        except StoreUnavailableError:
            _log.warning("renewal_lease_not_released")

    def _renew_unless_done(self, lease: RenewalLease, rejected: SecretStr | None) -> SecretStr:
        """Renew, unless someone else has by now: another worker, or the user who connected anew."""
        account_id, owner = lease.account_id, lease.owner
        self._unwritten.write_now(account_id, owner)
        token = self._find(account_id, owner)
        if lease.is_taken_over and self._usable(token, rejected) is None:
            token = self._replaced(token, within_s=_BEFORE_ASKING_S) or token
        usable = self._usable(token, rejected)
        if usable is not None:
            return usable
        self._stop_at_refusal(token)
        live = self._usable(token, None)
        right = self._right_to_renew_refused(lease) if live is not None else None
        if live is not None and right is None:
            return live
        try:
            return self._renew(token)
        except ReconnectRequiredError as error:
            if right is not None:
                self._give_back(right)  # nothing was renewed, and another token may be stored at any time
            present = self._replaced(token, within_s=_AFTER_A_REFUSAL_S if lease.is_taken_over else 0.0)
            if present is None:
                self._note_refusal(token, error)
                raise
        except ExportError:
            if right is not None:
                self._give_back(right)  # nothing was renewed
            raise
        return self._usable(present, rejected) or self._renew(present)

    def _right_to_renew_refused(self, lease: RenewalLease) -> RenewalLease | None:
        """Take the lease for renewing a token that is still valid; once it was used it is left to lapse."""
        return self._leases.acquire(lease.account_id, lease.owner, lease_s=_BETWEEN_REFUSALS_S, for_refused=True)

    def _replaced(self, token: Token, *, within_s: float) -> Token | None:
        """Return the token that has replaced this one, or does so soon.

        Who held the lease before may have got one and not been able to store it: where HubSpot replaces refresh tokens,
        the stored one is obsolete then, and must not be taken for a connection that has ended.
        """
        for left in reversed(range(math.ceil(within_s / _LOOK_EVERY_S) + 1)):
            present = self._find(token.account_id, token.owner)
            if Fingerprint.of(present) != Fingerprint.of(token):
                return present
            if left:
                self._pause(_LOOK_EVERY_S)
        return None

    def _stop_at_refusal(self, token: Token) -> None:
        """Raise ReconnectRequiredError where this app was told within the hour that exactly this token is refused."""
        known = self._connections.find(token.account_id, token.owner)
        refusal = known.about(Fingerprint.of(token)).refusal if known is not None else None
        if refusal is None or refusal.asked_at is None or refusal.client_id != self._client_id:
            return
        if (self._clock() - refusal.asked_at).total_seconds() < _REFUSAL_HOLDS_S:
            details = f"HubSpot has refused the refresh token since {refusal.since:%Y-%m-%dT%H:%M:%SZ}: connect again"
            raise ReconnectRequiredError(refusal.reason, status=_BAD_REQUEST, details=details)

    def _note_refusal(self, token: Token, error: ReconnectRequiredError) -> None:
        """Store that it was refused; where that fails, the next one who needs the token finds out again."""
        at = self._clock()
        refusal = Refusal(
            reason=error.message,
            since=at,
            asked_at=at,
            token=Fingerprint.of(token).token,
            client_id=self._client_id,
        )
        _log.warning("reconnect_required", account_id=token.account_id, owner=token.owner, reason=error.message)
        with suppress(StoreUnavailableError):
            self._connections.refuse(token.account_id, token.owner, refusal)

    def _find(self, account_id: str, owner: str) -> Token:
        try:
            token = self._store.find(account_id, owner)
        except TokenUnreadableError as error:  # the job waits: the operator puts the key back, or connects anew
            raise RetryableHubSpotError(error.message, retry_after_s=_UNTIL_A_KEY_IS_BACK_S) from error
        if token is None:
            raise TokenNotFoundError
        return token

    def _usable(self, token: Token, rejected: SecretStr | None) -> SecretStr | None:
        usable = token.usable_access_token(at=self._clock())
        return usable if usable != rejected else None

    def _renew(self, token: Token) -> SecretStr:
        if token.refresh_token is None:
            raise ReconnectRequiredError("No refresh token is stored for this account")
        generated_at = self._clock()  # before the call: the life that HubSpot counts cannot begin earlier
        grant = self._endpoint.renew(token.refresh_token)
        renewed = RenewedToken(
            access_token=grant.access_token,
            refresh_token=grant.refresh_token or token.refresh_token,
            expires_in_s=grant.expires_in_s,
            generated_at=generated_at,
        )
        match self._write(token, renewed):
            case Written.WORTHLESS:
                _log.info("token_replaced_meanwhile")
                return self._usable(self._find(token.account_id, token.owner), None) or renewed.access_token
            case Written.YES:
                self._note_success(token, renewed, grant)
        _log.info("token_renewed", expires_in_s=grant.expires_in_s)
        return renewed.access_token

    def _write(self, token: Token, renewed: RenewedToken) -> Written:
        """Write a renewal: one that brought a new refresh token for as long as it takes, any other once.

        Of the latter nothing is lost but a call, and a late write might replace a still newer one.
        """
        if renewed.refresh_token != token.refresh_token:
            return self._unwritten.write(renewed.replacing(token), lambda: self._save(token, renewed))
        try:
            return Written.YES if self._store.save_renewed(token, renewed) else Written.WORTHLESS
        except StoreUnavailableError:
            _log.warning("renewal_not_written")
            return Written.NOT_YET

    def _save(self, token: Token, renewed: RenewedToken) -> bool:
        """Write what HubSpot gave; a write whose answer was lost may have been done already."""
        if self._store.save_renewed(token, renewed):
            return True
        try:
            present = self._store.find(token.account_id, token.owner)
        except TokenUnreadableError:  # what this process has written it can read
            return False
        return present is not None and present.refresh_token == renewed.refresh_token

    def _note_success(self, token: Token, renewed: RenewedToken, grant: Grant) -> None:
        """Store what HubSpot said besides; a failure to store it does not withhold the token."""
        account_id, owner, facts = token.account_id, token.owner, grant.facts
        try:
            if facts.scopes is None:
                self._connections.accept(account_id, owner)
            else:
                present = Fingerprint.of(renewed)
                self._connections.learn(account_id, owner, facts, fingerprint=present, at=renewed.generated_at)
        except StoreUnavailableError:
            _log.warning("renewal_not_noted")


def _others_take_long() -> RetryableHubSpotError:
    return RetryableHubSpotError("HubSpot's token endpoint keeps others waiting", retry_after_s=_LOOK_AGAIN_S)
