"""What ``nox -s distribution`` has built in dist/."""

from __future__ import annotations

import email
import subprocess
import tarfile
import zipfile
from pathlib import Path

from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder
from readme_renderer import markdown

ROOT = Path(__file__).parents[2]
(SDIST,) = ROOT.glob("dist/*.tar.gz")
(WHEEL,) = ROOT.glob("dist/*.whl")


def in_git() -> set[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return set(listed.stdout.decode().rstrip("\0").split("\0"))


def test_the_sdist_has_what_git_has() -> None:
    """No file is missing from the sdist, and none is in it that nobody added."""
    with tarfile.open(SDIST) as archive:
        files = {member.name.partition("/")[2] for member in archive if member.isfile()}
    assert files == in_git() | {"PKG-INFO"}


def test_the_wheel_has_the_package_only() -> None:
    """Who installs the package gets all its files, and no other."""
    files = {path.removeprefix("src/") for path in in_git() if path.startswith("src/")}
    with zipfile.ZipFile(WHEEL) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert inside == files


def test_the_build_is_reproducible(tmp_path: Path) -> None:
    """Built again it is the same to the byte; the wheel from the tree as that from the sdist."""
    (sdist,) = SdistBuilder(str(ROOT)).build(directory=str(tmp_path))
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    assert Path(sdist).read_bytes() == SDIST.read_bytes()
    assert Path(wheel).read_bytes() == WHEEL.read_bytes()


def test_the_page_is_rendered() -> None:
    """The index shows the README as it is meant: picture, table and code, and no comment."""
    with zipfile.ZipFile(WHEEL) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith("/METADATA"))
        page = email.message_from_bytes(archive.read(name)).get_payload()
    html = markdown.render(str(page))
    assert html is not None
    assert html.count("<img ") == 1
    assert "<table>" in html
    assert "<pre" in html
    assert "invisible" not in html
