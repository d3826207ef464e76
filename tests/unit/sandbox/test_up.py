"""What `python -m sandbox up` leaves for whoever wants to try the product by hand."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

from sandbox.commands.up import write_settings


def test_a_shell_reads_the_settings_as_they_are(tmp_path: Path) -> None:
    settings = {"MONGODB_URI": "mongodb://127.0.0.1:1/?replicaSet=rs0&w=majority", "SECRET": "it's $HOME `x`"}

    file = write_settings(tmp_path, settings)

    read = subprocess.run(
        ["/bin/sh", "-c", '. "$0"; printf "%s\\n" "$MONGODB_URI" "$SECRET"', str(file)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert read.stdout.splitlines() == list(settings.values())


def test_the_settings_are_for_their_owner_alone(tmp_path: Path) -> None:
    file = write_settings(tmp_path, {"SECRET": "x"})

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
