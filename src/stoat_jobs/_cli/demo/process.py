"""The demo's server in a process of its own, which can be killed."""

from __future__ import annotations

import asyncio
import math
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import cast

# Not `-m`: it would import from the current directory, where anything may be called `random.py`.
_PROGRAM = """\
import sys
sys.path[:] = {path!r}
from {module} import main
sys.exit(main(sys.argv[1:]))
"""


class ServerEndedError(Exception):
    """The process ended before its server was up; *code* is its exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class ServerProcess:
    """A process whose server is up at *url*."""

    def __init__(self, process: Process, url: str) -> None:
        self._process = process
        self.url = url
        self.pid = process.pid

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.url.rpartition(":")[2])

    async def kill(self) -> None:
        """End it at once, wherever it is."""
        await _kill(self._process)

    async def stop(self) -> None:
        """End it in an orderly way."""
        cast(asyncio.StreamWriter, self._process.stdin).close()
        await self._process.wait()


@asynccontextmanager
async def serving(
    root: Path, database: Path, port: int, held_at: float = math.inf
) -> AsyncIterator[ServerProcess]:
    """A server of *root* with its jobs in *database*; it does not survive the block.

    Raises:
        ServerEndedError: it could not start, and has said why.
    """
    program = _PROGRAM.format(path=sys.path, module=f"{__package__}.child")
    arguments = (os.fspath(root), os.fspath(database), str(port), str(held_at))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, *arguments),
        stdin=PIPE,
        stdout=PIPE,
        start_new_session=True,  # Ctrl-C is for the parent, which decides
    )
    try:
        yield ServerProcess(process, await _url(process))
    finally:
        await _kill(process)


async def _url(process: Process) -> str:
    line = await cast(asyncio.StreamReader, process.stdout).readline()
    if not line:
        raise ServerEndedError(await process.wait())
    return line.decode().strip()


async def _kill(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()
