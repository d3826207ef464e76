"""A file has its name only when it is whole; what cannot be written is one line."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import click
import pytest

from api_shim.commands.output import open_output

FULL = Path("/dev/full")
full_device = pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")


def write(path: Path, *chunks: bytes) -> None:
    with open_output(path) as out:
        out.writelines(chunks)


def write_half(path: Path, failure: type[BaseException]) -> None:
    with open_output(path) as out:
        out.write(b"new")
        raise failure


def test_a_file_appears_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with open_output(path) as out:
        out.write(b"half")
        assert not path.exists()
    assert path.read_bytes() == b"half"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")
    path.chmod(0o644)
    write(path, b"data")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_what_was_cut_leaves_the_old_file_and_nothing_else(tmp_path: Path, failure: type[BaseException]) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")
    with pytest.raises(failure):
        write_half(path, failure)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_goes_on_pointing_where_it_does(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write(tmp_path / "link", b"data")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"data"


def test_a_folder_that_is_not_there_is_noticed_before_anything_else(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="No such file"), open_output(tmp_path / "no" / "out"):
        pytest.fail("the work began")


def test_a_device_keeps_its_name() -> None:
    write(Path(os.devnull), b"data")
    assert not Path(os.devnull).is_file()


@full_device
def test_a_full_disk_is_one_line() -> None:
    with pytest.raises(click.ClickException, match=r"^/dev/full: No space left on device$"):
        write(FULL, b"data")


@full_device
@pytest.mark.parametrize("size", [10, 1_000_000])
def test_a_full_disk_behind_stdout_is_one_line(size: int) -> None:
    code = f"""
import click
from api_shim.commands.output import open_output
@click.command()
def command():
    with open_output(None) as out:
        out.write(b"x" * {size})
command()
"""
    with FULL.open("wb") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "Error: stdout: No space left on device\n")
