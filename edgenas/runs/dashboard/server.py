"""The server of a dashboard: on this computer alone, behind a token, and only to look."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edgenas.core.errors import EdgeNasError, InputError
from edgenas.core.files.inside import read_inside
from edgenas.core.files.run_folder import RunFolder
from edgenas.core.progress import Silent
from edgenas.core.records import to_json
from edgenas.reporting.pages import dashboard as page
from edgenas.reporting.pages import script
from edgenas.runs.dashboard.watch import FolderWatch, run_names

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

ADDRESS = "127.0.0.1"
HOSTS = [ADDRESS, "localhost"]  # as which a browser may ask: not by a name that points here
MOST_LISTENERS = 200
SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_BETWEEN_SIGNS = 15.0  # of life, while nothing changes
_MOST_REPORT_BYTES = 2**26
_ENDING_S = 1  # in which open pages are let go
# A report is somebody's file: it runs edgenas's own scripts alone, as a page of no origin.
_OF_REPORTS = "; frame-ancestors 'none'; sandbox allow-scripts allow-modals"
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # the token is in the address
    "X-Content-Type-Options": "nosniff",
}


def require_installed() -> None:
    """Raise `InputError` where what serves pages is not installed."""
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as problem:
        raise InputError(
            "A dashboard needs Starlette and uvicorn, which are not installed.",
            "Run: pip install 'edgenas[dashboard]'",
        ) from problem


def serve(folder: Path, port: int, tell: Callable[[str], None]) -> None:
    """Serve the dashboard of a folder until an interrupt; `tell` takes its address.

    port : 0 for a free one.

    Raises
    ------
    InputError : there is no such folder, the port is taken, or Starlette is not installed.
    """
    require_installed()
    import uvicorn

    if not folder.is_dir():
        raise InputError(
            f"There is no folder {folder}.",
            "Name the folder that holds your runs: edgenas dashboard FOLDER",
        )
    if RunFolder(folder).config.exists():
        raise InputError(
            f"{folder} is a run.", f"Name the folder that it is in: edgenas dashboard {folder}/.."
        )
    token = secrets.token_urlsafe(32)
    with contextlib.closing(listening(port)) as listener:
        config = uvicorn.Config(
            application(folder, token),
            log_level="error",
            access_log=False,  # the token is in every address
            server_header=False,
            timeout_graceful_shutdown=_ENDING_S,
        )
        address = f"http://{ADDRESS}:{listener.getsockname()[1]}/{token}/"

        class Server(uvicorn.Server):  # type: ignore[misc]
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                tell(address)  # not before: uvicorn may lose an interrupt while it begins

        Server(config).run(sockets=[listener])


def listening(port: int) -> socket.socket:
    """Return a socket of this computer alone on `port`, 0 for a free one; `InputError` if taken."""
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((ADDRESS, port))
    except OSError as problem:
        listener.close()
        raise InputError(
            f"Cannot listen on port {port}: {problem.strerror}.",
            "Choose another --port, or leave it out.",
        ) from problem
    return listener


def application(folder: Path, token: str) -> Starlette:
    """Return the application: the page, its events, reports and comparisons, behind the token."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.routing import Route

    pages = _Pages(folder, token)
    return Starlette(
        routes=[
            Route("/{token}/", pages.behind_token(pages.show), methods=["GET"]),
            Route("/{token}/events", pages.behind_token(pages.events), methods=["GET"]),
            Route("/{token}/compare", pages.behind_token(pages.compare), methods=["GET"]),
            Route(
                "/{token}/{run:path}/report.html",
                pages.behind_token(pages.report),
                methods=["GET"],
            ),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False)],
    )


class _Pages:
    def __init__(self, folder: Path, token: str) -> None:
        self._named, self._root, self._token = str(folder), folder.resolve(), token.encode()
        self._states = _States(self._root)
        self._comparing = asyncio.Lock()  # a comparison takes seconds of a core

    def behind_token(
        self, answer: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Return `answer` for who has the token; others learn nothing, not even by the time."""

        async def checked(request: Request) -> Response:
            given = request.path_params["token"].encode("utf-8", "surrogatepass")
            if not secrets.compare_digest(given, self._token):
                return _text("Not found", 404)
            return await answer(request)

        return checked

    async def show(self, request: Request) -> Response:
        return _html(page.render(self._named), page.policy())

    async def events(self, request: Request) -> Response:
        from starlette.responses import StreamingResponse

        if self._states.listeners >= MOST_LISTENERS:
            return _text("Too many pages are open.", 503)
        return StreamingResponse(
            self._states.events(), media_type="text/event-stream", headers=_HEADERS
        )

    async def report(self, request: Request) -> Response:
        name = request.path_params["run"]
        if name not in await asyncio.to_thread(lambda: set(run_names(self._root))):
            return _text("There is no such run.", 404)
        file = f"{name}/{RunFolder.report.name}"
        try:
            content = await asyncio.to_thread(read_inside, self._root, file, _MOST_REPORT_BYTES)
        except EdgeNasError as problem:
            return _text(str(problem), 404)
        return _html(content, script.policy() + _OF_REPORTS)

    async def compare(self, request: Request) -> Response:
        names = request.query_params.getlist("run")
        known = await asyncio.to_thread(lambda: set(run_names(self._root)))
        if not set(names) <= known:
            return _text("There is no such run.", 404)
        async with self._comparing:
            try:
                comparison = await asyncio.to_thread(self._compared, names)
            except EdgeNasError as problem:
                return _text(str(problem), 409)
        return _html(comparison, script.policy() + _OF_REPORTS)

    def _compared(self, names: list[str]) -> str:
        from edgenas.runs.boards import compare_runs

        paths = [self._root / name for name in names]
        for path in paths:
            folder = RunFolder(path)
            folder.require_inside()
            folder.require(folder.store, "measure")  # to open one that is not there would make it
        return compare_runs.page(paths, self._root, Silent())


class _States:
    """What the runs are at, looked at once for all pages that are open, and not without one."""

    def __init__(self, root: Path) -> None:
        self.listeners = 0
        self._watch = FolderWatch(root)
        self._text = ""
        self._number = 0
        self._looked_s = -SECONDS_BETWEEN_LOOKS
        self._looking = asyncio.Lock()

    async def events(self) -> AsyncIterator[str]:
        """Yield what changed as server-sent events, the first at once."""
        self.listeners += 1
        seen, told_s = 0, 0.0
        loop = asyncio.get_running_loop()
        try:
            while True:
                await self._look()
                now_s = loop.time()
                if seen != self._number:
                    seen, told_s = self._number, now_s
                    yield f"data: {self._text}\n\n"
                elif now_s - told_s > _SECONDS_BETWEEN_SIGNS:
                    told_s = now_s
                    yield ": nothing changed\n\n"
                await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
        finally:
            self.listeners -= 1

    async def _look(self) -> None:
        """Look at the runs, unless that was done a moment ago for another page."""
        async with self._looking:
            loop = asyncio.get_running_loop()
            if loop.time() - self._looked_s < SECONDS_BETWEEN_LOOKS:
                return
            state = await asyncio.to_thread(self._watch.look)
            text = json.dumps(to_json(state), allow_nan=False)
            self._looked_s = loop.time()
            if text != self._text:
                self._text, self._number = text, self._number + 1


def _html(content: str | bytes, policy: str) -> Response:
    from starlette.responses import HTMLResponse

    return HTMLResponse(content, headers={**_HEADERS, "Content-Security-Policy": policy})


def _text(content: str, status: int) -> Response:
    from starlette.responses import PlainTextResponse

    return PlainTextResponse(content, status, headers=_HEADERS)
