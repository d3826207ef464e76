"""HTTP requests and answers as values, including how an answer fails on the wire."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import parse_qsl

import msgspec

TYPE_JSON = "application/json;charset=utf-8"


class Ending(Enum):
    """How an answer ends on the wire; everything but COMPLETE is a fault."""

    COMPLETE = "complete"
    RESET = "reset"
    """The connection is reset before the first byte of the answer."""
    SILENT = "silent"
    """No answer is sent and the connection stays open until the client's timeout."""


@dataclass(frozen=True)
class Request:
    """A request; header names in lower case, `query` keeps order and repetitions, `target` is verbatim."""

    method: str
    target: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def of(cls, method: str, target: str, *, headers: Mapping[str, str] | None = None, body: bytes = b"") -> "Request":
        """Parse path and query out of `target`, such as `/deals/v1/deal/paged?limit=5`."""
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
        """Return the value of the first query parameter of that name, or None."""
        return next((value for key, value in self.query if key == name), None)

    def every(self, *names: str) -> Iterator[str]:
        """Return the values of all query parameters of these names, in order."""
        return (value for key, value in self.query if key in names)

    def form(self) -> dict[str, str]:
        """Return the fields of an application/x-www-form-urlencoded body; {} for other content types."""
        if not self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return {}
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass(frozen=True)
class Answer:
    """Status, headers (lower-case names) and body, sent after `delay_s` seconds.

    `interim` are 1xx statuses that are sent before. With `trickle_s` the body is sent in `pieces` over so many seconds.
    With `cut_after`, content-length announces the whole body, and the connection closes after that many bytes of it.
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
        """Return an answer with `value` as JSON; `headers` are added to the content type."""
        return cls(status, msgspec.json.encode(value), {"content-type": TYPE_JSON, **(headers or {})})
