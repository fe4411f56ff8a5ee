"""How each server is told to serve an app at an address that is nobody else's."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
LOG_CONFIG = str(HERE / "log_config.json")

SERVERS = ("uvicorn", "hypercorn", "granian")

# What each worker logs when it serves.
SERVING = {
    "uvicorn": "Application startup complete.",
    "hypercorn": "Running on",
    "granian": "Started worker-",
}

UVICORN_BY_ENVIRONMENT = "uvicorn, by its environment"
GUNICORN_WORKERS = {"gunicorn": "uvicorn_worker.UvicornWorker", "gunicorn's own": "asgi"}


class Address:
    """A port of this machine, held as long as servers come and go there."""

    def __init__(self) -> None:
        self.socket = socket.socket()
        # granian binds the port itself, in the same way; the others are handed the socket.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.socket.bind(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]

    @property
    def fd(self) -> int:
        return self.socket.fileno()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.socket.close()


@dataclass(frozen=True)
class Launch:
    """What to start."""

    server: str
    workers: int = 1
    loop: str = "asyncio"
    app: str = "served:with_queue"
    settings: Mapping[str, Any] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    app_dir: Path = HERE

    @property
    def processes(self) -> int:
        """How many serve; hypercorn without workers does so itself."""
        return max(1, self.workers)

    def command(self, address: Address) -> list[str]:
        """The command line, as a user would type it."""
        if self.server != "granian":
            address.socket.listen()
        return [sys.executable, "-m", *_COMMANDS[self.server](self, address), *self.options]

    def reloading(self, folder: Path) -> Launch:
        """With a copy of the app in *folder*, and a look at it that comes before the app starts."""
        for name in ("served.py", "log_config.json"):
            shutil.copy(HERE / name, folder)
        watched = ("--reload-dir", str(folder), "--reload-delay", "0.01")
        return replace(self, app_dir=folder, options=(*self.options, *watched))


def _uvicorn(launch: Launch, address: Address) -> list[str]:
    return [*_uvicorn_by_environment(launch, address), "--workers", str(launch.workers)]


def _uvicorn_by_environment(launch: Launch, address: Address) -> list[str]:
    """The number of workers is in ``WEB_CONCURRENCY``."""
    return [
        *("uvicorn", launch.app, "--fd", str(address.fd), "--log-config", LOG_CONFIG),
        *("--loop", launch.loop),
    ]


def _hypercorn(launch: Launch, address: Address) -> list[str]:
    return [
        *("hypercorn", launch.app, "--bind", f"fd://{address.fd}"),
        *("--log-config", f"json:{LOG_CONFIG}"),
        *("--worker-class", launch.loop, "--workers", str(launch.workers)),
    ]


def _granian(launch: Launch, address: Address) -> list[str]:
    return [
        *("granian", launch.app, "--interface", "asgi", "--port", str(address.port)),
        *("--log-config", LOG_CONFIG, "--loop", launch.loop, "--workers", str(launch.workers)),
    ]


def _gunicorn(launch: Launch, address: Address) -> list[str]:
    return [
        *("gunicorn", launch.app, "--bind", f"fd://{address.fd}", "--no-control-socket"),
        *("--worker-class", GUNICORN_WORKERS[launch.server], "--workers", str(launch.workers)),
    ]


_COMMANDS = {
    "uvicorn": _uvicorn,
    "hypercorn": _hypercorn,
    "granian": _granian,
    UVICORN_BY_ENVIRONMENT: _uvicorn_by_environment,
    **dict.fromkeys(GUNICORN_WORKERS, _gunicorn),
}
