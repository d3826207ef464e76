"""The TLS parameters of a Redis or RabbitMQ URL, as arguments of each client library."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_REQUIREMENTS = {"required": True, "cert_required": True, "none": False, "cert_none": False}
_BOOLEANS = {"true": True, "false": False}

TLS_PARAMETERS = frozenset({*_FILES, "ssl_cert_reqs", "ssl_check_hostname"})
"""The parameters that a URL may have, by redis-py's names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """How server and client are verified; by default the server by the system's CAs and its host name."""

    verify: bool = True
    check_hostname: bool = True
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> Self:
        """Parse the parameters of a URL, ignoring others.

        Raises ValueError, which names the parameter, for an unknown value and for a file that cannot be used.
        """
        verify = _one_of(_REQUIREMENTS, query.get("ssl_cert_reqs", "required"), name="ssl_cert_reqs")
        options = cls(
            verify=verify,
            check_hostname=verify
            and _one_of(_BOOLEANS, query.get("ssl_check_hostname", "true"), name="ssl_check_hostname"),
            **dict(zip(("ca_file", "cert_file", "key_file"), map(query.get, _FILES), strict=True)),
        )
        options._require_files()
        return options

    def for_redis(self) -> dict[str, Any]:
        """Return the keyword arguments of redis-py, which kombu passes on."""
        return {
            "ssl_cert_reqs": "required" if self.verify else "none",
            "ssl_check_hostname": self.check_hostname,
            "ssl_ca_certs": self.ca_file,
            "ssl_certfile": self.cert_file,
            "ssl_keyfile": self.key_file,
        }

    def for_amqp(self) -> dict[str, Any]:
        """Return the keyword arguments of py-amqp; `check_hostname` is for `amqps.VerifyingTransport`."""
        return {
            "cert_reqs": ssl.CERT_REQUIRED if self.verify else ssl.CERT_NONE,
            "check_hostname": self.check_hostname,
            "ca_certs": self.ca_file,
            "certfile": self.cert_file,
            "keyfile": self.key_file,
        }

    def _require_files(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            if self.ca_file is not None:
                context.load_verify_locations(self.ca_file)
        except OSError:
            raise ValueError("ssl_ca_certs: must be a file of certificates in PEM form") from None
        try:
            if self.cert_file is not None:
                context.load_cert_chain(
                    self.cert_file, self.key_file, password=""
                )  # without one, an encrypted key would prompt for it
        except OSError:
            raise ValueError("ssl_certfile, ssl_keyfile: must be a certificate and its key in PEM form") from None


def _one_of(values: Mapping[str, bool], value: str, *, name: str) -> bool:
    try:
        return values[value.lower()]
    except KeyError:
        raise ValueError(f"{name}: must be one of {', '.join(v for v in values if '_' not in v)}") from None
