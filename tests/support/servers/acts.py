"""What is done to a server; each act ends with what makes the server end."""

from __future__ import annotations

import os

from .commands import SERVING
from .running import ServerProcess

JOBS = ("patient", "busy", "deaf", "stuck")


def start(server: ServerProcess, *job_types: str) -> list[str]:
    """A finished job on each worker, and running ones on the last, which is the busy one."""
    server.serve()
    for worker in server.workers:
        worker.submit("quick")
    return server.begin(*(job_types or JOBS), worker=-1)


def start_everywhere(server: ServerProcess) -> None:
    """The same, with running jobs on each worker."""
    start(server)
    for worker in range(server.launch.processes - 1):
        server.begin(*JOBS, worker=worker)


def sigterm(server: ServerProcess) -> None:
    start(server)
    server.terminate()


def sigterm_all(server: ServerProcess) -> None:
    start(server)
    server.terminate_all()


def sigint(server: ServerProcess) -> None:
    start(server)
    server.interrupt()


def sigterm_when_idle(server: ServerProcess) -> None:
    server.serve()
    server.terminate()


def sigint_when_idle(server: ServerProcess) -> None:
    server.serve()
    server.interrupt()


def sigint_twice(server: ServerProcess) -> None:
    start_everywhere(server)
    server.interrupt()
    for _ in server.workers:
        server.until("queue_draining")
    server.interrupt()


def forced_stop(server: ServerProcess) -> None:
    """The second Ctrl-C comes before the app is told of the shutdown."""
    patient, *_ = start(server)
    server.workers[0].submit("quick")
    server.ask_for(f"/wait/{patient}").close()
    server.interrupt()
    server.until("Waiting for background tasks to complete")
    server.interrupt()


def open_request(server: ServerProcess) -> None:
    """A client waits for a job that does not end."""
    patient, *_ = start(server)
    server.ask_for(f"/wait/{patient}")
    server.terminate()


def sigkill(server: ServerProcess) -> None:
    start(server)
    server.kill()


def sigkill_one(server: ServerProcess) -> None:
    """uvicorn starts another worker and goes on; the others end."""
    start(server)
    server.kill_worker()
    if server.launch.server == "uvicorn":
        server.until(SERVING["uvicorn"])
        server.terminate()


def reload(server: ServerProcess) -> None:
    """The jobs of the old worker end, the new one serves."""
    start(server)
    for path in server.launch.app_dir.glob("*.py"):
        os.utime(path, (2**31, 2**31))
    server.until("StatReload detected changes", "WatchFiles detected changes")  # if installed
    server.serve()
    server.workers[0].submit("quick")
    server.terminate()


def nothing(server: ServerProcess) -> None:
    """The start fails, or so it should."""


def ten_stuck(server: ServerProcess) -> None:
    start(server, *["stuck"] * 10)
    server.terminate()


def deaf(server: ServerProcess) -> None:
    start(server, "deaf")
    server.terminate()


def obstinate(server: ServerProcess) -> None:
    start(server, "obstinate")
    server.terminate()


def obstinate_killed(server: ServerProcess) -> None:
    """The queue has stopped, and the server waits for the handler's task for ever."""
    start(server, "obstinate")
    server.terminate()
    server.until("signals_untouched")
    server.kill()
