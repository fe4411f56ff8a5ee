"""Every run of a server that is tested, and what is to come of it.

The tests hold the servers to it, and the table in the documentation to what is here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest

from . import acts
from .commands import HERE, SERVERS, Launch
from .running import ServerProcess

SETTINGS = {"concurrency": 4, "drain_timeout": 0.2, "cancel_grace": 0.5}
PATIENT = {**SETTINGS, "drain_timeout": 5.0}

Act = Callable[[ServerProcess], None]
Jobs = Mapping[str, str]

# How jobs end, and of which types; in alphabetical order.
SETTLED = {"cancelled (Shutdown)": "busy patient", "cancelled (Shutdown), abandoned": "deaf stuck"}
SETTLED_TWICE = {
    "cancelled (Shutdown)": "busy busy patient patient",
    "cancelled (Shutdown), abandoned": "deaf deaf stuck stuck",
}
LOST = {"no end": "busy deaf patient stuck"}


# With a shutdown that is cancelled, a thread may or may not see in time that it is to stop.
CUT_OFF = ("cancelled (Shutdown)", "cancelled (Shutdown), abandoned")


@dataclass(frozen=True)
class Scenario:
    """One run of a server."""

    name: str
    """What is done, as the table has it."""
    act: Act
    launch: Launch
    codes: tuple[int, ...]
    """The exit code, or those that may be; below zero the signal that ended it."""
    jobs: Jobs
    says: str
    """Part of what is printed where tracebacks are in order; else there is none of ours."""

    @property
    def id(self) -> str:
        return f"{self.launch.server}-{self.launch.workers}-{self.launch.loop}"


def each(scenarios: Iterable[Scenario]) -> pytest.MarkDecorator:
    """Run the test for each of them, named after the server, its workers and its loop."""
    return pytest.mark.parametrize("scenario", scenarios, ids=lambda scenario: scenario.id)


def run(
    name: str,
    act: Act,
    server: str,
    *options: str,
    workers: int = 1,
    loop: str = "asyncio",
    app: str = "served:with_queue",
    settings: Mapping[str, Any] = SETTINGS,
    codes: tuple[int, ...] = (0,),
    jobs: Jobs = SETTLED,
    says: str = "",
) -> Scenario:
    launch = Launch(server, workers, loop, app, settings, options)
    return Scenario(name, act, launch, codes, jobs, says)


def _signal(name: str, act: Act, server: str, workers: int, loop: str) -> Scenario:
    """With two workers, hypercorn ends the busy one as soon as the other has ended."""
    lost = (server, workers) == ("hypercorn", 2)
    return run(
        *(name, act, server),
        workers=workers,
        loop=loop,
        codes=_codes_of(server, workers) if act is acts.sigterm else (0,),
        jobs=LOST if lost else SETTLED,
        settings=PATIENT if lost else SETTINGS,
    )


def _codes_of(server: str, workers: int = 1) -> tuple[int, ...]:
    """After SIGTERM; uvicorn without other processes ends itself by the same signal."""
    return (-15,) if (server, workers) == ("uvicorn", 1) else (0,)


def _ctrl_c(server: str) -> str:
    return "SIGINT for the first process" if server == "granian" else "Ctrl-C"


# When one worker has failed, hypercorn ends the other one and looks at that, maybe too early.
_ENDED_BY_HYPERCORN = (0, 241)

_EVERYWHERE = list(product(SERVERS, (1, 2), ("asyncio", "uvloop")))

TERMINATED = [_signal("SIGTERM", acts.sigterm, *where) for where in _EVERYWHERE]
INTERRUPTED = [_signal(_ctrl_c(where[0]), acts.sigint, *where) for where in _EVERYWHERE]
TERMINATED_ALL = [
    run(
        *("SIGTERM for all processes", acts.sigterm_all, server),
        workers=workers,
        codes=codes,
        jobs=jobs,
    )
    for server, workers, codes, jobs in (
        ("uvicorn", 1, (-15,), SETTLED),
        ("uvicorn", 2, (0,), SETTLED),
        ("hypercorn", 0, (0,), SETTLED),
        ("hypercorn", 1, (0,), LOST),
        ("hypercorn", 2, _ENDED_BY_HYPERCORN, LOST),
    )
]
TERMINATED_WITHOUT_QUEUE = [
    run(
        *("SIGTERM", acts.sigterm_when_idle, server),
        app="served:without_queue",
        codes=_codes_of(server),
        jobs={},
    )
    for server in SERVERS
]
INTERRUPTED_WITHOUT_QUEUE = [
    run(_ctrl_c(server), acts.sigint_when_idle, server, app="served:without_queue", jobs={})
    for server in SERVERS
]
INTERRUPTED_TWICE = [
    run(
        *(f"{_ctrl_c(server)}, again during the drain", acts.sigint_twice, server),
        workers=workers,
        loop=loop,
        jobs=SETTLED if workers == 1 else SETTLED_TWICE,
    )
    for server, workers, loop in _EVERYWHERE
    if (server, workers) != ("hypercorn", 2)
]
FORCED = [
    run(
        *("Ctrl-C, again while it waits for requests to end", acts.forced_stop, "uvicorn"),
        jobs={"cut off": "busy deaf patient quick stuck"},
        says="Exception in ASGI application",
    )
]
OPEN_REQUEST = [
    run(
        *("SIGTERM with an open request, `--timeout-graceful-shutdown 1`", acts.open_request),
        *("uvicorn", "--timeout-graceful-shutdown", "1"),
        codes=(-15,),
        says="timeout graceful shutdown exceeded",
    ),
    run(
        *("SIGTERM with an open request, `--graceful-timeout 1`", acts.open_request),
        *("hypercorn", "--graceful-timeout", "1"),
        loop="uvloop",
    ),
    run(
        *("SIGTERM with an open request, `--workers-kill-timeout 1`", acts.open_request),
        *("granian", "--workers-kill-timeout", "1"),
        jobs=LOST,
    ),
]
KILLED = [
    run("SIGKILL of all processes", acts.sigkill, server, codes=(-9,), jobs=LOST)
    for server in SERVERS
]
_CODES_AFTER_A_KILL = {"uvicorn": (0,), "hypercorn": _ENDED_BY_HYPERCORN, "granian": (1,)}
WORKER_KILLED = [
    run(
        *("SIGKILL of the busy worker", acts.sigkill_one, server),
        workers=2,
        codes=_CODES_AFTER_A_KILL[server],
        jobs=LOST,
    )
    for server in SERVERS
]
RELOADED = [run("`--reload`, then SIGTERM", acts.reload, "uvicorn", "--reload")]


def _refused(name: str, app: str, says: str) -> list[Scenario]:
    codes = [
        *(("uvicorn", 1, 3), ("uvicorn", 2, 0)),
        *(("hypercorn", 0, 1), ("hypercorn", 1, 0)),
        ("granian", 1, 1),
    ]
    return [
        run(
            *(name, acts.nothing, server),
            workers=workers,
            app=f"served:{app}",
            codes=(code,),
            jobs={},
            says=says,
        )
        for server, workers, code in codes
    ]


NOT_INSTALLED = _refused(
    "start with a backend that is not installed",
    "unknown_backend",
    "BackendNotFoundError: no backend 'abacus'; installed: asyncio, memory",
)
UNREACHABLE = _refused(
    "start with a backend that cannot start",
    "unreachable_backend",
    "BackendError: backend 'durable' cannot start: connection refused",
)
LESS_TIME = [
    run(
        *("SIGTERM with `drain_timeout=1.5`, `--timeout-graceful-shutdown 1`", acts.sigterm),
        *("uvicorn", "--timeout-graceful-shutdown", "1"),
        settings={**SETTINGS, "drain_timeout": 1.5},
        codes=(-15,),
    ),
    run(
        *("SIGTERM with `drain_timeout=5`, `shutdown_timeout = 0.3`", acts.sigterm),
        *("hypercorn", "--config", str(HERE / "hypercorn.toml")),
        settings=PATIENT,
        jobs={"cut off": "busy deaf patient stuck"},
        says="LifespanTimeoutError",
    ),
    run(
        *("SIGTERM with `drain_timeout=5`, `--workers-kill-timeout 1`", acts.sigterm),
        *("granian", "--workers-kill-timeout", "1"),
        settings=PATIENT,
        jobs=LOST,
    ),
]
STUCK = [
    run(
        *("SIGTERM with ten sync handlers in a system call", acts.ten_stuck, server),
        settings={**SETTINGS, "concurrency": 10},
        codes=_codes_of(server),
        jobs={"cancelled (Shutdown), abandoned": " ".join(["stuck"] * 10)},
    )
    for server in SERVERS
]
DEAF = [
    run(
        *("SIGTERM with a handler that swallows every cancel", acts.deaf, server),
        codes=_codes_of(server),
        jobs={"cancelled (Shutdown), abandoned": "deaf"},
    )
    for server in SERVERS
]
OBSTINATE = [
    run(
        *("SIGTERM with a handler that swallows `GeneratorExit` too", acts.obstinate, server),
        codes=_codes_of(server),
        jobs={"cancelled (Shutdown), abandoned": "obstinate"},
    )
    for server in ("uvicorn", "granian")
] + [
    run(
        "SIGTERM with a handler that swallows `GeneratorExit` too, SIGKILL after the drain",
        *(acts.obstinate_killed, "hypercorn"),
        codes=(-9,),
        jobs={"cancelled (Shutdown), abandoned": "obstinate"},
    )
]

ALL = [
    *(TERMINATED + TERMINATED_ALL + INTERRUPTED + INTERRUPTED_TWICE + FORCED + OPEN_REQUEST),
    *(LESS_TIME + STUCK + DEAF + OBSTINATE),
    *(KILLED + WORKER_KILLED + RELOADED + NOT_INSTALLED + UNREACHABLE),
]
