"""docker-compose.yml and the Dockerfile: what the code needs, no more and no less."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from pydantic import SecretStr

from worker.export.context import SliceLimits
from worker.hubspot import transport
from worker.hubspot.oauth.unwritten_tokens import LONGEST_SHUTDOWN_WAIT_S
from worker.settings import BeatSettings, BrokerSettings, ShimSettings, WorkerSettings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

SETTINGS: dict[str, type[BrokerSettings]] = {"shim": ShimSettings, "worker": WorkerSettings, "beat": BeatSettings}
FOREIGN = sorted(SERVICES.keys() - SETTINGS.keys())
REQUIRED = {"HUBSPOT_CLIENT_ID": "id", "HUBSPOT_CLIENT_SECRET": "secret", "JWT_SECRET": "0" * 32}

# What Compose sets in place of the code's defaults: a worker in a container is asked from outside of it.
OF_COMPOSE = {"metrics_host": "0.0.0.0", "metrics_port": "9464"}  # noqa: S104 - the container's own

_REFERENCE = re.compile(r"\$(?:(\$)|([A-Z_]+)|\{([A-Z_]+)(?::([-?+])((?:[^{}]|\{[^{}]*\})*))?\})")


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """Do what Compose does with `$NAME`, `${NAME:-default}`, `${NAME:+instead}`, `${NAME:?message}` and `$$`."""

    def value_of(found: re.Match[str]) -> str:
        dollar, plain, braced, operator, rest = found.groups()
        value = variables.get(plain or braced or "", "")
        if dollar:
            return "$"
        if operator == "+":
            return interpolate(rest, variables) if value else ""
        if operator == "?" and not value:
            raise KeyError(f"{braced}: {rest}")
        return value or (interpolate(rest, variables) if operator == "-" else "")

    return _REFERENCE.sub(value_of, text)


def environment_of(service: str, variables: Mapping[str, str] = REQUIRED) -> dict[str, str]:
    return {name: interpolate(value, variables) for name, value in SERVICES[service]["environment"].items()}


def names_of(kind: type[BrokerSettings]) -> set[str]:
    return {name.upper() for name in kind.model_fields}


def plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


def health_check_of(service: str) -> str:
    return " ".join(SERVICES[service]["healthcheck"]["test"])


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Return a folder without `.env`, and an environment without our settings."""
    monkeypatch.chdir(tmp_path)
    for name in names_of(WorkerSettings) | names_of(ShimSettings):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize("service", FOREIGN)
def test_a_servers_image_is_pinned_to_a_patch_release(service: str) -> None:
    tag = SERVICES[service]["image"].rpartition(":")[2]

    assert re.match(r"\d+\.\d+\.\d+(-|$)", tag)


def test_the_base_image_is_pinned_to_a_minor_release_and_a_system() -> None:
    bases = set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))

    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.\d+-slim-[a-z]+", bases.pop())


def test_our_image_is_built_once_under_the_projects_version() -> None:
    ours = [SERVICES[name] for name in SETTINGS]

    assert {service["image"] for service in ours} == {f"hubspot-export:{VERSION}"}
    assert [service.get("build") for service in ours].count(".") == 1


def test_mongodb_is_a_replica_set_that_its_health_check_initiates() -> None:
    command, check = SERVICES["mongodb"]["command"], health_check_of("mongodb")
    uri = urlsplit(environment_of("worker")["MONGODB_URI"])

    name = command[command.index("--replSet") + 1]

    assert f'rs.initiate({{_id: "{name}"' in check
    assert f'host: "{uri.netloc}' in check
    assert "isWritablePrimary" in check
    assert parse_qs(uri.query)["replicaSet"] == [name]


def test_redis_loses_no_queue_to_a_restart_or_to_eviction() -> None:
    command = SERVICES["redis"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))

    assert options["--appendonly"] == "yes"
    assert options["--appendfsync"] == "everysec"
    assert options["--maxmemory-policy"] == "noeviction"


@pytest.mark.parametrize(("service", "folder"), [("mongodb", "/data/db"), ("redis", "/data")])
def test_data_outlives_its_container(service: str, folder: str) -> None:
    kept = dict(reversed(volume.split(":")) for volume in SERVICES[service]["volumes"])

    assert kept[folder] in COMPOSE["volumes"]


