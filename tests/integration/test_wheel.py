"""The wheel, installed by itself: everything that is started runs without the checkout."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Without `site` the environment's link to the checkout is not followed; its packages are put in by hand.
_RUN_MODULE = """
import runpy, sys
sys.path[:] = [*sys.argv[1:3], *filter(None, sys.path)]
sys.argv[:] = sys.argv[3:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


_RUN_COMMAND = """
import runpy, sys
sys.path[:] = [*sys.argv[1:3], *filter(None, sys.path)]
sys.argv[:] = sys.argv[3:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""

# Tasks, signals and adapters are imported late: `--help` alone would not miss one of them.
_IMPORT_ALL = """
import importlib, pkgutil, sys
sys.path[:] = [*sys.argv[1:3], *filter(None, sys.path)]
import api_shim, worker
for package in (api_shim, worker):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith("__main__"):
            print(importlib.import_module(module.name).__file__)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as the image does, and install it into a folder of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    _run(["-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)], cwd=ROOT)
    (wheel,) = folder.glob("*.whl")
    target = folder / "installed"
    _run(
        ["-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(target), str(wheel)], cwd=folder
    )
    return target


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["celery", "-A", "worker", "report"], "task_acks_late: True"),
        (["celery", "-A", "worker", "worker", "--help"], "Usage:"),
        (["celery", "-A", "worker", "beat", "--help"], "Usage:"),
        (["api_shim", "--help"], "Serve the HubSpot export API"),
        (["api_shim.cli", "--version"], "hubspot-export, version "),
        (["api_shim.cli", "doctor", "--help"], "Usage:"),
    ],
)
def test_what_is_started_runs_outside_the_checkout(
    installed: Path, tmp_path: Path, arguments: Sequence[str], expected: str
) -> None:
    packages = sysconfig.get_path("purelib")

    output = _run(["-S", "-c", _RUN_MODULE, str(installed), packages, *arguments], cwd=tmp_path)

    assert expected in output


def test_every_module_of_shim_and_worker_is_imported_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    """Beat is Celery's own program with `worker.beat` as its scheduler."""
    packages = sysconfig.get_path("purelib")

    output = _run(["-S", "-c", _IMPORT_ALL, str(installed), packages], cwd=tmp_path)

    paths = [Path(line) for line in output.splitlines()]
    modules = {path for name in ("api_shim", "worker") for path in (ROOT / name).rglob("*.py")}
    top = {ROOT / "api_shim" / "__init__.py", ROOT / "worker" / "__init__.py"}
    expected = {path.relative_to(ROOT) for path in modules - top if path.name != "__main__.py"}
    assert {path.relative_to(installed) for path in paths} == expected


def test_the_command_line_client_is_installed_as_a_command(installed: Path, tmp_path: Path) -> None:
    packages = sysconfig.get_path("purelib")
    command = installed / "bin" / "hubspot-export"

    output = _run(["-S", "-c", _RUN_COMMAND, str(installed), packages, str(command), "--version"], cwd=tmp_path)

    assert "hubspot-export, version " in output


def test_the_wheel_holds_what_its_modules_read(installed: Path) -> None:
    in_checkout = {path.relative_to(ROOT) for path in (ROOT / "worker" / "rate_limit" / "lua").glob("*.lua")}

    assert in_checkout
    assert in_checkout == {
        path.relative_to(installed) for path in (installed / "worker" / "rate_limit" / "lua").glob("*.lua")
    }
    assert (installed / "worker" / "py.typed").is_file()
    assert (installed / "api_shim" / "py.typed").is_file()


def _run(arguments: Sequence[str], *, cwd: Path) -> str:
    run = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=False, timeout=120
    )
    assert run.returncode == 0, run.stderr
    return run.stdout
