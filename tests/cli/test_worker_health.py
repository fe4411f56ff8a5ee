"""How a worker tells an orchestrator that it is well."""

from __future__ import annotations

import json
import signal
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from ..support import SAFETY_NET
from ..support.programs import Command
from ..support.worker_apps import STARTING, Worker, ended, last_line


def get(url: str) -> tuple[int, Any]:
    """Status and JSON of an answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=SAFETY_NET) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def address(command: Command) -> str:
    """Where it says that its health is told."""
    return command.read_until("health at ").split()[-1]


def test_health_over_http(worker: Worker, tmp_path: Path) -> None:
    """200 while every age is below the limit, and while it drains; 503 as it starts, or is late."""
    ages = tmp_path / "ages.json"
    ages.write_text('{"beat": 0.5, "claim": 29.9}')
    (tmp_path / "starting.py").write_text(STARTING)
    command = worker("starting:app", "--health", "127.0.0.1:0")
    url = address(command)
    command.read_until("starting")
    assert get(url)[0] == 503
    assert get(url)[1]["status"] == "starting"
    assert get(f"{url}live")[0] == 200

    command = worker("shop:app", "--health", "127.0.0.1:0", SUBMIT="patient", AGES=str(ages))
    url = address(command)
    command.read_until("at a time")
    status, told = get(url)
    assert (status, told["status"], told["running"]) == (200, "running", 1)
    assert (told["oldest_s"], told["limit_s"]) == (29.9, 30.0)
    queue = {"backend": "shared", "running": 1, "ages": {"beat": 0.5, "claim": 29.9}}
    assert told["queues"] == {"job_queue": queue}
    for late in ('{"claim": 30.0}', "{}"):
        ages.write_text(late)
        assert (get(url)[0], get(url)[1]["status"]) == (503, "late")
        assert get(f"{url}live")[0] == 200
    command.interrupt(signal.SIGTERM)
    command.read_until("running jobs may finish")
    assert (get(url)[0], get(url)[1]["status"]) == (200, "stopping")
    (tmp_path / "go").touch()
    assert ended(command)[0] == 0


def test_a_health_limit(worker: Worker, tmp_path: Path) -> None:
    """--health-limit is the age from which a side task is late."""
    ages = tmp_path / "ages.json"
    ages.write_text('{"claim": 5.0}')
    arguments = ["shop:app", "--health", "127.0.0.1:0", "--health-limit", "5"]
    command = worker(*arguments, AGES=str(ages))
    url = address(command)
    command.read_until("at a time")
    assert get(url)[0] == 503
    ages.write_text('{"claim": 4.9}')
    assert get(url)[0] == 200


def test_a_health_file(worker: Worker, tmp_path: Path) -> None:
    """It is replaced as a whole every few seconds, says its time, and is gone in the end."""
    path = tmp_path / "health.json"
    command = worker("shop:app", "--health-file", str(path))
    command.read_until("at a time")
    told: list[Any] = []
    for _ in range(3):
        with path.open() as file:
            number, began = path.stat().st_ino, time.monotonic()
            while path.stat().st_ino == number and time.monotonic() < began + SAFETY_NET:
                time.sleep(0.01)
            told.append(json.loads(file.read()))  # of before, though there is a new one
    assert told[-1]["status"] == "running"
    assert len({each["time"] for each in told}) == 3
    command.interrupt(signal.SIGTERM)
    assert ended(command)[0] == 0
    assert not list(tmp_path.glob("*health.json*"))


def test_health_that_cannot_be_told(worker: Worker, tmp_path: Path) -> None:
    """A port that is taken, or a file that cannot be written, is one line; exit code 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = last_line(worker("shop:app", "--health", f"127.0.0.1:{port}"), 2)
        assert line.startswith(f"cannot listen on 127.0.0.1:{port}: ")
    line = last_line(worker("shop:app", "--health-file", "nowhere/health.json"), 2)
    assert line == "cannot write nowhere/health.json: No such file or directory"
