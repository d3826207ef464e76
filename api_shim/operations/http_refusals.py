"""Refusals of requests that do not reach the application, in the documented body."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus

MOST_TARGET_BYTES = 32 * 1024
MOST_HEADER_BYTES = 32 * 1024
MOST_HEADERS = 100
WITHIN_S = 10.0

_RETRY_AFTER = b"retry-after: 2\r\n"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A status, and a message for the client."""

    status: int
    message: str
    code: str = "invalid_request"

    @property
    def answer(self) -> bytes:
        """The whole HTTP answer, after which the connection closes."""
        content = {"success": False, "errno": self.status, "message": self.message, "code": self.code}
        body = json.dumps(content).encode()
        head = b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\nx-content-type-options: nosniff\r\n" % (
            self.status,
            HTTPStatus(self.status).phrase.encode(),
        )
        advice = _RETRY_AFTER if self.status == HTTPStatus.SERVICE_UNAVAILABLE else b""
        return head + advice + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body


NOT_HTTP = Refusal(400, "The request is not HTTP")
LONG_TARGET = Refusal(414, f"target: must be at most {MOST_TARGET_BYTES} bytes")
LARGE_HEADERS = Refusal(431, f"headers: must be at most {MOST_HEADER_BYTES} bytes and {MOST_HEADERS} fields in all")
UPGRADE_WITH_BODY = Refusal(400, "Upgrade: is not supported with a body; send the request without that header")
LATE_HEAD = Refusal(408, f"headers: must arrive within {WITHIN_S:g} seconds")
NO_ROOM = Refusal(503, "This process has reached its limit of connections (MAX_CONNECTIONS)", "unavailable")
