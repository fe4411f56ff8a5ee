"""A real uvicorn on a free loopback port, in a thread of its own."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette

if TYPE_CHECKING:
    from typing_extensions import Self

_BACKLOG = 128


class Server:
    """Serves *app* from entering to leaving; requests may be sent at once.

    A thread, because uvicorn leaves signals alone there: they are the demo's to handle. A daemon,
    because a second Ctrl-C must not wait for it.
    """

    def __init__(self, app: Starlette) -> None:
        # Bound here and handed over, so that nobody can take the port in between. It listens
        # already, so that a client need not ask whether the server is up: it is let in when it is.
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", access_log=False, lifespan="on", ws="none")
        )
        self._thread = threading.Thread(target=self._serve, name="uvicorn", daemon=True)

    def _serve(self) -> None:
        with self._socket:  # closed even if the app cannot start, so that its clients are told
            self._uvicorn.run(sockets=[self._socket])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self._uvicorn.should_exit = True
        self._thread.join()
