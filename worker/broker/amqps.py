"""RabbitMQ over TLS, with the certificate checked against the host of each connection, also with several URLs."""

from __future__ import annotations

from typing import Any

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.pyamqp import SSLTransport


def install() -> None:
    """Register the transport for `amqps://` in this process. Idempotent.

    By the name of the scheme: kombu forgets any other choice of transport when it fails over to the next URL.
    """
    TRANSPORT_ALIASES["amqps"] = f"{__name__}:VerifyingTransport"


class VerifyingTransport(SSLTransport):
    """Gives py-amqp the host name to verify, without which it verifies none.

    kombu would pass the name of the first URL for all of them, and 127.0.0.1 where the URL has localhost.
    """

    def establish_connection(self) -> Any:  # noqa: ANN401 - kombu's signature
        """Connect, and require a certificate for the host name in the URL."""
        client: Any = self.client
        host, options = client.hostname, dict(client.ssl) if isinstance(client.ssl, dict) else {}
        if options.pop("check_hostname", True):
            options["server_hostname"] = host
        configured, client.ssl = client.ssl, options or True
        try:
            return super().establish_connection()
        finally:
            client.ssl, client.hostname = configured, host