def test_a_redis_password_reaches_the_server_its_health_check_and_the_broker_url() -> None:
    variables = {**REQUIRED, "REDIS_PASSWORD": "pass"}
    command = [interpolate(word, variables) for word in SERVICES["redis"]["command"]]

    assert command[command.index("--requirepass") + 1] == "pass"
    assert environment_of("redis", variables) == {"REDISCLI_AUTH": "pass"}
    assert environment_of("worker", variables)["CELERY_BROKER_URL"] == "redis://:pass@redis:6379/0"
    assert environment_of("worker")["CELERY_BROKER_URL"] == "redis://redis:6379/0"


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_a_health_check(service: str) -> None:
    check = SERVICES[service]["healthcheck"]

    assert check["test"][0] in {"CMD", "CMD-SHELL"}
    assert seconds(check["timeout"]) <= seconds(check["interval"])
    assert seconds(check["start_period"]) > 0


@pytest.mark.parametrize(("service", "node"), [("worker", "worker-1"), ("beat", "celerybeat")])
def test_the_health_check_asks_this_container_over_the_broker(service: str, node: str) -> None:
    assert f"inspect ping --timeout 5 --destination {node}@$$HOSTNAME" in health_check_of(service)


def test_beat_answers_health_checks_and_its_silence_is_noticed() -> None:
    assert "--enable-remote-control" in SERVICES["beat"]["command"]


def test_the_worker_is_one_process_for_each_core() -> None:
    assert SERVICES["worker"]["command"][:3] == ["python", "-m", "worker"]
    assert environment_of("worker")["WORKER_PROCESSES"] == "auto"


def test_the_shims_health_check_asks_the_port_it_listens_on() -> None:
    command = SERVICES["shim"]["command"]
    port = command[command.index("--port") + 1]

    assert f"127.0.0.1:{port}/readyz" in health_check_of("shim")
    assert SERVICES["shim"]["ports"][0].endswith(f":{port}")


@pytest.mark.parametrize("service", SETTINGS)
def test_a_service_gets_exactly_the_settings_it_reads(service: str) -> None:
    assert SERVICES[service]["environment"].keys() == names_of(SETTINGS[service])


@pytest.mark.parametrize("service", SETTINGS)
def test_every_setting_can_be_given_from_outside(service: str) -> None:
    given = {name: f"given-{name}" for name in names_of(SETTINGS[service])}

    assert environment_of(service, given) == given


@pytest.mark.parametrize(("service", "kind"), SETTINGS.items())
def test_a_setting_that_is_required_is_required_by_compose_too(service: str, kind: type[BrokerSettings]) -> None:
    environment = SERVICES[service]["environment"]

    required = {name.upper() for name, field in kind.model_fields.items() if field.is_required()}

    assert {name for name, value in environment.items() if ":?" in value} == required


@pytest.mark.parametrize(("service", "kind"), SETTINGS.items())
def test_the_defaults_are_those_of_the_code_with_the_stacks_own_servers(
    service: str, kind: type[BrokerSettings], outside: pytest.MonkeyPatch
) -> None:
    for name in REQUIRED.keys() & names_of(kind):
        outside.setenv(name, REQUIRED[name])
    usual = kind()
    for name, value in environment_of(service).items():
        outside.setenv(name, value)
    composed = kind()

    for name in kind.model_fields:
        expected, actual = plain(getattr(usual, name)), plain(getattr(composed, name))
        if name in OF_COMPOSE:
            assert actual == OF_COMPOSE[name]
        elif "127.0.0.1" in expected or name == "mongodb_uri":
            assert urlsplit(actual).hostname in SERVICES
        else:
            assert actual == expected


def test_the_worker_can_be_scaled() -> None:
    assert SERVICES["worker"].keys().isdisjoint({"container_name", "hostname", "ports"})


def test_only_the_shim_is_published_and_only_to_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert published.keys() == {"shim"}
    assert [interpolate(port, {}) for port in published["shim"]] == ["127.0.0.1:8000:8000"]


def test_a_workers_metrics_are_at_the_port_that_is_exposed() -> None:
    assert SERVICES["worker"]["expose"] == [OF_COMPOSE["metrics_port"]]


