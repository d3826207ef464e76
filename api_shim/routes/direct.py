"""DirectRoutes: the busiest routes, reached and answered without FastAPI, which documents them."""

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
    """A route of FastAPI's, and what answers it: the same function, with arguments that were read by hand.

    `path` is a template with parameters, which the request has as its `path_params`.
    """

    method: str
    path: str
    documented: BaseRoute
    answer: Answer


class DirectRoutes:
    """Stands before the application and passes on what is for none of its routes.

    To find a route and solve its dependencies FastAPI needs several times what all else does that belongs to a job's
    submission. Errors of ours become answers here as there; a bug is answered, logged and raised by the same
    middleware.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[DirectRoute], *, of: FastAPI) -> None:
        self._app = app
        self._of = of
        self._routes = [(route.method, compile_path(route.path)[0], route) for route in routes]
        self._guarded = ServerErrorMiddleware(self._answer, handler=of.exception_handlers[Exception])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
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
