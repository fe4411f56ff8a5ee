"""Runs a program, and has all that it asked of its disk."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ..programs import run_python, unmeasured

RECORDER = Path(__file__).with_name("recorder.c")
HEADER = struct.Struct("=QQQQc7x")


class Event(NamedTuple):
    """One change or sync; the comment at ``struct header`` in ``recorder.c`` says what is what."""

    kind: str
    inode: int
    offset: int
    name: str
    data: bytes


def needs_compiler() -> None:
    """Skip the test where nothing can compile the recorder.

    On a build server it is a failure on the oldest Python. The newest are tested in a chroot
    that may have no compiler, and the recorder is the same for all.
    """
    if sys.platform == "linux" and compiler() is not None:
        return
    reason = "power cuts are recorded on Linux, by a library in C: install gcc"
    if os.environ.get("CI") == "true" and sys.platform == "linux" and sys.version_info < (3, 12):
        pytest.fail(reason)
    pytest.skip(reason)


def compiler() -> str | None:
    """A compiler of C, if there is one."""
    return next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)


def compile_recorder(into: Path) -> Path:
    """The library to be loaded."""
    library = into / "recorder.so"
    options = ("-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-pthread")
    subprocess.run(
        [str(compiler()), *options, "-o", library, RECORDER, "-ldl"],
        check=True,
        capture_output=True,
    )
    return library


def record(folder: Path, library: Path, *arguments: str | Path, cwd: Path) -> list[Event]:
    """Run Python to its end; what it asked the disk for in *folder*, which is empty before."""
    log = library.with_name(f"{folder.name}.log")
    environment = {
        **unmeasured(),
        "LD_PRELOAD": str(library),
        "POWER_LOSS_FOLDER": str(folder),
        "POWER_LOSS_LOG": str(log),
    }
    run_python(*arguments, cwd=cwd, env=environment)
    return list(events(log.read_bytes()))


def events(log: bytes) -> Iterator[Event]:
    """What the recorder wrote down."""
    at = 0
    while at < len(log):
        inode, offset, name_length, data_length, kind = HEADER.unpack_from(log, at)
        at += HEADER.size
        name, at = log[at : at + name_length], at + name_length
        data, at = log[at : at + data_length], at + data_length
        yield Event(kind.decode(), inode, offset, name.decode(), data)
