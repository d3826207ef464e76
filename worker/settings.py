"""The settings of each kind of process, read from the environment or `.env` once at start, and only here."""

from __future__ import annotations

import os
import sys
from decimal import Decimal
from typing import Any, Literal, Self, TypeVar

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from worker.broker.urls import BrokerAddress, parse_broker_url
from worker.rate_limit.quota import Rate
from worker.records.enabled_types import EnabledTypes
from worker.records.registry import OBJECT_TYPES
from worker.records.scopes import scopes_to_request
from worker.records.types import COMPANIES, CONTACTS, DEALS, NOTES, ExportType
from worker.setting_types import (
    KEY_ALGORITHMS,
    NOTES_KINDS,
    BaseUrl,
    BrokerUrl,
    DatabaseName,
    ExportTypes,
    FernetKeys,
    HttpUrl,
    JwtSecrets,
    LongSecret,
    MongoUri,
    NotesKinds,
    Processes,
    PublicKey,
    RateLimit,
    RedisUrl,
    WebhookSecrets,
    Words,
    algorithms_of,
)

LONGEST_PATIENCE_S = 300.0
"""The maximum of HUBSPOT_TIMEOUT_SECONDS: leases and messages outlive a call that takes so long."""

_HUBAPI = "https://api.hubapi.com"
_DATABASE = "hubspot_export"
_HMAC_ALGORITHMS = ("HS256", "HS384", "HS512")


class _Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore", frozen=True
    )


class BrokerSettings(_Settings):
    """Settings of all processes."""

    celery_broker_url: BrokerUrl = SecretStr("redis://127.0.0.1:6379/0")
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning"] = "info"

    @property
    def broker(self) -> BrokerAddress:
        """The broker's address in the form that Celery takes."""
        return parse_broker_url(self.celery_broker_url.get_secret_value())


class BeatSettings(BrokerSettings):
    """Settings of beat. Without MONGODB_URI it enqueues without checking whether there is anything to do."""

    mongodb_uri: MongoUri | None = None
    mongodb_database: DatabaseName = _DATABASE


class StoreSettings(BrokerSettings):
    """Settings that shim and worker share."""

    mongodb_uri: MongoUri = SecretStr("mongodb://127.0.0.1:27017")
    mongodb_database: DatabaseName = _DATABASE
    redis_url: RedisUrl | None = None
    token_encryption_keys: FernetKeys = ()
    result_ttl_days: float = Field(default=30, gt=0, le=36_500)
    export_types: ExportTypes = EnabledTypes()
    otel_exporter_otlp_endpoint: BaseUrl | None = None
    otel_service_name: str | None = None
    max_stored_bytes_per_account: int = Field(default=0, ge=0)
    webhook_secret: WebhookSecrets = ()
    webhook_allow_private: bool = False

    @model_validator(mode="after")
    def _redis_is_known(self) -> Self:
        if self.redis_url is None and self.broker.redis is None:
            raise ValueError("REDIS_URL: is required when CELERY_BROKER_URL is not Redis")
        return self

    @property
    def redis(self) -> str:
        """The Redis of the limiter and of notifications: the broker's, unless REDIS_URL is set."""
        return (self.redis_url or self.celery_broker_url).get_secret_value()


def _list_address(export_type: ExportType) -> str:
    legacy = OBJECT_TYPES[export_type].legacy_list
    return f"{_HUBAPI}{legacy.path}{'?' if legacy.query else ''}{legacy.query}"


class WorkerSettings(StoreSettings):
    """Settings of the worker."""

    hubspot_client_id: str
    hubspot_client_secret: SecretStr
    hubspot_token_endpoint: HttpUrl = f"{_HUBAPI}/oauth/2026-03/token"
    hubspot_contacts_endpoint: HttpUrl = _list_address(CONTACTS)
    hubspot_companies_endpoint: HttpUrl = _list_address(COMPANIES)
    hubspot_deals_endpoint: HttpUrl = _list_address(DEALS)
    hubspot_notes_endpoint: HttpUrl = _list_address(NOTES)
    hubspot_objects_endpoint: HttpUrl = f"{_HUBAPI}/crm/objects/2026-09"
    hubspot_api: Literal["legacy", "dated", "auto"] = "legacy"
    hubspot_notes_kinds: NotesKinds = NOTES_KINDS
    hubspot_timeout_seconds: float = Field(default=100, ge=1, le=LONGEST_PATIENCE_S)
    export_lanes: int = Field(default=16, ge=1, le=64)
    slice_seconds: float = Field(default=20, gt=0, le=60)
    lease_seconds: float = Field(default=20, ge=2, le=300)
    slots_per_account: int = Field(default=8, ge=0, le=10_000)
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = Field(default=None, ge=1, le=65_535)
    worker_processes: Processes = None
    deletion_guard: Decimal = Field(default=Decimal("0.1"), ge=0, le=1)
    hubspot_rate_limit: RateLimit = Rate(calls=110, seconds=10)

    def list_address(self, export_type: str) -> str:
        """Return the address of a type's legacy list. Raises AttributeError for one that has no setting."""
        address: str = getattr(self, f"hubspot_{export_type}_endpoint")
        return address


