"""DirectRoutes: the busiest routes, dispatched without FastAPI, which only documents them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from fastapi import FastAPI, Request, Response
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.routing import BaseRoute, compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from api_shim.responses.errors import answer_of
from worker.errors import ExportError

Answer = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectRoute:
    """A route of FastAPI, and the function that answers it: the same one, with arguments read by hand.

    `path` is a template; its parameters become the request's `path_params`.
    """

    method: str
    path: str
    documented: BaseRoute
    answer: Answer


class DirectRoutes:
    """ASGI middleware in front of the application, which gets all other requests.

    FastAPI takes several times as long to find a route and to solve its dependencies as everything else that belongs to
    the submission of a job. Errors become answers as in FastAPI; a bug is answered, logged and raised by the same
    middleware.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[DirectRoute], *, of: FastAPI) -> None:
        self._app = app
        self._of = of
        self._routes = [(route.method, compile_path(route.path)[0], route) for route in routes]
        self._guarded = ServerErrorMiddleware(self._answer, handler=of.exception_handlers[Exception])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Behind a root path the templates would not match as they do in FastAPI.
        if scope["type"] == "http" and not scope.get("root_path"):
            for method, pattern, route in self._routes:
                if method == scope["method"] and (found := pattern.match(scope["path"])):
                    scope["app"], scope["route"] = self._of, route.documented
                    scope["path_params"], scope["direct_route"] = found.groupdict(), route
                    await self._guarded(scope, receive, send)
                    return
        await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        route: DirectRoute = scope["direct_route"]
        try:
            response = await route.answer(Request(scope, receive, send))
        except ExportError as error:
            response = answer_of(error)
        await response(scope, receive, send)
