"""Requests that carry an Idempotency-Key; pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedRequest:
    """A request with its key, which belongs to one user of one account, and a fingerprint of its content."""

    account_id: str
    owner: str
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRequest:
    """The first request under a key: the id of its job, its fingerprint, and whether that job was stored."""

    job_id: str
    fingerprint: str
    is_accepted: bool
