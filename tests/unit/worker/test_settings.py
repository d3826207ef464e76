"""Settings: defaults, what is refused and in which words, and that no secret shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from worker.accounts.encryption import TokenEncryption
from worker.rate_limit.quota import Rate
from worker.records.enabled_types import EnabledTypes
from worker.settings import BrokerSettings, ShimSettings, StoreSettings, WorkerSettings, load

WORKER = {"HUBSPOT_CLIENT_ID": "client", "HUBSPOT_CLIENT_SECRET": "a-client-secret"}
CUSTOM = ("crm.objects.custom.read", "crm.schemas.custom.read")
SHIM = {"JWT_SECRET": "a-jwt-secret-of-at-least-32-bytes"}


def public_pem(curve: ec.EllipticCurve) -> str:
    public = ec.generate_private_key(curve).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


OF_A_CURVE, OF_AN_UNKNOWN_CURVE = public_pem(ec.SECP384R1()), public_pem(ec.SECP256K1())
KEYS = ["newest-key-" + "0" * 32 + "=", "older_key__" + "0" * 32 + "="]
EVERY_NAME = [name.upper() for name in {**WorkerSettings.model_fields, **ShimSettings.model_fields}]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Clear our variables from the environment, and change to a folder without `.env`."""
    for name in EVERY_NAME:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def given(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_the_documented_defaults_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, **WORKER)
    settings = load(WorkerSettings)
    assert settings.mongodb_uri.get_secret_value() == "mongodb://127.0.0.1:27017"
    assert settings.mongodb_database == "hubspot_export"
    assert settings.celery_broker_url.get_secret_value() == "redis://127.0.0.1:6379/0"
    assert settings.redis == "redis://127.0.0.1:6379/0"
    assert settings.hubspot_token_endpoint == "https://api.hubapi.com/oauth/2026-03/token"
    assert settings.hubspot_contacts_endpoint == "https://api.hubapi.com/contacts/v1/lists/all/contacts/all"
    assert settings.hubspot_companies_endpoint == (
        "https://api.hubapi.com/companies/v2/companies/paged?properties=name&properties=website"
    )
    assert settings.hubspot_deals_endpoint == (
        "https://api.hubapi.com/deals/v1/deal/paged?properties=dealname&includeAssociations=true"
    )
    assert settings.hubspot_notes_endpoint == "https://api.hubapi.com/engagements/v1/engagements/paged"
    assert settings.hubspot_objects_endpoint == "https://api.hubapi.com/crm/objects/2026-09"
    assert settings.hubspot_rate_limit == Rate(calls=110, seconds=10)
    assert settings.result_ttl_days == 30
    assert settings.token_encryption_keys == ()
    assert (settings.webhook_secret, settings.webhook_allow_private) == ((), False)
    assert (settings.log_format, settings.log_level) == ("console", "info")
    assert (settings.metrics_host, settings.metrics_port) == ("127.0.0.1", None)
    assert (settings.otel_exporter_otlp_endpoint, settings.otel_service_name) == (None, None)


def test_the_shim_needs_no_hubspot_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, **SHIM)
    settings = load(ShimSettings)
    assert settings.export_wait_seconds == 25
    assert settings.algorithms == ("HS256",)
    assert settings.hubspot_authorize_url == "https://app.hubspot.com/oauth/authorize"
    assert " ".join(settings.hubspot_scopes) == (
        "oauth crm.objects.contacts.read crm.objects.companies.read crm.objects.deals.read"
    )
    assert settings.hubspot_optional_scopes == ()
    assert (settings.hubspot_client_id, settings.hubspot_redirect_uri) == (None, None)
    assert (settings.connect_state_secret, settings.connect_return_url) == (None, None)


def test_types_are_enabled_by_name_and_so_are_the_scopes_that_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, **SHIM, EXPORT_TYPES="tickets, contacts p_cars")
    settings = load(ShimSettings)
    assert settings.export_types == EnabledTypes.parse("contacts,tickets,p_cars")
    assert settings.hubspot_scopes == ("oauth", "crm.objects.contacts.read", "tickets", *CUSTOM)
    given(monkeypatch, HUBSPOT_SCOPES="oauth")
    assert load(ShimSettings).hubspot_scopes == ("oauth",)


@pytest.mark.parametrize(("kind", "required"), [(ShimSettings, SHIM), (WorkerSettings, WORKER)])
def test_a_type_that_there_is_not_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: type[StoreSettings],
    required: dict[str, str],
) -> None:
    given(monkeypatch, **required, EXPORT_TYPES="contacts,tickts")
    with pytest.raises(SystemExit, match="2"):
        load(kind)
    assert capsys.readouterr().err.startswith("settings: EXPORT_TYPES: 'tickts' is not a type: name some of contacts, ")


