"""HubSpot's error bodies, verbatim."""

from sandbox.fake_hubspot.call import Call
from sandbox.fake_hubspot.messages import Answer
from sandbox.fake_hubspot.records.renderer import iso

_HTML = {"content-type": "text/html;charset=utf-8"}
_NO_CREDENTIALS = (
    "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find more details "
    "at https://developers.hubspot.com/docs/methods/auth/oauth-overview"
)
_NO_SCOPES = (
    "This app hasn't been granted all required scopes to make this call. Read more about required scopes here: "
    "https://developers.hubspot.com/scopes."
)


def _error(call: Call, status: int, message: str, **more: object) -> Answer:
    body = {"status": "error", "message": message, "correlationId": call.correlation_id, **more}
    return Answer.json(status, body)


def html(status: int, title: str) -> Answer:
    """Return the HTML error page of the proxies in front of HubSpot."""
    page = f"<html>\n<head><title>{status} {title}</title></head>\n<body><h1>{status} {title}</h1></body>\n</html>\n"
    return Answer(status, page.encode(), _HTML)


def invalid_integer(call: Call, name: str, value: str) -> Answer:
    """400 for a parameter that must be an integer."""
    detail = {
        "message": f"{name} was not a valid integer: {value}",
        "code": "INVALID_INTEGER",
        "context": {"propertyName": [name]},
    }
    message = f"Invalid input: {name} was not a valid integer"
    return _error(call, 400, message, errors=[detail], category="VALIDATION_ERROR")


def limit_too_large(call: Call, limit: int, maximum: int) -> Answer:
    """400 of the dated API for a page size beyond its maximum."""
    message = f"Invalid limit {limit}: the limit must be between 1 and {maximum}"
    detail = {"message": message, "code": "INVALID_LIMIT", "in": "limit"}
    return _error(call, 400, message, errors=[detail], category="VALIDATION_ERROR")


def validation(call: Call, message: str) -> Answer:
    """400 of the dated API for an invalid body."""
    return _error(call, 400, message, category="VALIDATION_ERROR")


def unknown_object_type(call: Call, name: str) -> Answer:
    """400 of the dated API for an unknown object type."""
    return validation(call, f"Unable to infer object type from: {name}")


def expired(call: Call, *, expires_at: float) -> Answer:
    """401 for an access token past its lifetime."""
    seconds = max(0, int(call.at - expires_at))
    return _error(
        call,
        401,
        f"The OAuth token used to make this call expired {seconds} second(s) ago.",
        category="EXPIRED_AUTHENTICATION",
        context={"expire time": [iso(round(expires_at * 1000))]},
    )


def unauthenticated(call: Call) -> Answer:
    """401 for a missing or unknown access token."""
    body = {
        "status": "error",
        "message": _NO_CREDENTIALS,
        "correlationId": call.correlation_id,
        "category": "INVALID_AUTHENTICATION",
    }
    return Answer.json(401, body, headers={"x-hubspot-auth-failure": "401 Unauthorized"})


def missing_scopes(call: Call, scopes: tuple[str, ...]) -> Answer:
    """403 when the account has granted none of these scopes."""
    detail = {
        "message": "One or more of the following scopes are required.",
        "context": {"requiredGranularScopes": list(scopes)},
    }
    links = {"scopes": "https://developers.hubspot.com/scopes"}
    return _error(call, 403, _NO_SCOPES, errors=[detail], links=links, category="MISSING_SCOPES")


def not_found(call: Call) -> Answer:
    """404 as the legacy APIs word it."""
    return _error(call, 404, "resource not found", requestId=call.request_id)


def object_not_found(call: Call, message: str) -> Answer:
    """404 as the dated APIs word it."""
    return _error(call, 404, message, category="OBJECT_NOT_FOUND")


def method_not_allowed(call: Call) -> Answer:
    """405 for a known path with another method."""
    return _error(call, 405, "HTTP 405 Method Not Allowed", requestId=call.request_id)


def uri_too_long() -> Answer:
    """414, sent by a proxy and not by the API."""
    return html(414, "Request-URI Too Large")


def ten_secondly(call: Call) -> Answer:
    """429 of the burst limit, without Retry-After, as HubSpot sends it."""
    group = f"publicapi:api-calls-sandbox-ten-secondly:{call.hub_id}"
    return _limited(call, "ten_secondly_rolling", policyName="TEN_SECONDLY_ROLLING", groupName=group)


def secondly(call: Call) -> Answer:
    """429 of the limit per second, which HubSpot applies to the search API."""
    group = f"publicapi:hapikey-secondly:{call.hub_id}"
    return _limited(call, "secondly", groupName=group, policyName="SECONDLY", requestId=call.request_id)


def daily(call: Call) -> Answer:
    """429 of the limit per day."""
    return _limited(call, "daily", policyName="DAILY", requestId=call.request_id)


def _limited(call: Call, limit: str, **more: object) -> Answer:
    message = f"You have reached your {limit} limit."
    body = {"status": "error", "message": message, "errorType": "RATE_LIMIT", "correlationId": call.correlation_id}
    return Answer.json(429, {**body, **more})


def migrating(call: Call, *, retry_after_s: int) -> Answer:
    """477: the account is being moved to another data centre, which takes up to a day; Retry-After is in seconds."""
    body = {"status": "error", "message": "Migration in progress", "correlationId": call.correlation_id}
    return Answer.json(477, body, headers={"retry-after": str(retry_after_s)})


def redirect(call: Call) -> Answer:
    """307 to another path, as API gateways send it."""
    return Answer(307, b"", {"location": f"/elsewhere{call.request.target}"})


def locked(call: Call) -> Answer:
    """423: a lock that is held for two seconds."""
    return _error(call, 423, "Locked: the resource is being modified, retry in 2 seconds", category="LOCKED")


def internal(call: Call) -> Answer:
    """500 as the legacy APIs word it."""
    return _error(call, 500, "internal error", requestId=call.request_id)


def refused_grant(error: str, status: str, message: str) -> Answer:
    """400 of the token endpoints: the fields of RFC 6749 and HubSpot's own, with the same text."""
    return Answer.json(400, {"error": error, "error_description": message, "status": status, "message": message})
