""".env.example names the settings that exist, and a copy of it works once the required ones are filled in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from dotenv import dotenv_values
from pydantic_settings import BaseSettings

from worker import settings
from worker.settings import BrokerSettings, ShimSettings, StoreSettings, WorkerSettings

EXAMPLE = (Path(__file__).resolve().parents[2] / ".env.example").read_text()
KINDS = [
    kind
    for kind in vars(settings).values()
    if isinstance(kind, type) and issubclass(kind, BaseSettings) and kind.__module__ == settings.__name__
]
NAMES = {name.upper() for kind in KINDS for name in kind.model_fields}
REQUIRED = {"HUBSPOT_CLIENT_ID": "id", "HUBSPOT_CLIENT_SECRET": "secret", "JWT_SECRET": "0" * 32}

_SETTING = re.compile(r"^(# )?([A-Z][A-Z0-9_]*)=(.*)$", re.MULTILINE)


def filled_in(text: str) -> str:
    for name, value in REQUIRED.items():
        text = text.replace(f"\n{name}=\n", f"\n{name}={value}\n")
    return text


@pytest.fixture
def dotenv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the file in which settings are looked for, with nothing of ours in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    return tmp_path / ".env"


def test_it_names_exactly_the_settings_that_exist_once_each() -> None:
    named = [name for _, name, _ in _SETTING.findall(EXAMPLE)]

    assert sorted(named) == sorted(NAMES)


def test_every_setting_has_a_line_that_says_what_it_means() -> None:
    lines = EXAMPLE.splitlines()

    for number, line in enumerate(lines):
        if _SETTING.match(line):
            assert re.match(r"# [A-Za-z].*\w", lines[number - 1])
            assert not _SETTING.match(lines[number - 1])


def test_only_what_is_required_is_not_commented_out_and_has_no_value() -> None:
    asked_for = {name: value for comment, name, value in _SETTING.findall(EXAMPLE) if not comment}

    assert asked_for == dict.fromkeys(REQUIRED, "")


@pytest.mark.parametrize("kind", [BrokerSettings, StoreSettings, WorkerSettings, ShimSettings])
def test_a_copy_with_the_required_settings_works(kind: type[BrokerSettings], dotenv: Path) -> None:
    dotenv.write_text(filled_in(EXAMPLE))

    assert kind().celery_broker_url.get_secret_value() == "redis://127.0.0.1:6379/0"


@pytest.mark.parametrize("kind", [WorkerSettings, ShimSettings])
def test_a_copy_without_them_is_refused(kind: type[BrokerSettings], dotenv: Path) -> None:
    dotenv.write_text(EXAMPLE)

    with pytest.raises(SystemExit, match="2"):
        settings.load(kind)


@pytest.mark.parametrize("kind", [WorkerSettings, ShimSettings])
def test_the_defaults_it_shows_are_the_defaults(kind: type[BrokerSettings], dotenv: Path) -> None:
    dotenv.write_text(filled_in(EXAMPLE))
    usual = kind()
    dotenv.write_text(filled_in(_SETTING.sub(r"\2=\3", EXAMPLE)))

    assert kind() == usual


def test_the_defaults_it_shows_survive_the_parser_of_dotenv_files(dotenv: Path) -> None:
    dotenv.write_text(_SETTING.sub(r"\2=\3", EXAMPLE))

    assert dotenv_values(dotenv) == {name: value for _, name, value in _SETTING.findall(EXAMPLE)}
