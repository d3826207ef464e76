"""The certificate files of a TLS server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    """Paths of PEM files; only the owner can read the key."""

    certificate: Path
    key: Path
