"""The temporary folder: private, gone at the end, and no leftovers for long."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path

import pytest

from sandbox.state_folder import temporary_state


@pytest.fixture(autouse=True)
def parent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_is_private_and_gone_at_the_end() -> None:
    with temporary_state() as folder:
        (folder / "data").mkdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    assert not folder.exists()


def test_what_a_killed_run_left_is_removed_by_the_next(parent: Path) -> None:
    leftover = parent / "hubspot-export-sandbox-abcd1234"
    (leftover / "data").mkdir(parents=True)

    with temporary_state() as folder:
        assert list(parent.iterdir()) == [folder]


def test_a_run_that_still_goes_on_is_left_alone() -> None:
    with temporary_state() as first, temporary_state() as second:
        assert first != second
        assert first.exists()


def test_a_link_in_the_place_of_a_leftover_is_not_followed(parent: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (parent / "hubspot-export-sandbox-abcd1234").symlink_to(elsewhere)

    with temporary_state():
        assert elsewhere.exists()