def _scopes(read: dict[str, Any]) -> tuple[str, ...]:
    enabled: EnabledTypes = read["export_types"]
    return ("oauth", *scopes_to_request(enabled.kinds))


class ShimSettings(StoreSettings):
    """Settings of the HTTP shim, which needs no HubSpot secret."""

    jwt_secret: JwtSecrets = ()
    jwt_public_key: PublicKey | None = None
    jwt_jwks_url: HttpUrl | None = None
    jwt_algorithms: Words = ()
    jwt_audience: str | None = None
    jwt_issuer: str | None = None
    export_wait_seconds: float = Field(default=25, gt=0, le=3600)
    max_open_jobs_per_account: int = Field(default=1000, ge=0, le=1_000_000_000)
    max_connections: int | None = Field(default=None, ge=16)
    max_requests_per_second: float | None = Field(default=None, ge=0.0001, le=100_000)
    max_waiting_requests_per_caller: int = Field(default=100, ge=0)
    schedule_jitter_seconds: int = Field(default=900, ge=0, le=86_400)
    hubspot_client_id: str | None = None
    hubspot_authorize_url: HttpUrl = "https://app.hubspot.com/oauth/authorize"
    hubspot_redirect_uri: HttpUrl | None = None
    hubspot_scopes: Words = Field(default_factory=_scopes)
    hubspot_optional_scopes: Words = ()
    connect_state_secret: LongSecret | None = None
    connect_return_url: HttpUrl | None = None

    @model_validator(mode="after")
    def _one_way_to_verify(self) -> Self:
        given = [key for key in (self.jwt_secret, self.jwt_public_key, self.jwt_jwks_url) if key]
        if len(given) != 1:
            raise ValueError("JWT_SECRET, JWT_PUBLIC_KEY, JWT_JWKS_URL: exactly one is required")
        possible = self._possible_algorithms
        if not possible:
            raise ValueError("JWT_PUBLIC_KEY: must be an RSA key, or an EC one of P-256, P-384 or P-521, or an Ed one")
        if not set(possible).issuperset(self.algorithms):
            raise ValueError(f"JWT_ALGORITHMS: must be among {', '.join(possible)}, which go with the key")
        return self

    @property
    def _possible_algorithms(self) -> tuple[str, ...]:
        """The signature algorithms of the key, the usual one first."""
        if self.jwt_secret:
            return _HMAC_ALGORITHMS
        return algorithms_of(self.jwt_public_key) if self.jwt_public_key is not None else KEY_ALGORITHMS

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The accepted signature algorithms: pinned, so that a token cannot choose its own."""
        return self.jwt_algorithms or self._possible_algorithms[:1]


_METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client's variable
_STARTED_BY = "HUBSPOT_EXPORT_STARTED_BY"


def environment_of_workers(*, counted_in: str | None) -> dict[str, str]:
    """Return the environment of worker processes that this one starts; `counted_in` is the folder of their metrics."""
    counted = {_METRICS_FOLDER: counted_in} if counted_in is not None else {}
    return {**os.environ, _STARTED_BY: str(os.getpid()), **counted}


def started_by() -> int | None:
    """Return the id of the process that supervises this one, which has to end with it; None: there is none."""
    text = os.environ.get(_STARTED_BY, "")
    return int(text) if text.isdecimal() else None


def is_counted_elsewhere() -> bool:
    """Whether the supervising process serves this one's metrics."""
    return _METRICS_FOLDER in os.environ


SettingsT = TypeVar("SettingsT", bound=_Settings)
_FOLLOWS_ANOTHER = "default_factory_not_called"  # a default that is computed from a setting which is wrong itself


def load(kind: type[SettingsT]) -> SettingsT:
    """Read the settings of one kind of process, or exit with status 2 and one line on stderr."""
    settings, complaints = read(kind)
    if settings is None:
        sys.stderr.write(f"settings: {'; '.join(complaints)}\n")
        raise SystemExit(2)
    return settings


def read(kind: type[SettingsT]) -> tuple[SettingsT | None, list[str]]:
    """Read the settings of one kind of process.

    Where they are invalid, return None and a complaint for each variable: its name and the reason, never the value,
    which may be a secret.
    """
    try:
        return kind(), []
    except ValidationError as error:
        found = [item for item in error.errors() if item["type"] != _FOLLOWS_ANOTHER]
        return None, [_complaint(item["loc"], item["type"], item["msg"]) for item in found]


def _complaint(location: tuple[int | str, ...], kind: str, message: str) -> str:
    reason = "is required" if kind == "missing" else message.removeprefix("Value error, ")
    return f"{str(location[0]).upper()}: {reason}" if location else reason
