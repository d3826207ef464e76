"""Virtual environments for other people's programs, separate from the product's own."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / ".bench"


class NotInstalledError(Exception):
    """A program could not be installed; the text is pip's last line."""


def python_with(name: str, *requirements: str) -> Path:
    """Return a Python with these exact requirements; installs them the first time. Raises NotInstalledError."""
    requirement = " ".join(requirements)
    place = FOLDER / name
    python, mark = place / "bin" / "python", place / "installed"
    if not (mark.exists() and mark.read_text() == requirement):
        venv.create(place, clear=True, with_pip=True, symlinks=sys.platform != "win32")
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise NotInstalledError((done.stderr.strip().splitlines() or ["pip gave no reason"])[-1])
        mark.write_text(requirement)
    return python
