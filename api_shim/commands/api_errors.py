"""What the API refused or did not answer, each in one line."""

from __future__ import annotations

from collections.abc import Mapping

import click
import httpx

from api_shim.commands.answers import Refusal, read_refusal


class ApiError(click.ClickException):
    """The API has refused the request; repeating it would not help."""


class AwayError(ApiError):
    """There was no answer, or one that asks to try later."""


class LostAnswerError(AwayError):
    """The request was sent but its answer was lost: it may have taken effect."""


_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout)
_MAY_PASS: Mapping[int, type[ApiError]] = {
    429: AwayError,
    502: LostAnswerError,  # a proxy's
    503: AwayError,
    504: LostAnswerError,
}


def refused(answer: httpx.Response) -> ApiError:
    refusal = read_refusal(answer.content) or Refusal(message=answer.reason_phrase or "no reason given")
    kind = _MAY_PASS.get(answer.status_code, ApiError)
    return kind(_one_line(answer.status_code, refusal))


def unanswered(url: str, error: httpx.HTTPError) -> AwayError:
    kind = AwayError if isinstance(error, _NOT_SENT) else LostAnswerError
    return kind(f"{url}: {' '.join(str(error).split()) or type(error).__name__}")


def _one_line(status: int, refusal: Refusal) -> str:
    code = f" ({refusal.code})" if refusal.code else ""
    details = f": {refusal.details}" if refusal.details else ""
    return " ".join(f"{status} {refusal.message}{code}{details}".split())
