"""The HTTP site: one aiohttp runner, its port, and its end."""

import errno
import socket
from contextlib import suppress

from aiohttp import web

from api.settings import HttpSettings
from app.errors import StartError

SHUTDOWN = 2.0
"""Seconds that running requests get at the end; event streams and viewers would never end."""


class HttpSite:
    def __init__(self, application: web.Application, settings: HttpSettings) -> None:
        self._settings = settings
        self._runner = web.AppRunner(
            application, access_log=None, shutdown_timeout=SHUTDOWN, handle_signals=False
        )
        self.port = 0
        """The port in use, once started."""

    async def start(self) -> None:
        """
        :raises StartError: when the port is taken or the address is not ours
        """
        await self._runner.setup()
        listener = bind(self._settings.host, self._settings.port)
        self.port = listener.getsockname()[1]
        await web.SockSite(self._runner, listener, backlog=1024).start()

    async def close(self) -> None:
        await self._runner.cleanup()


def bind(host: str, port: int) -> socket.socket:
    """A listening TCP socket.

    :raises StartError: when the port is taken or the address is not ours
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        with suppress(OSError):
            listener.close()
        raise StartError(_reason(error, host, port)) from error
    return listener


def _reason(error: Exception, host: str, port: int) -> str:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return (
            f"TCP port {port} is taken by another program. Stop that program, or give another port"
            f" in [http] port."
        )
    if number == errno.EACCES:
        return f"TCP port {port} needs root. Give a port above 1023 in [http] port."
    return f"{host}:{port} cannot be listened at ({error}). Give another address in [http] host."
