"""Chromium, and its pages."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-sync",
    "--no-first-run",
]

# Runs before anything of the page, and is no part of it: its policy does not hold for this.
_WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
  window.violations.push(`${violatedDirective}: ${blockedURI}`));
"""

# What a browser says of a server that is not there, which is not the page's fault.
_NO_SERVER = "net::ERR_"


@contextmanager
def launched() -> Iterator[Browser]:
    """A browser that asks nobody but the pages' own server."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


class Viewer:
    """Opens pages, and keeps what they complain of."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._said: list[str] = []
        self.requested: set[str] = set()

    def look_at(self, url: str, **options: Any) -> Page:
        """The page at *url*, once it shows the jobs as they are now."""
        page = self.open(url, **options)
        page.locator("#touch[data-state=live]").wait_for()
        return page

    def open(self, url: str, **options: Any) -> Page:
        """The page at *url*."""
        size = {"width": 1280, "height": 800}
        context = self._browser.new_context(**{"viewport": size, "locale": "en-GB", **options})
        self._contexts.append(context)
        page = context.new_page()
        page.add_init_script(_WATCH)
        page.on("console", lambda message: self._said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self._said.append(f"raised: {error}"))
        page.on("dialog", lambda dialog: self._said.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: self.requested.add(request.url))
        page.goto(url)
        return page

    def complaints(self) -> list[str]:
        """Errors, and what went against the policy."""
        pages = [page for context in self._contexts for page in context.pages]
        violations = [each for page in pages for each in page.evaluate("window.violations ?? []")]
        return violations + [line for line in self._said if _NO_SERVER not in line]

    def forgive(self) -> None:
        """Forget what was said: the test provoked it."""
        self._said.clear()

    def close(self) -> None:
        for context in self._contexts:
            context.close()


def row(page: Page, job_id: str) -> Any:
    """The row of a job."""
    return page.locator(f'.row[data-id="{job_id}"]')
