"""`/docs`: the OpenAPI document for people, with files of our own: it works where nothing outside can be reached."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.staticfiles import StaticFiles

router = APIRouter(include_in_schema=False)

ASSETS = "/docs/assets"


def assets() -> StaticFiles:
    """Give Swagger UI's files, as a package carries them."""
    return StaticFiles(packages=[("fastapi_offline", "static")])


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Show the API, and let it be tried."""
    return get_swagger_ui_html(
        title=request.app.title,
        openapi_url=request.app.openapi_url,
        swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{ASSETS}/favicon.png",
    )