def test_beat_needs_nothing() -> None:
    assert load(BrokerSettings).celery_broker_url.get_secret_value() == "redis://127.0.0.1:6379/0"


def test_a_dot_env_file_is_read_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MONGODB_DATABASE=from_file\nRESULT_TTL_DAYS=7\nSOMETHING_ELSE=1\n")
    given(monkeypatch, MONGODB_DATABASE="from_environment")
    settings = load(StoreSettings)
    assert (settings.mongodb_database, settings.result_ttl_days) == ("from_environment", 7)


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, **SHIM, JWT_AUDIENCE="", REDIS_URL="", JWT_PUBLIC_KEY="")
    assert load(ShimSettings).jwt_audience is None


def test_rate_limit_zero_turns_the_limit_off(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, **WORKER, HUBSPOT_RATE_LIMIT="0")
    assert load(WorkerSettings).hubspot_rate_limit is None


@pytest.mark.parametrize("value", [",".join(KEYS), f" {KEYS[0]} , {KEYS[1]} "])
def test_keys_for_tokens_are_a_list_newest_first(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    given(monkeypatch, TOKEN_ENCRYPTION_KEYS=value)
    keys = load(StoreSettings).token_encryption_keys
    assert [key.get_secret_value() for key in keys] == KEYS
    TokenEncryption(keys)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MONGODB_URI", "postgres://db"),
        ("MONGODB_URI", "mongodb://host:notaport"),
        ("MONGODB_URI", "mongodb://"),
        ("MONGODB_DATABASE", "a.b"),
        ("CELERY_BROKER_URL", "http://broker"),
        ("CELERY_BROKER_URL", "redis://host:99999"),
        ("REDIS_URL", "memcached://host"),
        ("HUBSPOT_TOKEN_ENDPOINT", "api.hubapi.com/oauth"),
        ("HUBSPOT_CONTACTS_ENDPOINT", "ftp://host/contacts"),
        ("HUBSPOT_NOTES_ENDPOINT", "https://host/notes#part"),
        ("HUBSPOT_API", "v3"),
        ("HUBSPOT_NOTES_KINDS", "notes,faxes"),
        ("HUBSPOT_NOTES_KINDS", ","),
        ("HUBSPOT_RATE_LIMIT", "fast"),
        ("HUBSPOT_RATE_LIMIT", "10/0"),
        ("HUBSPOT_RATE_LIMIT", "-1"),
        ("RESULT_TTL_DAYS", "0"),
        ("RESULT_TTL_DAYS", "soon"),
        ("TOKEN_ENCRYPTION_KEYS", "short"),
        ("TOKEN_ENCRYPTION_KEYS", f"{KEYS[0]},"),
        ("TOKEN_ENCRYPTION_KEYS", f"{KEYS[0]},not a key"),
        ("TOKEN_ENCRYPTION_KEYS", f"{KEYS[0]} {KEYS[1]}"),
        ("TOKEN_ENCRYPTION_KEYS", KEYS[0][:-5] + "ü"),
        ("LOG_FORMAT", "xml"),
        ("WEBHOOK_SECRET", "short"),
        ("WEBHOOK_SECRET", "s" * 32 + ","),
        ("WEBHOOK_SECRET", "s" * 32 + " " + "t" * 32),
        ("WEBHOOK_ALLOW_PRIVATE", "perhaps"),
        ("LOG_LEVEL", "trace"),
        ("WORKER_PROCESSES", "0"),
        ("WORKER_PROCESSES", "257"),
        ("WORKER_PROCESSES", "many"),
        ("METRICS_PORT", "0"),
        ("METRICS_PORT", "http"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318?key=1"),
    ],
)
def test_a_wrong_worker_setting_is_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    given(monkeypatch, **WORKER)
    given(monkeypatch, **{name: value})
    assert complaint_of(WorkerSettings, capsys).startswith(f"settings: {name}: ")


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, "JWT_SECRET, JWT_PUBLIC_KEY, JWT_JWKS_URL: exactly one is required"),
        ({**SHIM, "JWT_JWKS_URL": "https://idp/keys"}, "exactly one is required"),
        ({"JWT_SECRET": "x"}, "JWT_SECRET: must have at least 32 bytes"),
        ({"JWT_SECRET": "n" * 32 + "," + "o" * 31}, "JWT_SECRET: must have at least 32 bytes"),
        ({"JWT_SECRET": "n" * 32 + ","}, "JWT_SECRET: must have at least 32 bytes"),
        ({"JWT_PUBLIC_KEY": "not a key"}, "JWT_PUBLIC_KEY: "),
        ({"JWT_PUBLIC_KEY": OF_A_CURVE, "JWT_ALGORITHMS": "RS256"}, "JWT_ALGORITHMS: must be among ES384, which go"),
        ({"JWT_PUBLIC_KEY": OF_AN_UNKNOWN_CURVE}, "JWT_PUBLIC_KEY: must be an RSA key, or an EC one"),
        ({"JWT_JWKS_URL": "idp/keys"}, "JWT_JWKS_URL: "),
        ({**SHIM, "JWT_ALGORITHMS": "RS256"}, "JWT_ALGORITHMS: "),
        ({**SHIM, "JWT_ALGORITHMS": "none"}, "JWT_ALGORITHMS: "),
        ({"JWT_JWKS_URL": "https://idp/keys", "JWT_ALGORITHMS": "RS256 HS256"}, "JWT_ALGORITHMS: "),
        ({**SHIM, "EXPORT_WAIT_SECONDS": "0"}, "EXPORT_WAIT_SECONDS: "),
        ({**SHIM, "MAX_OPEN_JOBS_PER_ACCOUNT": "-1"}, "MAX_OPEN_JOBS_PER_ACCOUNT: "),
        ({**SHIM, "MAX_WAITING_REQUESTS_PER_CALLER": "many"}, "MAX_WAITING_REQUESTS_PER_CALLER: "),
        ({**SHIM, "MAX_CONNECTIONS": "3"}, "MAX_CONNECTIONS: "),
        ({**SHIM, "MAX_OPEN_JOBS_PER_ACCOUNT": "1000000000000"}, "MAX_OPEN_JOBS_PER_ACCOUNT: "),
        ({**SHIM, "MAX_REQUESTS_PER_SECOND": "0"}, "MAX_REQUESTS_PER_SECOND: "),
        ({**SHIM, "MAX_REQUESTS_PER_SECOND": "1e-300"}, "MAX_REQUESTS_PER_SECOND: "),
        ({**SHIM, "CONNECT_STATE_SECRET": "short"}, "CONNECT_STATE_SECRET: must have at least 32 characters"),
        ({**SHIM, "HUBSPOT_REDIRECT_URI": "app/callback"}, "HUBSPOT_REDIRECT_URI: "),
        ({**SHIM, "CONNECT_RETURN_URL": "//evil"}, "CONNECT_RETURN_URL: "),
        ({**SHIM, "HUBSPOT_AUTHORIZE_URL": "javascript:x"}, "HUBSPOT_AUTHORIZE_URL: "),
    ],
)
def test_a_wrong_shim_setting_is_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], values: dict[str, str], named: str
) -> None:
    given(monkeypatch, **values)
    assert named in complaint_of(ShimSettings, capsys)


