"""What a fresh process waits for: an import, and the first answer of a cold app.

Each is measured in a new interpreter, with compiled files in place.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from typing import NamedTuple

from .measure import Bench, Figure, Round, Size

MS = "ms of cpu"
OWN = "import stoat_jobs, over pydantic and asyncio"
COLD = "first 202 of a cold app"


class _Program(NamedTuple):
    """*timed* is what counts; *before*, if there is one, runs first."""

    timed: str
    before: str = ""


_PROGRAMS = {
    OWN: _Program("import stoat_jobs", "import asyncio; from pydantic import BaseModel"),
    "import stoat_jobs": _Program("import stoat_jobs"),
    "import pydantic": _Program("from pydantic import BaseModel, TypeAdapter"),
    "import aiojobs": _Program("import aiojobs"),
    "import taskiq": _Program("import taskiq"),
    "import apscheduler": _Program("import apscheduler.schedulers.asyncio"),
    "import huey": _Program("import huey"),
    "import dramatiq": _Program("import dramatiq, dramatiq.brokers.stub"),
    "import starlette": _Program("import starlette.background"),
    "import saq": _Program("import saq"),
    "import arq": _Program("import arq"),
    "import streaq": _Program("import streaq"),
}
_SCRIPT = """\
import time
{before}
begun = time.process_time()
{timed}
print(time.process_time() - begun)
"""
# From the start of the process, so the interpreter's own start counts. The app is called
# directly: a server's import and its socket would be most of the time.
_COLD = """\
import time
from benchmarks.cold_app import first_status
assert first_status() == 202
print(time.process_time())
"""


def benches(_: Size) -> list[Bench]:
    scripts = {
        name: _SCRIPT.format(timed=program.timed, before=program.before)
        for name, program in _PROGRAMS.items()
        if find_spec(name.split()[1].rstrip(","))
    }
    return [_bench(name, script) for name, script in {**scripts, COLD: _COLD}.items()]


def _bench(name: str, script: str) -> Bench:
    return Bench((name,), partial(_run, name, script), partial(_run, name, script))


def _run(name: str, script: str) -> Round:
    ran = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60
    )
    return {Figure(name, MS): float(ran.stdout) * 1e3}
