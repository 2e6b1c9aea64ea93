"""Pages for people: the API's own documentation and the console's built files."""

import mimetypes
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from aiohttp import web

DOCS: Final = Path(__file__).parent / "docs_page"
_DOCS_FILES: Final = {"docs.css": "text/css", "docs.js": "text/javascript"}
_HASHED: Final = "/assets/"  # Vite puts the hash of the content into these names

_NO_CONSOLE: Final = """<!doctype html><html lang="en"><meta charset="utf-8">
<title>GB/T 28181 platform</title>
<style>body{font:16px/1.6 system-ui,sans-serif;max-width:40rem;margin:4rem auto}</style>
<h1>The platform runs; the console is not built</h1>
<p>Build it with <code>make console</code> and load this page again.
The API is described at <a href="/api/docs">/api/docs</a>.</p>
<p lang="zh">平台已运行，但控制台尚未构建。请执行 <code>make console</code> 后刷新本页。
接口说明见 <a href="/api/docs">/api/docs</a>。</p></html>
"""


def add_docs_page(app: web.Application, openapi: bytes) -> None:
    async def document(request: web.Request) -> web.StreamResponse:
        return web.Response(body=openapi, content_type="application/json")

    async def page(request: web.Request) -> web.StreamResponse:
        return web.Response(body=index, content_type="text/html", charset="utf-8")

    async def part(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in parts:
            raise web.HTTPNotFound
        return web.Response(body=parts[name], content_type=_DOCS_FILES[name], charset="utf-8")

    index = (DOCS / "index.html").read_bytes()
    parts = {name: (DOCS / name).read_bytes() for name in _DOCS_FILES}
    app.router.add_get("/api/openapi.json", document)
    app.router.add_get("/api/docs", page)
    app.router.add_get("/api/docs/{name}", part)


def add_console(app: web.Application, static: Path) -> None:
    """Serve the console at ``/``; unknown pages are the console's own (its router decides)."""
    app.router.add_get("/{path:.*}", console_handler(static))


def console_handler(static: Path) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    root = static.resolve()

    async def handle(request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        if path.startswith("api/") or path in ("api", "metrics"):
            raise web.HTTPNotFound
        found = _file(root, path)
        if found is None and _looks_like_file(path):
            raise web.HTTPNotFound
        target = found or _file(root, "index.html")
        if target is None:
            return web.Response(
                text=_NO_CONSOLE, content_type="text/html", charset="utf-8", status=503
            )
        hashed = found is not None and _HASHED in f"/{path}"
        cache = "public, max-age=31536000, immutable" if hashed else "no-cache"
        kind = mimetypes.guess_type(target.name)[0] or "application/octet-stream"
        return web.FileResponse(target, headers={"Cache-Control": cache, "Content-Type": kind})

    return handle


def _file(root: Path, path: str) -> Path | None:
    """A regular file inside ``root``, or ``None``; links and ``..`` do not lead out."""
    if not path or "\0" in path:
        return None
    try:
        candidate = (root / path).resolve()
        inside = candidate.is_relative_to(root) and candidate.is_file()
    except (OSError, RuntimeError):  # a name longer than any file's; a loop of links
        return None
    return candidate if inside else None


def _looks_like_file(path: str) -> bool:
    return "." in path.rpartition("/")[2]
