"""The wire: sends requests and receives answers, each with a time-out for the whole of it."""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.wait import wait_for_read

from worker.rate_limit.permits import DELIVERY_S

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_MOST_HOSTS = 16  # the settings name a handful
_MOST_IDLE = 128  # connections to a host, about as many as calls can be under way in a process
_LOOK_EVERY_S = 0.5  # whether the answer is still wanted
_MOST_INTERIM = 20  # answers before the one that counts
_FIRST_INTERIM, _SWITCHING, _FIRST_FINAL = 100, 101, 200
_WITHOUT_BODY = frozenset({204, 304})
_GIVEN_UP = (
    [(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(DELIVERY_S * 1000))]
    if hasattr(socket, "TCP_USER_TIMEOUT")  # Linux only
    else []
)
_SOCKET_OPTIONS = [*HTTPConnection.default_socket_options, *_GIVEN_UP]


class WireAdapter(HTTPAdapter):
    """An adapter whose read time-out is that of a whole answer, from the request's last byte to the body's.

    `requests` has a time-out between two bytes only: an answer that drips would never end, its headers least of all.
    While an answer is waited for, `is_given_up` is asked twice a second, in the thread that waits: once it says so the
    call ends as if its time were over.

    `before_leaving` is called when the connection stands, right before the first byte of a request is written, in the
    thread that writes it; nothing is written where it raises. What the other end has not acknowledged after DELIVERY_S
    the kernel does not send again, even if the process has ended meanwhile.

    What the environment says of proxies and certificates is looked up with the first call to a host and holds for all
    that follow: for every call anew it would be a quarter of what a page costs.
    """

    def __init__(self, *, before_leaving: Callable[[], None], is_given_up: Callable[[], bool]) -> None:
        self._before_leaving = before_leaving
        self._is_given_up = is_given_up
        self._routes: dict[str, _Route] = {}
        super().__init__(pool_connections=_MOST_HOSTS, pool_maxsize=_MOST_IDLE, max_retries=0)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - HTTPAdapter's
        """Make the pools of direct connections."""
        super().init_poolmanager(*arguments, **options | {"socket_options": _SOCKET_OPTIONS})
        self._set_up(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:  # noqa: ANN401 - HTTPAdapter's
        """Make the pools of connections by a proxy, where the environment names one."""
        manager = super().proxy_manager_for(proxy, **options | {"socket_options": _SOCKET_OPTIONS})
        self._set_up(manager)
        return manager

    def get_connection_with_tls_context(self, request: PreparedRequest, *_: Any, **__: Any) -> HTTPConnectionPool:  # noqa: ANN401 - HTTPAdapter's
        """Return the connections by which the request's host is reached."""
        return self._route_of(request).pool

    def cert_verify(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 - HTTPAdapter's
        """Do nothing: connections got their certificates when their route was found."""

    def request_url(self, request: PreparedRequest, *_: Any, **__: Any) -> str:  # noqa: ANN401 - HTTPAdapter's
        """Return what stands in the request's first line: the path, or for a proxy without a tunnel all of it."""
        return super().request_url(request, self._route_of(request).proxies)

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:  # noqa: ANN401 - urllib3's
        """Return the answer, without the cookies: one account's must not reach another."""
        return _PlainResponse(req, resp)

    def _route_of(self, request: PreparedRequest) -> _Route:
        url = str(request.url)
        origin = url[: url.index("/", len("https://"))]
        route = self._routes.get(origin)
        if route is None or route.pool.pool is None:  # closed, since there were too many hosts
            found = Session().merge_environment_settings(url, {}, None, None, None)
            proxies, verify = dict(found["proxies"]), found["verify"]
            pool = super().get_connection_with_tls_context(request, verify, proxies=proxies)
            super().cert_verify(pool, url, verify, None)  # type: ignore[no-untyped-call] # by its stubs
            route = self._routes[origin] = _Route(pool, proxies)  # type: ignore[arg-type] # no stub names its class
        return route

    def _set_up(self, manager: PoolManager) -> None:
        pools = {"http": (HTTPConnectionPool, _Connection), "https": (HTTPSConnectionPool, _SecureConnection)}
        manager.pool_classes_by_scheme = {  # they are called, and nothing else
            scheme: partial(self._pool, *classes)  # type: ignore[misc]
            for scheme, classes in pools.items()
        }

    def _pool(
        self,
        pool_class: Callable[..., HTTPConnectionPool],
        connection_class: type[_Connection | _SecureConnection],
        *arguments: Any,  # noqa: ANN401 - urllib3's
        **options: Any,  # noqa: ANN401 - urllib3's
    ) -> HTTPConnectionPool:
        def connect(**options: Any) -> HTTPConnection:  # noqa: ANN401 - urllib3's
            connection = connection_class(**options)
            connection.before_leaving = self._before_leaving
            connection.response_class = partial(_Answer, is_given_up=self._is_given_up)  # type: ignore[assignment]
            return connection

        pool = pool_class(*arguments, **options)
        pool.ConnectionCls = connect  # type: ignore[assignment] # it is called, and nothing else
        return pool


@dataclass(frozen=True, slots=True)
class _Route:
    """How a host is reached: the connections to it, or to a proxy, and the proxies that the environment names."""

    pool: HTTPConnectionPool
    proxies: dict[str, str]


class _PlainResponse(Response):
    """As much of a response as is read here. That of `requests` makes a cookie jar first, which costs 20 µs."""

    def __init__(self, request: PreparedRequest, raw: Any) -> None:  # noqa: ANN401 - urllib3's
        self._content_consumed = False
        self.status_code, self.reason = raw.status, raw.reason
        self.headers, self.raw, self.request = raw.headers, raw, request
        self.url = str(request.url)


class _Leaving(HTTPConnection):
    """Checks whether a request may leave, right before it is written."""

    before_leaving: Callable[[], None]

    def endheaders(self, message_body: Any = None, *, encode_chunked: bool = False) -> None:  # noqa: ANN401 - http.client's
        """Write the head, and the body as far as it is buffered."""
        if self.sock is None:
            self.connect()
        self.before_leaving()
        super().endheaders(message_body, encode_chunked=encode_chunked)


class _Connection(_Leaving):
    pass


class _SecureConnection(_Leaving, HTTPSConnection):
    pass


class _Answer(http.client.HTTPResponse):
    """The answer that counts. The library leaves out 100 only, and takes early hints (103) for the whole answer.

    What follows those would then stand on a connection that is used again, as the answer to somebody else's call.
    """

    def __init__(self, sock: socket.socket, *arguments: Any, is_given_up: Callable[[], bool], **options: Any) -> None:  # noqa: ANN401 - http.client's
        super().__init__(sock, *arguments, **options)
        within_s = sock.gettimeout()
        until = time.monotonic() + (within_s if within_s is not None else float("inf"))
        self.fp = io.BufferedReader(_Bounded(self.fp.detach(), sock, until=until, is_given_up=is_given_up))

    def begin(self) -> None:
        """Read the head; that of a protocol that was switched to (101) is the last one that can be read."""
        super().begin()
        for _ in range(_MOST_INTERIM):
            if not _FIRST_INTERIM <= self.status < _FIRST_FINAL or self.status == _SWITCHING:
                break
            self.headers = self.msg = None  # type: ignore[assignment] # as before the first head
            super().begin()
        if self.status < _FIRST_FINAL or self.status in _WITHOUT_BODY:
            self.will_close = True  # whatever follows all the same is nobody's answer


class _Bounded(io.RawIOBase):
    """A socket's bytes until an instant, or until they are not wanted any more."""

    def __init__(
        self, raw: io.RawIOBase, sock: socket.socket, *, until: float, is_given_up: Callable[[], bool]
    ) -> None:
        super().__init__()
        self._raw = raw
        self._sock = sock
        self._until = until
        self._is_given_up = is_given_up

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        self._wait()
        self._sock.settimeout(self._left_s())
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        try:
            self._raw.close()
        finally:
            super().close()

    def _wait(self) -> None:
        """Wait for bytes. Those of an answer that drips are always there, so the question comes first."""
        while not self._is_given_up():
            if self._has_bytes() or wait_for_read(self._sock, timeout=min(self._left_s(), _LOOK_EVERY_S)):
                return
        raise TimeoutError("The answer is not waited for any more")

    def _has_bytes(self) -> bool:
        """Whether TLS has some that the socket does not show."""
        pending = getattr(self._sock, "pending", None)
        return pending is not None and pending() > 0

    def _left_s(self) -> float:
        left_s = self._until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("The answer does not come to an end")
        return left_s
