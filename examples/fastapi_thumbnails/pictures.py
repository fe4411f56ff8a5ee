"""Sample pictures for the app, and the slow work: a thumbnail of each."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from stoat_jobs import JobContext, JobHandlers

handlers = JobHandlers()


def paint(folder: Path, count: int = 8) -> None:
    """Create abstract pictures, each darker than the one before."""
    circle = Image.radial_gradient("L")
    for number in range(count):
        darker = circle.point([value * (count - number) // count for value in range(256)])
        darker.resize((1600, 1200)).save(folder / f"{number}.png")


@handlers.job
def thumbnails(ctx: JobContext, width: int) -> list[str]:
    """Shrink the app's pictures to at most *width* pixels; return the names of the new files."""
    folder: Path = ctx.app.state.folder
    pictures = sorted(folder.glob("[0-9]*.png"))
    small = []
    for done, path in enumerate(pictures, start=1):
        ctx.raise_if_cancelled()
        with path.open("rb") as file, Image.open(file) as picture:
            picture.thumbnail((width, width))
            picture.save(folder / f"small-{path.name}")
        small.append(f"small-{path.name}")
        ctx.set_progress(done / len(pictures), path.name)
    return small
