"""Admission of data calls: credentials, then rate limits, then scopes."""

from collections.abc import Collection, Mapping

from sandbox.fake_hubspot import errors
from sandbox.fake_hubspot.account import Account
from sandbox.fake_hubspot.call import Call
from sandbox.fake_hubspot.messages import Answer
from sandbox.fake_hubspot.records.shape import RecordType
from sandbox.fake_hubspot.scopes import sensitive_values_of

_SECONDS_IN_BURST_HEADER = 10
_SEARCHES_A_SECOND = 5
_SECOND = 1.0


def refuse(call: Call, scopes: tuple[str, ...]) -> Answer | None:
    """Return the refusal, or None after counting the call as admitted; any one of the scopes is enough."""
    refuse_rate = _refuse_search_rate if call.route is not None and call.route.is_search else _refuse_rate
    return _refuse_token(call) or refuse_rate(call) or _refuse_scopes(call, scopes)


def refuse_sensitive(call: Call, record_type: RecordType, names: Collection[str]) -> Answer | None:
    """Return the refusal of a call that names sensitive properties without the scope for their values."""
    settings = call.owner.settings
    for by_type, highly in ((settings.sensitive_properties, False), (settings.highly_sensitive_properties, True)):
        if set(by_type.get(record_type.name, ())).intersection(names):
            scopes = sensitive_values_of(record_type, highly=highly)
            if not set(settings.scopes).intersection(scopes):
                return errors.missing_scopes(call, scopes)
    return None


def rate_headers(account: Account, *, at: float) -> Mapping[str, str]:
    """Return the rate-limit headers; none without a burst limit. OAuth apps get no daily ones."""
    limit, interval_s = account.settings.rate_limit, account.settings.rate_interval_s
    if not limit:
        return {}
    secondly = max(1, limit // _SECONDS_IN_BURST_HEADER)
    return {
        "x-hubspot-ratelimit-max": str(limit),
        "x-hubspot-ratelimit-remaining": str(max(0, limit - account.meter.recent(at=at, interval_s=interval_s))),
        "x-hubspot-ratelimit-interval-milliseconds": str(int(interval_s * 1000)),
        "x-hubspot-ratelimit-secondly": str(secondly),
        "x-hubspot-ratelimit-secondly-remaining": str(max(0, secondly - account.meter.last_second(at=at))),
    }


def _refuse_token(call: Call) -> Answer | None:
    if call.token is None or call.account is None:
        return errors.unauthenticated(call)
    if call.at - call.token.issued_at < call.account.settings.fresh_token_refused_s:
        return errors.unauthenticated(call)
    expires_at = call.token.expires_at
    return errors.expired(call, expires_at=expires_at) if call.at >= expires_at else None


def _refuse_rate(call: Call) -> Answer | None:
    account = call.owner
    settings, meter = account.settings, account.meter
    if settings.daily_limit and meter.today(at=call.at) >= settings.daily_limit:
        meter.refused += 1
        return errors.daily(call)
    if settings.rate_limit and meter.recent(at=call.at, interval_s=settings.rate_interval_s) >= settings.rate_limit:
        meter.refused += 1
        return errors.ten_secondly(call)
    meter.admit(at=call.at, interval_s=settings.rate_interval_s)
    return None


def _refuse_search_rate(call: Call) -> Answer | None:
    meter = call.owner.search_meter
    if meter.recent(at=call.at, interval_s=_SECOND) >= _SEARCHES_A_SECOND:
        meter.refused += 1
        return errors.secondly(call)
    meter.admit(at=call.at, interval_s=_SECOND)
    return None


def _refuse_scopes(call: Call, scopes: tuple[str, ...]) -> Answer | None:
    granted, needs = set(call.owner.settings.scopes), call.route.needs if call.route else ()
    if not granted.intersection(scopes):
        return errors.missing_scopes(call, scopes)
    return None if granted.issuperset(needs) else errors.missing_scopes(call, needs)
