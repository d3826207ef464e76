"""gzip for clients that accept it; identical pages are compressed once."""

import gzip
from dataclasses import replace
from functools import lru_cache

from sandbox.fake_hubspot.messages import Answer, Request

_SMALLEST = 1_000


def compressed(answer: Answer, request: Request) -> Answer:
    """Compress the answer if the client accepts gzip and the body is large enough."""
    accepts = "gzip" in request.headers.get("accept-encoding", "")
    if not accepts or len(answer.body) < _SMALLEST or answer.cut_after is not None:
        return answer
    return replace(answer, body=_gzip(answer.body), headers={**answer.headers, "content-encoding": "gzip"})


@lru_cache(maxsize=128)
def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, compresslevel=5, mtime=0)
