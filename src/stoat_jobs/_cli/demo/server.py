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
_LOOK = 0.2  # seconds between two looks at whether the server stops


class Server:
    """Serves *app* on *port*, 0 for a free one; requests may be sent as soon as it is made.

    A thread, because uvicorn leaves signals alone there: they are the demo's to handle. A daemon,
    because the process can end without it.

    Raises:
        OSError: the port is taken, or not ours to take.
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
        with self._socket:  # closed even if the app cannot start, so that its clients are told
            self._uvicorn.run(sockets=[self._socket])

    def _until_stopped(self, app: Starlette) -> Any:
        """*app*, to which every client leaves when the server stops.

        uvicorn waits for open requests and tells them nothing, and one that follows jobs may have
        no end. Where it handles signals ``stoat_jobs.http`` sees that, but not in a thread.
        """

        async def until_stopped(scope: Scope, receive: Receive, send: Send) -> None:
            await app(scope, partial(self._received, receive), send)

        return until_stopped

    async def _received(self, receive: Receive) -> Message:
        message = asyncio.ensure_future(receive())
        try:
            while not (await asyncio.wait({message}, timeout=_LOOK))[0]:
                if self._uvicorn.should_exit:
                    return {"type": "http.disconnect"}
            return message.result()
        finally:
            message.cancel()

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Have the app end in good order, and wait for it."""
        self._uvicorn.should_exit = True
        while self._thread.is_alive():
            self._thread.join(0.1)  # for ever, it may miss a signal on Python 3.13


def _listening(port: int) -> socket.socket:
    """A socket, bound here so that nobody can take a free port in between.

    It listens already, so that a client need not ask whether the server is up: it is let in when
    it is.
    """
    # asyncio turns Nagle's delay (40 ms for each answer) off for sockets that say they are TCP.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":  # else a port stays taken for a minute after its last server
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((HOST, port))
    listening.listen(_BACKLOG)
    return listening
