"""The types of settings: how the text of each is parsed and checked; no complaint holds a value."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode
from pymongo.errors import ConfigurationError, InvalidURI
from pymongo.uri_parser import parse_uri

from worker.broker.redis_urls import parse_redis_url
from worker.broker.urls import parse_broker_url
from worker.rate_limit.quota import Rate
from worker.records.activity_kinds import ACTIVITY_KINDS
from worker.records.enabled_types import EnabledTypes

_SHORTEST_SECRET = 32
_MOST_PROCESSES = 256
_RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_EC_ALGORITHMS = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
NOTES_KINDS = tuple(kind.path for kind in ACTIVITY_KINDS)
KEY_ALGORITHMS = (*_RSA_ALGORITHMS, *_EC_ALGORITHMS.values(), "EdDSA")


def _check_url(value: str, *schemes: str) -> None:
    starts = " or ".join(f"{scheme}://" for scheme in schemes)
    try:
        parts = urlsplit(value)
        sound = parts.scheme in schemes and parts.hostname and parts.port != 0 and not parts.fragment
    except ValueError:
        sound = False
    if not sound:
        raise ValueError(f"must be a URL that starts with {starts}, with a host and a valid port")


def _readable_by(parse: Callable[[str], object]) -> AfterValidator:
    def check(value: SecretStr) -> SecretStr:
        parse(value.get_secret_value())
        return value

    return AfterValidator(check)


def _http_url(value: str) -> str:
    _check_url(value, "https", "http")
    return value


def _base_url(value: str) -> str:
    if "?" in value:
        raise ValueError("must be a base address, without a query")
    return _http_url(value)


def _mongodb_uri(value: SecretStr) -> SecretStr:
    uri = value.get_secret_value()
    if uri.startswith("mongodb+srv://"):  # validated without the DNS look-up of its members
        uri = f"mongodb://{uri.removeprefix('mongodb+srv://')}"
    try:
        parse_uri(uri)
    except (InvalidURI, ConfigurationError, ValueError):
        raise ValueError("must be a MongoDB URI: mongodb://host[:port][,…]/?options") from None
    return value


def _database_name(value: str) -> str:
    if not re.fullmatch(r'[^/\\. "$*<>:|?\x00]{1,63}', value):
        raise ValueError('must be 1 to 63 characters without any of /\\. "$*<>:|?')
    return value


def _public_key(value: str) -> str:
    pem = value.replace("\\n", "\n")  # many deployment tools do not allow line breaks in variables
    try:
        load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("must be a public key in PEM form") from None
    return pem


def algorithms_of(pem: str) -> tuple[str, ...]:
    """Return the signature algorithms of a public key, the usual one first; none for unsupported keys."""
    match load_pem_public_key(pem.encode()):
        case RSAPublicKey():
            return _RSA_ALGORITHMS
        case EllipticCurvePublicKey(curve=curve) if curve.name in _EC_ALGORITHMS:
            return (_EC_ALGORITHMS[curve.name],)
        case Ed25519PublicKey() | Ed448PublicKey():
            return ("EdDSA",)
        case _:
            return ()


def _words(value: object) -> object:
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


def _keys(value: object) -> object:
    return tuple(SecretStr(key.strip()) for key in value.split(",")) if isinstance(value, str) else value


def _one_or_several(value: object) -> object:
    """Split at commas; a single secret keeps the spaces around it."""
    return _keys(value) if isinstance(value, str) and "," in value else (value,) if isinstance(value, str) else value


def _fernet_keys(value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    # Fernet ignores what follows the "=" of a key, which may be another key.
    if not all(re.fullmatch(r"[A-Za-z0-9_-]{43}=", key.get_secret_value()) for key in value):
        raise ValueError("must be Fernet keys, 32 bytes in URL-safe base64 each, separated by commas")
    return value


def _long_secret(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < _SHORTEST_SECRET:
        raise ValueError(f"must have at least {_SHORTEST_SECRET} characters")
    return value


def _jwt_secrets(value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    # RFC 7518, 3.2: a key for HS256 has at least 256 bits. A shorter one can be brute-forced from a single JWT.
    if not all(len(secret.get_secret_value().encode()) >= _SHORTEST_SECRET for secret in value):
        raise ValueError(f"must have at least {_SHORTEST_SECRET} bytes; several, newest first, are separated by commas")
    return value


def _webhook_secrets(value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if not all(re.fullmatch(rf"[!-~]{{{_SHORTEST_SECRET},}}", secret.get_secret_value()) for secret in value):
        raise ValueError(f"must be secrets of {_SHORTEST_SECRET} visible characters or more, separated by commas")
    return value


def _notes_kinds(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value or not set(value).issubset(NOTES_KINDS):
        raise ValueError(f"must be one or more of {', '.join(NOTES_KINDS)}")
    return tuple(each for each in NOTES_KINDS if each in value)


def _rate(value: object) -> object:
    return Rate.parse(value) if isinstance(value, str) else value


def _enabled(value: object) -> object:
    return EnabledTypes.parse(value) if isinstance(value, str) else value


def _processes(value: object) -> object:
    """Parse `auto` as None: one for each core."""
    if isinstance(value, str) and value.strip() == "auto":
        return None
    try:
        number = int(str(value)) if value is not None else None
    except ValueError:
        number = 0
    if number is not None and not 1 <= number <= _MOST_PROCESSES:
        raise ValueError(f"must be auto, or a number from 1 to {_MOST_PROCESSES}")
    return number


HttpUrl = Annotated[str, AfterValidator(_http_url)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
RedisUrl = Annotated[SecretStr, _readable_by(parse_redis_url)]
BrokerUrl = Annotated[SecretStr, _readable_by(parse_broker_url)]
LongSecret = Annotated[SecretStr, AfterValidator(_long_secret)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
NotesKinds = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words), AfterValidator(_notes_kinds)]
MongoUri = Annotated[SecretStr, AfterValidator(_mongodb_uri)]
DatabaseName = Annotated[str, AfterValidator(_database_name)]
PublicKey = Annotated[str, AfterValidator(_public_key)]
FernetKeys = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_keys), AfterValidator(_fernet_keys)]
JwtSecrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_one_or_several), AfterValidator(_jwt_secrets)]
WebhookSecrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_keys), AfterValidator(_webhook_secrets)]
ExportTypes = Annotated[EnabledTypes, NoDecode, BeforeValidator(_enabled)]
RateLimit = Annotated[Rate | None, NoDecode, BeforeValidator(_rate)]
Processes = Annotated[int | None, NoDecode, BeforeValidator(_processes)]
