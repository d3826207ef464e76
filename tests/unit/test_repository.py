"""The repository as a whole: what is pinned, what a newcomer may run, and what no file may name."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MAKEFILE = (ROOT / "Makefile").read_text()

TARGETS = {"setup", "demo", "up", "test", "check", "lint", "format", "lock", "clean"}

# Broken up, so that this file may be checked like any other.
PACKAGE_HOST = re.compile(r"pyp[i]\.org|pythonhoste[d]\.org")
FOLDER_OF_A_MACHINE = re.compile(r"(?<![\w.])/(hom[e]|User[s]|roo[t]|wor[k])/")


def committed_files() -> list[Path]:
    """List what is, or would be, committed."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],  # noqa: S607 - the git on the path
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode != 0:
        pytest.skip("not a git checkout")
    return [path for name in listing.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def texts() -> Iterator[tuple[str, str]]:
    for path in committed_files():
        yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8", errors="ignore")


def pins_of(name: str) -> dict[str, str]:
    """Return name and version of what a requirements file installs on this machine."""
    text = (REQUIREMENTS / name).read_text().replace("\\\n", " ")
    wanted = [Requirement(line.partition(" --hash")[0]) for line in text.splitlines() if line and line[0] != "#"]
    return {normal(each.name): str(each.specifier).removeprefix("==") for each in wanted if applies(each)}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate()


def requirements_of(name: str) -> list[str]:
    """Return each requirement of a file with its options, on one line."""
    text = (REQUIREMENTS / name).read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_no_file_names_a_package_host() -> None:
    guilty = [name for name, text in texts() if PACKAGE_HOST.search(text)]

    assert guilty == []


def test_no_file_names_a_folder_of_a_machine() -> None:
    guilty = [name for name, text in texts() if FOLDER_OF_A_MACHINE.search(text)]

    assert guilty == []


def test_no_settings_file_with_secrets_is_committed() -> None:
    names = {path.name for path in committed_files()}

    assert ".env" not in names
    assert ".env.example" in names


@pytest.mark.parametrize("name", ["runtime.txt", "dev.txt"])
def test_every_requirement_is_exact_and_has_a_hash(name: str) -> None:
    for requirement in requirements_of(name):
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==\S+ ", requirement), requirement
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", requirement), requirement


@pytest.mark.parametrize("name", ["runtime.txt", "dev.txt"])
def test_no_requirement_names_where_it_comes_from(name: str) -> None:
    text = (REQUIREMENTS / name).read_text()

    assert "://" not in text
    assert not re.search(r"^\s*--?(i|f|index|extra|find|trusted)\b", text, re.MULTILINE)


def test_what_is_installed_satisfies_what_the_code_needs() -> None:
    pins = pins_of("runtime.txt")

    for requirement in filter(applies, map(Requirement, PROJECT["dependencies"])):
        assert requirement.specifier.contains(pins[normal(requirement.name)]), requirement


def test_the_tests_run_with_the_versions_that_production_runs() -> None:
    developing = pins_of("dev.txt")

    assert pins_of("runtime.txt").items() <= developing.items()


def test_the_embedded_servers_are_never_in_production() -> None:
    servers = {normal(Requirement(line).name) for line in PROJECT["optional-dependencies"]["sandbox"]}

    assert servers.isdisjoint(pins_of("runtime.txt"))
    assert servers <= pins_of("dev.txt").keys()


def test_the_embedded_servers_are_named_exactly() -> None:
    for line in PROJECT["optional-dependencies"]["sandbox"]:
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][\w.]*", line.partition(";")[0])


def test_make_has_the_documented_targets() -> None:
    phony = set(" ".join(re.findall(r"^\.PHONY:(.*)$", MAKEFILE, re.MULTILINE)).split())
    defined = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))

    assert phony == defined
    assert defined >= TARGETS


@pytest.mark.parametrize("target", sorted(TARGETS - {"setup", "clean"}))
def test_a_target_sets_up_what_it_needs(target: str) -> None:
    assert re.search(rf"^{target}:.*\b(setup|lint)\b", MAKEFILE, re.MULTILINE)


def test_the_gate_checks_first_and_ends_with_the_closing_line_of_pytest() -> None:
    gate = (ROOT / ".ci" / "run").read_text().splitlines()

    assert "set -euo pipefail" in gate
    assert gate[-2:] == ["make lint", "make test"]


def test_no_document_holds_a_placeholder() -> None:
    for document in (ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")):
        assert "@@" not in document.read_text()
