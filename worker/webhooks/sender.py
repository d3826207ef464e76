"""SsrfSafeSender: posts to webhooks, checking each address at the moment it is connected to.

A name that was harmless when it was looked up may resolve to another address a second later (DNS rebinding). So each
connection goes to the very address that was checked; TLS still verifies the name, and the request names it.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from urllib.parse import urlsplit

import httpcore

from worker.jobs.webhook import DeliveryResult
from worker.rate_limit.retry_after import retry_after_s
from worker.webhooks.address_policy import why_refused
from worker.webhooks.url_policy import require_deliverable

_CONNECT_S, _ANSWER_S = 5.0, 10.0
LONGEST_CALL_S = _CONNECT_S + _ANSWER_S  # from the answer of the name server to the last byte
_TIMEOUTS = {"connect": _CONNECT_S, "write": _ANSWER_S, "read": _ANSWER_S}
_MOST_ADDRESSES = 4  # tried one after the other, each for its share of the time to connect
_MOST_READ = 16 * 1024  # bytes of an answer that nobody looks at, so that its sender is not cut off while writing
_FAILURES = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError)

Resolve = Callable[[str, int], Sequence[str]]


class UnknownHostError(httpcore.ConnectError):
    """The name does not resolve to an address."""


class ForbiddenAddressError(httpcore.ConnectError):
    """The name resolves to an address that no webhook may use."""


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host. Raises UnknownHostError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise UnknownHostError from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class SsrfSafeSender:
    """A WebhookSender that follows no redirect, uses no proxy, and gives up after 15 s, however slowly bytes arrive."""

    def __init__(  # noqa: PLR0913 - everything it works with, each by name
        self,
        *,
        allow_private: bool,
        resolve: Resolve = resolve,
        network: httpcore.NetworkBackend | None = None,
        certificates: ssl.SSLContext | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._allow_private = allow_private
        self._resolve = resolve
        self._network = network or httpcore.SyncBackend()
        self._certificates = certificates or httpcore.default_ssl_context()
        self._monotonic = monotonic
        self._clock = clock

    def send(self, url: str, *, headers: Mapping[str, str], body: bytes) -> DeliveryResult:
        try:
            require_deliverable(url, allow_private=self._allow_private)
        except ValueError as error:  # accepted under other settings
            return DeliveryResult(error=f"The URL {error}")
        try:
            return self._post(url, {"Host": urlsplit(url).netloc, **headers}, body)
        except _FAILURES as error:
            return DeliveryResult(error=_in_words(error))

    def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> DeliveryResult:
        network = _CheckedNetwork(
            self._network,
            resolve=self._resolve,
            allow_private=self._allow_private,
            monotonic=self._monotonic,
        )
        with (
            httpcore.ConnectionPool(ssl_context=self._certificates, network_backend=network) as pool,
            pool.stream(
                "POST", url, headers=list(headers.items()), content=body, extensions={"timeout": _TIMEOUTS}
            ) as response,
        ):
            with suppress(*_FAILURES):  # the status has arrived, and nothing else is used
                _read_some(response.iter_stream())
            return DeliveryResult(status=response.status, retry_after_s=_advice_s(response.headers, self._clock))


class _CheckedNetwork(httpcore.NetworkBackend):
    """Connects to hosts all of whose addresses are allowed."""

    def __init__(
        self,
        network: httpcore.NetworkBackend,
        *,
        resolve: Resolve,
        allow_private: bool,
        monotonic: Callable[[], float],
    ) -> None:
        self._network = network
        self._resolve = resolve
        self._allow_private = allow_private
        self._monotonic = monotonic

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - httpcore's signature; ours is for all addresses together
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        # All of them are checked, not only the one that is used: a host with one private address is refused.
        addresses = self._resolve(host, port)
        for address in addresses:
            reason = why_refused(address, allow_private=self._allow_private)
            if reason is not None:
                raise ForbiddenAddressError(f"Its address is not a public one: it is {reason}")
        deadline = _Deadline(LONGEST_CALL_S, self._monotonic)
        failure: httpcore.ConnectError | httpcore.ConnectTimeout = UnknownHostError()
        for address in addresses[:_MOST_ADDRESSES]:
            within_s = _CONNECT_S / min(len(addresses), _MOST_ADDRESSES)
            try:
                stream = self._network.connect_tcp(address, port, within_s, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _BoundedStream(stream, deadline)
        raise failure


class _Deadline:
    """A deadline for several calls."""

    def __init__(self, seconds: float, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._ends_at = monotonic() + seconds

    def cut(self, timeout: float | None) -> float:
        """Return a time-out that ends by the deadline. Raises httpcore.ReadTimeout after it."""
        left_s = self._ends_at - self._monotonic()
        if left_s <= 0:
            raise httpcore.ReadTimeout
        return min(left_s, timeout if timeout is not None else left_s)


class _BoundedStream(httpcore.NetworkStream):
    """A connection with a deadline: a time-out alone would start again with every byte."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.cut(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.cut(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _BoundedStream(
            self._stream.start_tls(ssl_context, server_hostname, self._deadline.cut(timeout)), self._deadline
        )

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


def _read_some(pieces: Iterator[bytes]) -> None:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > _MOST_READ:
            return


def _advice_s(headers: Sequence[tuple[bytes, bytes]], clock: Callable[[], datetime] | None) -> float | None:
    """Read a Retry-After, in seconds or as a date."""
    found = {name.lower(): value.decode("latin-1") for name, value in reversed(headers)}
    return retry_after_s(found.get(b"retry-after"), date=found.get(b"date"), clock=clock)


def _in_words(error: Exception) -> str:
    """Describe a failure without addresses, which may be those of a private network."""
    if isinstance(error, ForbiddenAddressError):
        return str(error)
    causes = list(_causes(error))
    for kind, words in _WORDS:
        if any(isinstance(each, kind) for each in causes):
            return words
    return "The connection broke"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes, by `__context__` too: httpcore raises its own `from None`."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


_WORDS: Sequence[tuple[type[BaseException], str]] = (
    (ssl.SSLCertVerificationError, "Its certificate is not valid for this host, or not trusted"),
    (ssl.SSLError, "No encrypted connection came about"),
    (UnknownHostError, "Its name cannot be resolved"),
    (httpcore.ConnectTimeout, "No connection came about in time"),
    (httpcore.TimeoutException, "No answer came in time"),
    (httpcore.ConnectError, "It cannot be connected to"),
    (httpcore.ProtocolError, "What came was no answer in HTTP"),
)
