"""The Prefer header (RFC 7240): `respond-async` and `wait=N`."""

from __future__ import annotations

from dataclasses import dataclass

from worker.errors import InvalidRequestError


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """What the client prefers; `wait_s` is None where it states no wait."""

    respond_async: bool = False
    wait_s: int | None = None

    @property
    def is_for_no_wait(self) -> bool:
        """Whether to answer at once. With a wait as well, the RFC means: asynchronously after that wait."""
        return self.respond_async and self.wait_s is None

    def wait_within(self, longest_s: float) -> float:
        """Return the seconds to wait: the client's number, at most `longest_s`."""
        return longest_s if self.wait_s is None else min(self.wait_s, longest_s)

    def applied(self, *, longest_s: float) -> str:
        """Return the value of Preference-Applied, without a wait that is longer than `longest_s`; may be empty."""
        words = ["respond-async"] if self.respond_async else []
        return ", ".join([*words, *([f"wait={self.wait_s}"] if self.wait_s == self.wait_within(longest_s) else [])])


def read_preferences(values: list[str]) -> Preferences:
    """Parse the Prefer headers of a request. As the RFC requires, unknown preferences are ignored and the first wins.

    Raises InvalidRequestError when `wait` is not a number of seconds.
    """
    found: dict[str, str] = {}
    for preference in ",".join(values).split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        found.setdefault(name.strip().lower(), value.strip().strip('"'))
    return Preferences(respond_async="respond-async" in found, wait_s=_seconds(found.get("wait")))


def _seconds(value: str | None) -> int | None:
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= 9):  # noqa: PLR2004 - nobody waits for longer
        raise InvalidRequestError("Prefer: wait must be a whole number of seconds")
    return int(value)
