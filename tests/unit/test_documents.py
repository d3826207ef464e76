"""The documents as a reader finds them: links lead somewhere, settings are complete, numbers are unique."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from pydantic import BaseModel

from api_shim.responses.connections import ConnectionView
from api_shim.responses.schedules import ScheduleView
from worker.jobs.view import JobView

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
_CODE = re.compile(r"```.*?```", re.DOTALL)
_LINK = re.compile(r"(?<!`)\[[^\]]+\]\(([^)\s]+)\)")
_PATH = re.compile(r"`((?:api_shim|benchmarks|docs|requirements|sandbox|tests|worker)/[^`\s]*)`")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def name_of(document: Path) -> str:
    return str(document.relative_to(ROOT))


def anchors_of(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub writes them."""
    headings = _HEADING.findall(_CODE.sub("", document.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads_somewhere(link: str, document: Path) -> bool:
    path, _, anchor = link.partition("#")
    target = (document.parent / path).resolve() if path else document
    return target.exists() and (not anchor or anchor in anchors_of(target))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_within_the_repository_leads_somewhere(document: Path) -> None:
    links = [link for link in _LINK.findall(_CODE.sub("", document.read_text())) if "://" not in link]

    assert [link for link in links if not leads_somewhere(link, document)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_path_that_is_named_exists(document: Path) -> None:
    named = _PATH.findall(document.read_text())

    assert [path for path in named if not set("{*").intersection(path) and not (ROOT / path).exists()] == []


def test_every_decision_has_a_number_of_its_own_which_its_title_has_too() -> None:
    numbers = [path.name.partition("-")[0] for path in DECISIONS]
    titles = [path.read_text().split(maxsplit=2)[1] for path in DECISIONS]

    assert [number for number, times in Counter(numbers).items() if times > 1] == []
    assert titles == numbers


def test_the_reference_describes_exactly_the_settings_that_there_are() -> None:
    section = (REFERENCE / "settings.md").read_text()
    described = re.findall(r"`([A-Z][A-Z0-9_]+)`", "".join(re.findall(r"^\|([^|]+)\|", section, re.MULTILINE)))
    existing = re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)

    assert sorted(described) == sorted(existing)


def test_the_reference_names_the_defaults_of_the_example() -> None:
    """Where a default is a value; what has none is described in words."""
    section = (REFERENCE / "settings.md").read_text()
    told = dict(re.findall(r"^\| `([A-Z_0-9]+)` \| `([^`]+)` \|", section, re.MULTILINE))
    example = dict(re.findall(r"^# ([A-Z][A-Z0-9_]+)=(.+)$", (ROOT / ".env.example").read_text(), re.MULTILINE))

    assert len(told) > 20
    assert {name: example.get(name) for name in told} == told


@pytest.mark.parametrize(
    ("message", "view"),
    [("Job found", JobView), ("Connection found", ConnectionView), ("Schedule stored", ScheduleView)],
)
def test_the_reference_shows_every_field_of_an_answer(message: str, view: type[BaseModel]) -> None:
    pages = "".join(page.read_text() for page in REFERENCE.glob("*.md"))
    blocks = re.findall(r"```json\n(.*?)```", pages, re.DOTALL)
    (shown,) = [json.loads(block) for block in blocks if f'"message": "{message}"' in block]

    assert shown["data"].keys() == view.model_fields.keys()


def test_no_entry_of_the_changelog_is_there_twice() -> None:
    """Merges keep the lines of both sides (.gitattributes)."""
    entries = re.split(r"\n(?=- )", (ROOT / "CHANGELOG.md").read_text())

    counted = Counter(" ".join(entry.split()) for entry in entries)

    assert [entry for entry, times in counted.items() if times > 1] == []
