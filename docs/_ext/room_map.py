"""A picture of the rooms of the package, and of the way of one job through them.

All of it is read from the code: the rooms and their order are the import layers in pyproject.toml,
a room's sentence is its docstring's first, its boxes are its files, and the way is that of a job
that runs while the picture is drawn.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
import tomllib
from html import escape
from pathlib import Path
from types import FrameType
from typing import Any

import stoat_jobs
from stoat_jobs import AsyncioJobQueue, JobContext, JobHandlers

PACKAGE = Path(stoat_jobs.__file__).parent
PROJECT = Path(__file__).parents[2] / "pyproject.toml"

WIDTH, LETTER, LINE = 760, 7.3, 30
TITLE, GAP, PAD = 24, 14, 9

Place = tuple[float, float]


def rooms() -> dict[str, list[str]]:
    """The files of each room of the job queue itself, the highest layer first."""
    layers = tomllib.loads(PROJECT.read_text())["tool"]["importlinter"]["contracts"][0]["layers"]
    first, last = layers.index("_app"), layers.index("_model")
    names = [name for layer in layers[first : last + 1] for name in layer.split(" | ")]
    return {room: _files(room) for room in names}


def _files(room: str) -> list[str]:
    return sorted(path.stem for path in (PACKAGE / room).glob("*.py") if path.stem != "__init__")


def sentence(room: str) -> str:
    """What the room is for, as its docstring's first line says."""
    docstring = importlib.import_module(f"stoat_jobs.{room}").__doc__ or ""
    return docstring.partition("\n")[0].replace("``", "")


def way_of_a_job() -> list[str]:
    """The files that a job passes, as ``room/file``, in the order in which it first enters them."""
    handlers = JobHandlers()

    # With a limit, it is put among those that wait by a call; without one that is in line.
    @handlers.job(concurrency=1)
    async def double(ctx: JobContext, n: int) -> int:
        return 2 * n

    passed: dict[str, None] = {}

    def enter(frame: FrameType, event: str, argument: Any) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.parent.parent == PACKAGE and path.parent.name in rooms():
            passed[f"{path.parent.name}/{path.stem}"] = None

    async def run() -> None:
        async with AsyncioJobQueue(handlers) as queue:
            sys.setprofile(enter)
            await (await double.submit(queue, n=21)).wait()
            sys.setprofile(None)

    _with_its_log(run)
    return list(passed)


def _with_its_log(run: Any) -> None:
    logger, nowhere = logging.getLogger("stoat_jobs"), logging.NullHandler()
    level, logger.propagate = logger.level, False
    logger.addHandler(nowhere)
    logger.setLevel(logging.INFO)
    try:
        asyncio.run(run())
    finally:
        logger.setLevel(level)
        logger.removeHandler(nowhere)
        logger.propagate = True


def svg() -> str:
    """The picture: a row of files for each room, and numbers where the job first enters them."""
    parts: list[str] = []
    places: dict[str, Place] = {}
    y = 0.0
    for room, files in rooms().items():
        parts.append(_title(room, y))
        y = _place(room, files, y + TITLE, places) + GAP
    steps = {name: number for number, name in enumerate(way_of_a_job(), start=1)}
    boxes = [_box(name, place, steps.get(name)) for name, place in places.items()]
    head = (
        f'<svg viewBox="0 0 {WIDTH} {y:.0f}" width="{WIDTH}" role="img" aria-label="The rooms of'
        ' the package and the way of a job through them" style="max-width: 100%; color: inherit">'
    )

    return "\n".join([head, *parts, *boxes, "</svg>"])


def _place(room: str, files: list[str], y: float, places: dict[str, Place]) -> float:
    """Put the files in rows from *y* on; gives where the rows end."""
    x = 0.0
    for file in files:
        if x + _width(file) > WIDTH:
            x, y = 0.0, y + LINE
        places[f"{room}/{file}"] = x, y
        x += _width(file) + 8
    return y + LINE


def _width(file: str) -> float:
    return len(file) * LETTER + 4 * PAD


def _title(room: str, y: float) -> str:
    return (
        f'<text x="0" y="{y + 15}" font-size="14" fill="currentColor"><tspan font-weight="bold"'
        f' class="room">{room}</tspan> <tspan opacity="0.8">{escape(sentence(room))}</tspan></text>'
    )


def _box(name: str, place: Place, step: int | None) -> str:
    (x, y), file = place, name.partition("/")[2]
    opacity = 1 if step else 0.55
    number = "" if step is None else f'<tspan font-weight="bold">{step}</tspan> '
    return (
        f'<g class="file" opacity="{opacity}"><rect x="{x:.0f}" y="{y:.0f}"'
        f' width="{_width(file):.0f}" height="{LINE - 8}" rx="4" fill="none"'
        f' stroke="currentColor"/><text x="{x + PAD:.0f}" y="{y + 15:.0f}" font-size="12"'
        f' font-family="monospace" fill="currentColor">{number}{escape(file)}'
        f"<title>{escape(name)}</title></text></g>"
    )
