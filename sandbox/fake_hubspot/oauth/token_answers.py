"""Every form of the token endpoint's answer that has been observed or may occur."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import msgspec

from sandbox.fake_hubspot.messages import Answer

TokenShape = Literal[
    "documented",
    "recorded",
    "life_as_text",
    "life_as_decimal_text",
    "life_as_float",
    "life_null",
    "life_missing",
    "life_zero",
    "life_negative",
    "life_absurd",
    "life_odd",
    "camel_case",
    "refresh_token_missing",
    "refresh_token_null",
    "refresh_token_empty",
    "type_odd",
    "fields_odd",
    "byte_order_mark",
    "around",
    "error",
    "empty",
    "html",
]
TOKEN_SHAPES: tuple[TokenShape, ...] = get_args(TokenShape)
WITHOUT_REFRESH_TOKEN = frozenset({"refresh_token_missing", "refresh_token_null", "refresh_token_empty"})
"""Forms without a new refresh token: the one in the request stays valid, even if the account rotates."""
WITHOUT_TOKEN = frozenset({"error", "empty", "html"})
"""Forms with status 200 that contain no token; none is issued."""

_Fields = dict[str, Any]
_OLD = ("token_type", "refresh_token", "access_token", "expires_in")  # recorded from version 1 before 2024
_ODD = b'"hub_id":"?","user_id":[],"scopes":{"a":1},"user":null,"id_token":NaN,"note":"a\nb"'


def shaped(fields: _Fields, shape: TokenShape) -> Answer:
    """Return the answer with these fields in the given form."""
    if shape in WITHOUT_TOKEN:
        return _WITHOUT[shape]
    change, rewrite = _CHANGES.get(shape), _BYTES.get(shape)
    body = msgspec.json.encode(change(fields) if change is not None else fields)
    return Answer(200, rewrite(body) if rewrite is not None else body)


def _with(**changes: object) -> Callable[[_Fields], _Fields]:
    return lambda fields: {**fields, **changes}


def _without(*names: str) -> Callable[[_Fields], _Fields]:
    return lambda fields: {name: value for name, value in fields.items() if name not in names}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return "".join([first, *(other.capitalize() for other in others)])


_CHANGES: Mapping[str, Callable[[_Fields], _Fields]] = {
    "recorded": lambda fields: {name: fields[name] for name in _OLD},
    "life_as_text": lambda fields: {**fields, "expires_in": str(fields["expires_in"])},
    "life_as_decimal_text": lambda fields: {**fields, "expires_in": f"{fields['expires_in']}.0"},
    "life_as_float": lambda fields: {**fields, "expires_in": float(fields["expires_in"])},
    "life_null": _with(expires_in=None),
    "life_missing": _without("expires_in"),
    "life_zero": _with(expires_in=0),
    "life_negative": _with(expires_in=-1),
    "life_absurd": _with(expires_in=10**15),
    "life_odd": _with(expires_in={"seconds": 1800}),
    "camel_case": lambda fields: {_camel(name): value for name, value in fields.items()},
    "refresh_token_missing": _without("refresh_token"),
    "refresh_token_null": _with(refresh_token=None),
    "refresh_token_empty": _with(refresh_token=""),
    "type_odd": _with(token_type=7, token_use=["access"]),
    "fields_odd": _without("hub_id", "user_id", "scopes"),
}
_BYTES: Mapping[str, Callable[[bytes], bytes]] = {
    "fields_odd": lambda body: body[:-1] + b"," + _ODD + b"}",
    "byte_order_mark": lambda body: b"\xef\xbb\xbf" + body,
    "around": lambda body: b"\r\n " + body + b"\n\x00",
}
_WITHOUT: Mapping[str, Answer] = {
    "error": Answer.json(200, {"status": "error", "message": "backend gave up", "correlationId": "c-77"}),
    "empty": Answer.json(200, {}),
    "html": Answer(200, b"<html><body>Sign in to the network</body></html>", {"content-type": "text/html"}),
}
