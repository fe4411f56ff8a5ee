"""How long an import takes in a new interpreter, with compiled files in place."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from importlib.util import find_spec

from .measure import Bench, Figure, Round, Size

_STATEMENTS = {
    "stoat_jobs": "import stoat_jobs",
    "pydantic": "from pydantic import BaseModel, TypeAdapter",
    "aiojobs": "import aiojobs",
    "taskiq": "import taskiq",
    "apscheduler": "import apscheduler.schedulers.asyncio",
    "huey": "import huey",
    "dramatiq": "import dramatiq, dramatiq.brokers.stub",
    "starlette": "import starlette.background",
    "saq": "import saq",
    "arq": "import arq",
    "streaq": "import streaq",
}
_SCRIPT = """\
import time
begun = time.perf_counter(), time.process_time()
{}
print(time.perf_counter() - begun[0], time.process_time() - begun[1])
"""


def benches(_: Size) -> list[Bench]:
    return [
        Bench(f"import {name}", partial(_import, name), partial(_import, name))
        for name in _STATEMENTS
        if find_spec(name)
    ]


def _import(name: str) -> Round:
    script = _SCRIPT.format(_STATEMENTS[name])
    ran = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60
    )
    wall, cpu = map(float, ran.stdout.split())
    return {
        Figure(f"import {name}", "ms"): wall * 1e3,
        Figure(f"import {name}", "ms of cpu"): cpu * 1e3,
    }
