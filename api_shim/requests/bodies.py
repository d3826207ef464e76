"""JSON bodies: parsed into models, and documented by the same models."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from api_shim.requests.errors import UnsupportedTypeError, complaints
from api_shim.requests.schemas import schema_of
from api_shim.requests.type_lists import ENABLED, UNSUPPORTED_TYPE
from worker.errors import InvalidRequestError
from worker.records.enabled_types import EnabledTypes

_EMPTY = frozenset({b"", b"null"})

Body = TypeVar("Body", bound=BaseModel)


def read_body_as(model: type[Body], raw: bytes, *, enabled: EnabledTypes | None = None) -> Body:
    """Parse a body; an absent one counts as `{}`. Raises InvalidRequestError, UnsupportedTypeError."""
    try:
        return model.model_validate_json(b"{}" if raw.strip() in _EMPTY else raw, context={ENABLED: enabled})
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
    if any(item["type"] == UNSUPPORTED_TYPE for item in found):
        raise UnsupportedTypeError(enabled)
    raise InvalidRequestError(complaints(found))


def body_schema(model: type[BaseModel], *, required: bool = False) -> dict[str, Any]:
    """Return the OpenAPI description of a body that the route parses itself."""
    schema = {**schema_of(model), **({} if required else {"type": ["object", "null"]})}
    content = {"application/json": {"schema": schema}}
    return {"requestBody": {"content": content, "required": required}}
