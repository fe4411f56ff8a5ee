"""The demo as somebody new plays with it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import expect

from .looking import Viewer, row


@contextmanager
def demo(folder: Path) -> Iterator[str]:
    """The address that the demo prints."""
    command = [sys.executable, "-m", "stoat_jobs", "demo", str(folder), "--serve"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        yield next(line.strip() for line in lines if line.endswith("/jobs/dashboard\n"))
    finally:
        process.terminate()
        process.communicate()


def test_the_demo_is_played_with(viewer: Viewer, tmp_path: Path) -> None:
    """The address that it prints shows its scan, one that fails, and one to be cancelled."""
    (tmp_path / "a.txt").write_text("a")
    with demo(tmp_path) as address:
        page = viewer.look_at(address)
        scan = page.locator(".row", has_text="scan")
        expect(scan).to_have_attribute("data-status", "completed")
        scan.click()
        expect(page.locator("#detail .tree")).to_contain_text(re.compile("files: 1"))
        jobs = address.removesuffix("dashboard")
        ids = {}
        for job_type, payload in (("failing", {"seconds": 0}), ("endless", {"pause": 0.05})):
            body = {"job_type": job_type, "payload": payload}
            ids[job_type] = httpx.post(jobs, json=body, trust_env=False).json()["job_id"]
        failing, endless = (row(page, ids[name]) for name in ("failing", "endless"))
        expect(failing).to_contain_text("went wrong, as it always does")
        page.keyboard.press("Escape")
        endless.get_by_role("button", name="Cancel").click()
        page.get_by_role("button", name="Cancel the job").click()
        expect(endless).to_have_attribute("data-status", "cancelled")
