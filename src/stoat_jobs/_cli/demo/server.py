"""A real uvicorn on a loopback port, in a thread of its own."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from functools import partial
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.types import Message, Receive, Scope, Send

from ..._demo.app import HOST

_BACKLOG = 128
_POLL = 0.2  # seconds between two checks whether the server is stopping


class Server:
    """Serves *app* on *port* (0: a free one); requests may be sent as soon as this is created.

    It runs in a thread, because there uvicorn does not handle signals, which the demo does itself.
    It is a daemon thread, so that the process can exit without it.

    Raises:
        OSError: the port is in use, or using it is not allowed.
    """

    def __init__(self, app: Starlette, port: int = 0) -> None:
        self._socket = _listening(port)
        self.url = f"http://{HOST}:{self._socket.getsockname()[1]}"
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(
                self._until_stopped(app),
                log_level="warning",
                access_log=False,
                lifespan="on",
                ws="none",
            )
        )
        self._thread = threading.Thread(target=self._serve, name="uvicorn", daemon=True)

    def _serve(self) -> None:
        with self._socket:  # closed even if the app cannot start, so that clients notice
            self._uvicorn.run(sockets=[self._socket])

    def _until_stopped(self, app: Starlette) -> Any:
        """*app*, but when the server stops, every client seems to disconnect.

        uvicorn does not tell open requests that it is stopping, and waits for them (uvicorn#451).
        A request that follows jobs may never end. ``stoat_jobs.http`` notices when uvicorn handles
        a signal, but uvicorn does not handle signals in a thread.
        """

        async def until_stopped(scope: Scope, receive: Receive, send: Send) -> None:
            await app(scope, partial(self._received, receive), send)

        return until_stopped

    async def _received(self, receive: Receive) -> Message:
        message = asyncio.ensure_future(receive())
        try:
            while not (await asyncio.wait({message}, timeout=_POLL))[0]:
                if self._uvicorn.should_exit:
                    return {"type": "http.disconnect"}
            return message.result()
        finally:
            message.cancel()

    def start(self) -> None:
        """Start serving."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the server gracefully, and wait until it has stopped."""
        self._uvicorn.should_exit = True
        while self._thread.is_alive():
            self._thread.join(0.1)  # without a timeout it may miss a signal on Python 3.13


def _listening(port: int) -> socket.socket:
    """A listening socket.

    It is bound here, so that no other process can take the free port in between. It listens
    already, so that clients can connect at once and need not check whether the server is up.
    """
    # asyncio sets TCP_NODELAY only if the socket's proto is TCP (python/cpython#148783). Without
    # it each answer takes 40 ms longer.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":  # otherwise the port is in use for a minute after a server stopped
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((HOST, port))
    listening.listen(_BACKLOG)
    return listening
