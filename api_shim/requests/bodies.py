"""JSON bodies: read into what a route takes, and documented as it does."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from api_shim.requests.errors import UnsupportedTypeError, complaints
from api_shim.requests.schemas import UNSUPPORTED_TYPE, schema_of
from worker.errors import InvalidRequestError

_EMPTY = frozenset({b"", b"null"})

Body = TypeVar("Body", bound=BaseModel)


def read_body_as(model: type[Body], raw: bytes) -> Body:
    """Read a body; none at all is one that says nothing. Raises InvalidRequestError, UnsupportedTypeError."""
    try:
        return model.model_validate_json(b"{}" if raw.strip() in _EMPTY else raw)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
    if any(item["type"] == UNSUPPORTED_TYPE for item in found):
        raise UnsupportedTypeError
    raise InvalidRequestError(complaints(found))


def body_schema(model: type[BaseModel], *, required: bool = False) -> dict[str, Any]:
    """Give what the OpenAPI document says of a body that is read by hand."""
    schema = {**schema_of(model), **({} if required else {"type": ["object", "null"]})}
    content = {"application/json": {"schema": schema}}
    return {"requestBody": {"content": content, "required": required}}
