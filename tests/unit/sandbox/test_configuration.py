"""The settings of a stack are the product's own, complete, and not the user's."""

from __future__ import annotations

import pytest

from sandbox.configuration import product_settings, python_environment
from worker.settings import ShimSettings, WorkerSettings

HUBSPOT = "http://127.0.0.1:1"
SETTINGS = product_settings(
    mongodb_uri="mongodb://127.0.0.1:2",
    redis_url="redis://127.0.0.1:3/0",
    hubspot_url=HUBSPOT,
    shim_url="http://127.0.0.1:4",
)
MEANT_TO_BE_UNSET = {
    *("JWT_PUBLIC_KEY", "JWT_JWKS_URL", "JWT_ALGORITHMS", "JWT_AUDIENCE", "JWT_ISSUER", "TOKEN_ENCRYPTION_KEYS"),
    *("METRICS_PORT", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SERVICE_NAME"),
    *("CONNECT_RETURN_URL", "MAX_CONNECTIONS", "MAX_REQUESTS_PER_SECOND", "WORKER_PROCESSES"),
}


def test_hubspots_paths_are_the_products_defaults() -> None:
    defaults = {
        name.upper(): field.default
        for name, field in WorkerSettings.model_fields.items()
        if name.startswith("hubspot_") and name.endswith("_endpoint")
    }

    assert {name: SETTINGS[name].replace(HUBSPOT, "https://api.hubapi.com") for name in defaults} == defaults


def test_every_setting_of_the_worker_and_the_shim_is_given_or_left_out_on_purpose() -> None:
    known = {name.upper() for kind in (WorkerSettings, ShimSettings) for name in kind.model_fields}

    assert known - MEANT_TO_BE_UNSET <= set(SETTINGS) <= known


def test_the_users_own_settings_do_not_reach_the_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", "mongodb://production")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")

    children = python_environment()

    assert "MONGODB_URI" not in children
    assert "/elsewhere" not in children["PYTHONPATH"]
    assert children["LC_ALL"] == "C.UTF-8"
