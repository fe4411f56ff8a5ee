"""Takes the pictures for the documentation: ``nox -s screenshots``.

Each carries what it was made from, so that a test notices when the page has changed since.
"""

from __future__ import annotations

import io
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from PIL.PngImagePlugin import PngInfo

import stoat_jobs.http

HERE = Path(__file__).parent
PICTURES = HERE.parents[1] / "docs/_static"
MADE_FROM = "made-from"

DESK = {"width": 1280, "height": 800}
TALL = {"width": 1280, "height": 950}
PHONE = {"width": 390, "height": 800}


class Picture(NamedTuple):
    """What is in a picture, and how it is looked at."""

    name: str
    size: dict[str, int]
    scheme: str
    opened: str = ""
    """The job whose panel is open: a selector."""


PICTURES_TAKEN = (
    Picture("dashboard", DESK, "light"),
    Picture("dashboard-dark", TALL, "dark", ".row[data-status=completed] >> text=import_orders"),
    Picture("dashboard-phone", PHONE, "light"),
)


def made_from() -> str:
    """A digest of the page, of what it shows, and of how the pictures are taken."""
    static = Path(stoat_jobs.http.__file__).parent / "static"
    digest = blake2b(digest_size=12)
    for path in (*sorted(static.iterdir()), HERE / "painted.py", HERE / "pictures.py"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def take_all() -> None:
    """Write every picture."""
    # Here, so that who reads the pictures needs no browser.
    from .looking import Viewer, launched
    from .serving import Server

    server = Server("painted:app")
    try:
        server.start()
        with launched() as browser:
            viewer = Viewer(browser)
            for picture in PICTURES_TAKEN:
                _take(picture, viewer, server.dashboard)
    finally:
        server.kill()
        server.client.close()


def _take(picture: Picture, viewer: Any, url: str) -> None:
    page = viewer.look_at(
        url, viewport=picture.size, color_scheme=picture.scheme, reduced_motion="reduce"
    )
    page.locator("#place").evaluate("place => (place.textContent = 'shop.example.com')")
    if picture.opened:
        page.locator(picture.opened).first.click()
        page.locator("#detail .tree").wait_for()
        page.locator("#detail").evaluate("panel => panel.focus()")
    page.mouse.move(0, 0)
    image = Image.open(io.BytesIO(page.screenshot()))
    info = PngInfo()
    info.add_text(MADE_FROM, made_from())
    path = PICTURES / f"{picture.name}.png"
    image.convert("RGB").save(path, optimize=True, pnginfo=info)
    print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    take_all()
