"""The Prefer header (RFC 7240): `respond-async` and `wait=N`."""

from __future__ import annotations

from dataclasses import dataclass

from worker.errors import InvalidRequestError


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """What the client prefers; `wait_s` is None when it did not say."""

    respond_async: bool = False
    wait_s: int | None = None

    @property
    def is_for_no_wait(self) -> bool:
        """Whether to answer at once. With a wait besides, the RFC reads respond-async as: if it takes longer."""
        return self.respond_async and self.wait_s is None

    def wait_within(self, longest_s: float) -> float:
        """Give the seconds to wait: as many as the client said, but no longer than `longest_s`."""
        return longest_s if self.wait_s is None else min(self.wait_s, longest_s)

    def applied(self, *, longest_s: float) -> str:
        """Give the value of Preference-Applied, which a longer wait than `longest_s` is not part of; may be empty."""
        words = ["respond-async"] if self.respond_async else []
        return ", ".join([*words, *([f"wait={self.wait_s}"] if self.wait_s == self.wait_within(longest_s) else [])])


def read_preferences(values: list[str]) -> Preferences:
    """Read all Prefer headers of a request. Unknown preferences are ignored, as the RFC asks; the first of two wins.

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
    if not (value.isascii() and value.isdigit() and len(value) <= 9):  # noqa: PLR2004 - more digits are no waiting time
        raise InvalidRequestError("Prefer: wait must be a whole number of seconds")
    return int(value)