def test_missing_settings_are_all_named_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert complaint_of(WorkerSettings, capsys) == (
        "settings: HUBSPOT_CLIENT_ID: is required; HUBSPOT_CLIENT_SECRET: is required\n"
    )


def test_another_broker_than_redis_asks_for_redis_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given(monkeypatch, **WORKER, CELERY_BROKER_URL="amqp://guest@rabbit")
    assert "REDIS_URL: is required" in complaint_of(WorkerSettings, capsys)


def test_the_algorithm_follows_the_public_key(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, JWT_PUBLIC_KEY=OF_A_CURVE)
    assert load(ShimSettings).algorithms == ("ES384",)


def test_a_wrong_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    given(monkeypatch, **WORKER, MONGODB_URI="mangodb://user:pass-word@host", CELERY_BROKER_URL="redis//:pass-word@h")
    assert "pass-word" not in complaint_of(WorkerSettings, capsys)


def test_secrets_of_webhooks_are_a_list_newest_first_and_do_not_show(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    new, old = "n" * 32, "o" * 32
    given(monkeypatch, WEBHOOK_SECRET=f" {new} , {old}")
    settings = load(StoreSettings)
    assert [secret.get_secret_value() for secret in settings.webhook_secret] == [new, old]
    assert new not in repr(settings)
    given(monkeypatch, **WORKER, WEBHOOK_SECRET=f"{new},pass-word")
    assert not any(secret in complaint_of(WorkerSettings, capsys) for secret in (new, "pass-word"))


def test_no_key_is_shown_when_one_of_them_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given(monkeypatch, **WORKER, TOKEN_ENCRYPTION_KEYS=f"{KEYS[0]},pass-word")
    printed = complaint_of(WorkerSettings, capsys)
    assert "pass-word" not in printed
    assert KEYS[0] not in printed


def test_secrets_stay_out_of_the_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, **WORKER, **SHIM, MONGODB_URI="mongodb://user:pass-word@host", TOKEN_ENCRYPTION_KEYS=KEYS[0])
    shown = repr(load(WorkerSettings)) + repr(load(ShimSettings))
    assert not any(secret in shown for secret in ("a-client-secret", "a-jwt-secret", "pass-word", KEYS[0]))


def complaint_of(kind: type[WorkerSettings | ShimSettings], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        load(kind)
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return printed.err
