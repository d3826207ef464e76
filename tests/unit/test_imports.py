"""Importing a module does nothing, and importing the shim does not load the worker's inside."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Every setting has a value that no process would start with: who reads them at import fails.
POISON = {
    "CELERY_BROKER_URL": "nowhere",
    "MONGODB_URI": "nowhere",
    "REDIS_URL": "nowhere",
    "LOG_FORMAT": "none",
    "RESULT_TTL_DAYS": "never",
}

# Imports the modules named on the command line where everything that only developers install is absent; prints which
# modules are loaded then, which variables of the environment were asked for by name, whether all were listed, and to
# where connections or look-ups were tried; then imports what is named behind `--`, and prints what is loaded at last.
PROBE = """
import importlib, json, os, sys
import wsgiref.handlers  # the standard library's: it copies the whole environment
from collections.abc import MutableMapping

asked, calls = [], []

class Watched(MutableMapping):
    def __init__(self, real):
        self.real = real
    def __getitem__(self, name):
        asked.append(name)
        return self.real[name]
    def __setitem__(self, name, value):
        self.real[name] = value
    def __delitem__(self, name):
        del self.real[name]
    def __iter__(self):
        asked.append("*")
        return iter(self.real)
    def __len__(self):
        return len(self.real)
    def copy(self):
        return dict(self)

def watch(event, arguments):
    if event in {"socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"}:
        calls.append(event)

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

absent, at = set(sys.argv[1].split(",")), sys.argv.index("--")
sys.meta_path.insert(0, Absent())
os.environ = Watched(os.environ)
sys.addaudithook(watch)
for name in sys.argv[2:at]:
    importlib.import_module(name)
report = {"loaded": sorted(sys.modules), "asked": list(asked), "calls": list(calls)}
for name in sys.argv[at + 1:]:
    importlib.import_module(name)
print(json.dumps({**report, "loaded at last": sorted(sys.modules)}))
"""

# What the image's programs import besides ours.
OF_CELERY = ["celery.bin.celery", "celery.bin.worker", "celery.bin.beat", "celery.bin.control"]
OF_BROKERS = ["kombu.transport.redis", "kombu.transport.pyamqp"]
OF_UVICORN = ["uvicorn.main", "uvicorn.loops.uvloop", "uvicorn.protocols.http.httptools_impl"]
SENDS_TRACES = "worker.telemetry.otlp"


def modules_of(package: str) -> list[str]:
    """Name every module of a package, without the one that is a program."""
    files = sorted((ROOT / package).rglob("*.py"))
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]
    return [name.removesuffix(".__init__") for name in names if not name.endswith(".__main__")]


def names_after_importing(modules: Sequence[str], folder: Path, *, then: Sequence[str] = ()) -> dict[str, list[str]]:
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in POISON.items()))
    run = subprocess.run(
        [sys.executable, "-c", PROBE, ",".join(absent_in_production()), *modules, "--", *then],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), **POISON},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    report: dict[str, list[str]] = json.loads(run.stdout)
    return report


def absent_in_production() -> set[str]:
    """Name the top-level modules here that come from none of the distributions in runtime.txt."""
    names = re.findall(r"^([\w.-]+)==", (ROOT / "requirements" / "runtime.txt").read_text(), re.MULTILINE)
    present = {normal(name) for name in (*names, "hubspot-export")}
    provided = packages_distributions().items()
    return {module for module, providers in provided if present.isdisjoint(map(normal, providers))}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def after_the_shim(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    return names_after_importing(modules_of("api_shim"), tmp_path_factory.mktemp("shim"), then=OF_UVICORN)


@pytest.fixture(scope="module")
def after_the_worker(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    first = [name for name in modules_of("worker") if name != SENDS_TRACES]
    then = [SENDS_TRACES, *OF_BROKERS, *OF_CELERY]
    return names_after_importing(first, tmp_path_factory.mktemp("worker"), then=then)


@pytest.mark.parametrize(
    "module", ["worker.tasks", "worker.bootstrap", "worker.export.runner", "worker.hubspot", "requests", "celeryconfig"]
)
def test_importing_the_shim_does_not_load(module: str, after_the_shim: dict[str, list[str]]) -> None:
    assert module not in after_the_shim["loaded"]


@pytest.mark.parametrize("module", ["api_shim", "fastapi", "sandbox", "celeryconfig"])
def test_importing_the_worker_does_not_load(module: str, after_the_worker: dict[str, list[str]]) -> None:
    assert module not in after_the_worker["loaded"]


def test_what_sends_traces_is_not_loaded_before_it_is_wanted(
    after_the_shim: dict[str, list[str]], after_the_worker: dict[str, list[str]]
) -> None:
    assert {*after_the_shim["loaded"], *after_the_worker["loaded"]}.isdisjoint(
        {SENDS_TRACES, "opentelemetry.sdk.trace", "opentelemetry.exporter", "google.protobuf"}
    )


def test_every_module_was_imported(
    after_the_shim: dict[str, list[str]], after_the_worker: dict[str, list[str]]
) -> None:
    assert set(modules_of("api_shim")) <= set(after_the_shim["loaded"])
    assert set(modules_of("worker")) <= set(after_the_worker["loaded at last"])


def test_importing_reads_no_setting(
    after_the_shim: dict[str, list[str]], after_the_worker: dict[str, list[str]]
) -> None:
    asked = {*after_the_shim["asked"], *after_the_worker["asked"]}

    assert asked.isdisjoint({"*", *POISON})
    ours = ("HUBSPOT_", "JWT_", "MONGODB_", "TOKEN_", "EXPORT_", "METRICS_", "OTEL_EXPORTER_", "OTEL_SERVICE_")
    assert not {name for name in asked if name.startswith(ours)}


def test_importing_connects_to_nothing(
    after_the_shim: dict[str, list[str]], after_the_worker: dict[str, list[str]]
) -> None:
    assert after_the_shim["calls"] == []
    assert after_the_worker["calls"] == []


def test_the_probe_notices_who_reads_settings(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="CELERY_BROKER_URL: must be a URL"):
        names_after_importing(["celeryconfig"], tmp_path)


def test_the_celery_object_is_there_before_its_configuration(tmp_path: Path) -> None:
    loaded = names_after_importing(["worker.app"], tmp_path)["loaded"]

    assert "celery" in loaded
    assert "celeryconfig" not in loaded


def test_the_worker_package_alone_is_free_of_celery(tmp_path: Path) -> None:
    assert "celery" not in names_after_importing(["worker"], tmp_path)["loaded"]


def test_production_installs_everything_that_is_imported(
    after_the_shim: dict[str, list[str]], after_the_worker: dict[str, list[str]]
) -> None:
    """Both were imported without what only developers install, and so was what their programs import besides."""
    assert set(OF_UVICORN) <= set(after_the_shim["loaded at last"])
    assert {*OF_CELERY, *OF_BROKERS} <= set(after_the_worker["loaded at last"])
