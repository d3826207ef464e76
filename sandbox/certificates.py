"""Certificate: what a server shows, in files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    """Files in PEM form; the key is readable by its owner alone."""

    certificate: Path
    key: Path
