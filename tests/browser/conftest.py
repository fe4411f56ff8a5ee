"""A browser, a server for it to look at, and an eye on what must not happen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from .looking import Viewer, launched
from .serving import Server

expect.set_options(timeout=15_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with launched() as chromium:
        yield chromium


@pytest.fixture(scope="session")
def running() -> Iterator[Server]:
    """One server for all tests that leave it alone; each has jobs of its own."""
    server = Server()
    try:
        server.start()
        yield server
    finally:
        server.kill()
        server.client.close()


@pytest.fixture
def server() -> Iterator[Server]:
    """A server for one test alone."""
    server = Server()
    try:
        server.start()
        yield server
    finally:
        server.kill()
        server.client.close()


@pytest.fixture
def viewer(browser: Browser) -> Iterator[Viewer]:
    """Pages, none of which may report anything against its policy, or fail, by the end."""
    viewer = Viewer(browser)
    try:
        yield viewer
        assert viewer.complaints() == []
    finally:
        viewer.close()


@pytest.fixture
def page(viewer: Viewer, running: Server) -> Page:
    """The dashboard of the server that all share."""
    return viewer.look_at(running.dashboard)


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """The slow ones last."""
    items.sort(key=lambda item: "smooth" in item.name)
