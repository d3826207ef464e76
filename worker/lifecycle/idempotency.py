"""Requests that carry an Idempotency-Key, so that repeating one does nothing twice: pure values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedRequest:
    """A request under its key, which belongs to one user of one account; the fingerprint is what was asked."""

    account_id: str
    owner: str
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRequest:
    """What is kept of the first request under a key: the id that its job was given, and whether that was stored."""

    job_id: str
    fingerprint: str
    is_accepted: bool