@pytest.mark.parametrize("service", [*FOREIGN, "beat"])
def test_who_needs_no_internet_has_none(service: str) -> None:
    assert all(COMPOSE["networks"][network]["internal"] for network in SERVICES[service]["networks"])


@pytest.mark.parametrize("service", SETTINGS)
def test_our_containers_have_no_privileges_and_nothing_to_write_to(service: str) -> None:
    ours = SERVICES[service]

    assert ours["read_only"] is True
    assert ours["cap_drop"] == ["ALL"]
    assert ours["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_that_dies_is_started_again(service: str) -> None:
    assert SERVICES[service]["restart"] == "unless-stopped"


@pytest.mark.parametrize("service", SETTINGS)
def test_a_service_waits_until_the_servers_it_uses_are_healthy(service: str) -> None:
    assert SERVICES[service]["depends_on"] == {name: {"condition": "service_healthy"} for name in ("redis", "mongodb")}


def test_whatever_a_worker_waits_for_may_end_before_it_is_killed() -> None:
    renewal_s = transport.CONNECT_S + transport.PATIENCE_S  # of a token; all other calls are given up after moments
    moments_s = transport.GRACE_S + SliceLimits().seconds + LONGEST_SHUTDOWN_WAIT_S

    assert seconds(SERVICES["worker"]["stop_grace_period"]) > renewal_s + moments_s


def test_who_waits_for_an_export_is_answered_before_the_shim_is_killed(outside: pytest.MonkeyPatch) -> None:
    outside.setenv("JWT_SECRET", REQUIRED["JWT_SECRET"])

    assert seconds(SERVICES["shim"]["stop_grace_period"]) > ShimSettings().export_wait_seconds


@pytest.mark.parametrize("service", SETTINGS)
def test_the_program_understands_its_command(service: str, tmp_path: Path) -> None:
    program, *arguments = SERVICES[service]["command"]
    module = ["-m", "celery"] if program == "celery" else []

    run = subprocess.run(
        [sys.executable, *module, *arguments, "--help"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("Usage:")


def test_the_image_runs_as_a_user_without_rights() -> None:
    users = re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)

    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", users[-1])


def test_the_image_is_built_of_pinned_wheels_checked_by_hash() -> None:
    installs = re.findall(r"pip .*?install.*?-r \S+", DOCKERFILE, re.DOTALL)

    assert [install.rpartition("/")[2] for install in installs] == ["build.txt", "runtime.txt"]
    assert all("--require-hashes" in install and "--only-binary :all:" in install for install in installs)
    assert not any("index" in install for install in installs)


def test_what_builds_the_wheel_is_not_in_the_image() -> None:
    copied = re.findall(r"^COPY --from=build (\S+)", DOCKERFILE, re.MULTILINE)

    assert copied == ["/opt/venv"]
    assert "/opt/build/bin/pip wheel --no-deps --no-build-isolation" in DOCKERFILE
    assert re.search(r"pip --python /opt/venv install .*--no-index --no-deps /build/wheel/\*\.whl", DOCKERFILE)


def test_the_image_has_the_command_line_client() -> None:
    """The commands of the wheel are written into the environment whose `bin` is on the path."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    final_stage = DOCKERFILE.rpartition("\nFROM ")[2]

    assert scripts["hubspot-export"] == "api_shim.cli:main"
    assert 'ENV PATH="/opt/venv/bin:$PATH"' in final_stage


def test_the_image_holds_the_product_and_nothing_else() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    sources = {source for sources in copied for source in sources.split()}
    allowed = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]

    assert sources == {
        *("requirements/build.txt", "requirements/runtime.txt", "pyproject.toml", "README.md"),
        *("celeryconfig.py", "worker", "api_shim"),
    }
    assert allowed[0] == "*"
    assert {line.removeprefix("!").removesuffix("/**") for line in allowed if line.startswith("!")} == sources


def test_no_secret_is_written_down() -> None:
    values = [value for service in SERVICES.values() for value in service.get("environment", {}).values()]

    assert not re.search(r"^(ARG|ENV) .*(SECRET|TOKEN|PASSWORD|KEY)", DOCKERFILE, re.MULTILINE)
    assert all(value.startswith("${") for value in values)
