"""One HTTP request and one answer as values, and how an answer may end on the wire."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import parse_qsl

import msgspec

TYPE_JSON = "application/json;charset=utf-8"


class Ending(Enum):
    """How the bytes of an answer end on the wire; everything but COMPLETE is a fault that a client has to survive."""

    COMPLETE = "complete"
    RESET = "reset"
    """The connection is reset before a single byte of the answer."""
    SILENT = "silent"
    """No answer ever comes and the connection stays open, until the client's time-out."""


@dataclass(frozen=True)
class Request:
    """One request; `headers` has lower-case names, `query` keeps order and repeated names, `target` is as sent."""

    method: str
    target: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def of(cls, method: str, target: str, *, headers: Mapping[str, str] | None = None, body: bytes = b"") -> "Request":
        """Read path and query from `target`, such as `/deals/v1/deal/paged?limit=5`; header names in any case."""
        path, _, query = target.partition("?")
        return cls(
            method=method.upper(),
            target=target,
            path=path,
            query=tuple(parse_qsl(query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in (headers or {}).items()},
            body=body,
        )

    def first(self, name: str) -> str | None:
        """Value of the first query parameter of that name; None when it was not sent."""
        return next((value for key, value in self.query if key == name), None)

    def every(self, *names: str) -> Iterator[str]:
        """All values of the query parameters of these names, in the order they were sent."""
        return (value for key, value in self.query if key in names)

    def form(self) -> dict[str, str]:
        """Fields of an application/x-www-form-urlencoded body; empty for any other content type."""
        if not self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return {}
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass(frozen=True)
class Answer:
    """Status, headers (lower-case names) and body, `delay_s` seconds late.

    `interim` are statuses that come before it, each in a head of its own. With `trickle_s` the body comes in so many
    `pieces`, over so many seconds. With `cut_after`, content-length promises the whole body, and the connection closes
    after that many bytes of it.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": TYPE_JSON})
    delay_s: float = 0.0
    interim: tuple[int, ...] = ()
    pieces: int = 1
    trickle_s: float = 0.0
    cut_after: int | None = None
    ending: Ending = Ending.COMPLETE

    @classmethod
    def json(cls, status: int, value: object, *, headers: Mapping[str, str] | None = None) -> "Answer":
        """Answer with `value` as JSON; `headers` come on top of the content type."""
        return cls(status, msgspec.json.encode(value), {"content-type": TYPE_JSON, **(headers or {})})
