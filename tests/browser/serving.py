"""A server in a process of its own, that may be killed and started again at the same place."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
SAFETY_NET = 30.0


class Server:
    """uvicorn with an app of this folder."""

    def __init__(self, app: str = "served:app") -> None:
        self._app = app
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self.dashboard = f"{self.url}/jobs/dashboard"
        self.client = httpx.Client(base_url=self.url, timeout=SAFETY_NET, trust_env=False)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with listening:
            listening.bind(("127.0.0.1", self._port))
            listening.listen()  # requests wait until the server takes them
            command = [sys.executable, "-m", "uvicorn", self._app, "--log-level", "warning"]
            command += ["--app-dir", str(Path(__file__).parent), "--fd", str(listening.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[listening.fileno()])
        self.client.get("/jobs/health").raise_for_status()

    def kill(self) -> None:
        """As a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def submit(self, job_type: str, **payload: Any) -> str:
        """The id of a new job."""
        body = {"job_type": job_type, "payload": payload}
        answer = self.client.post("/jobs/", json=body).raise_for_status()
        return str(answer.json()["job_id"])

    def finished(self, job_type: str, **payload: Any) -> str:
        """The id of a job that has ended."""
        job_id = self.submit(job_type, **payload)
        self.client.get(f"/jobs/{job_id}/wait").raise_for_status()
        return job_id

    def record(self, job_id: str) -> dict[str, Any]:
        answer = self.client.get(f"/jobs/{job_id}").raise_for_status()
        record: dict[str, Any] = answer.json()
        return record
