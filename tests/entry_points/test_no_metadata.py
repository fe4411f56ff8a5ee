"""Where nothing is installed, only code: vendored, frozen, in a zip file."""

from __future__ import annotations

import os
import shutil
import sysconfig
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import stoat_jobs

from ..support.programs import run_python

PACKAGE = Path(stoat_jobs.__file__).parent


def in_a_folder(folder: Path) -> Path:
    """The package, copied."""
    shutil.copytree(PACKAGE, folder / "code/stoat_jobs", ignore=shutil.ignore_patterns("*.pyc"))
    return folder / "code"


def in_a_zip_file(folder: Path) -> Path:
    """The package in a zip file, as a zipapp has it."""
    with zipfile.ZipFile(folder / "code.zip", "w") as archive:
        for file in PACKAGE.rglob("*"):
            if file.is_file() and file.suffix != ".pyc":
                archive.write(file, Path("stoat_jobs", file.relative_to(PACKAGE)))
    return folder / "code.zip"


PLACES = pytest.mark.parametrize("place", [in_a_folder, in_a_zip_file])


def run(folder: Path, place: Callable[[Path], Path], code: str) -> str:
    """What *code* prints where the package has no metadata; what it needs is there with its own."""
    links = folder / "site"
    links.mkdir()
    installed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    for path in (path for each in installed for path in Path(each).iterdir()):
        if not path.name.startswith(("stoat", "_stoat", "__editable__")):
            (links / path.name).symlink_to(path)
    env = {**os.environ, "PYTHONPATH": f"{place(folder)}{os.pathsep}{links}"}
    done = run_python("-S", "-c", textwrap.dedent(code), env=env, cwd=folder)
    assert done.stderr == ""
    return done.stdout.strip()


@PLACES
def test_the_backends_of_ours_need_no_metadata(
    tmp_path: Path, place: Callable[[Path], Path]
) -> None:
    """Both in-process backends are there by name, and an app with its defaults starts."""
    said = run(
        tmp_path,
        place,
        """
        import asyncio, stoat_jobs
        from stoat_jobs import JobQueueSettings, available_backends, create_queue, lifespan

        async def main():
            async with lifespan() as state:
                return type(state["job_queue"]).__name__

        print([each.name for each in available_backends()], asyncio.run(main()))
        for name in ("asyncio", "memory", "sqlite"):
            settings = JobQueueSettings(backend=name, url="jobs.db")
            print(type(create_queue(settings=settings)).__name__)
        """,
    )
    assert said.splitlines() == [
        "['asyncio', 'memory', 'postgres', 'sqlite'] AsyncioJobQueue",
        "AsyncioJobQueue",
        "InMemoryJobQueue",
        "SqliteJobQueue",
    ]


@PLACES
def test_another_name_is_refused_as_always(tmp_path: Path, place: Callable[[Path], Path]) -> None:
    """A backend that nobody has is refused with the names that there are."""
    said = run(
        tmp_path,
        place,
        """
        from stoat_jobs import BackendNotFoundError, JobQueueSettings, create_queue

        try:
            create_queue(settings=JobQueueSettings(backend="abacus"))
        except BackendNotFoundError as error:
            print(error)
        """,
    )
    assert said == "no backend 'abacus'; installed: asyncio, memory, postgres, sqlite"


@PLACES
def test_the_command_says_that_its_version_is_unknown(
    tmp_path: Path, place: Callable[[Path], Path]
) -> None:
    """`stoat-jobs --version` ends well, and says why it prints no number."""
    said = run(tmp_path, place, "from stoat_jobs._cli.main import main; main(['--version'])")
    assert said == "stoat-jobs, version unknown: this copy has no metadata"


def test_a_backend_that_is_installed_is_found_beside_them(tmp_path: Path) -> None:
    """Entry points of others count, and one that claims a name of ours is told from ours."""
    code = in_a_folder(tmp_path)
    for name, claims in (("river", "river"), ("bold", "memory")):
        info = code / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[stoat_jobs.backends]\n{claims} = {name}:Queue\n")
    said = run(
        tmp_path,
        lambda folder: code,
        """
        from stoat_jobs import BackendError, JobQueueSettings, available_backends, create_queue

        print([each.name for each in available_backends()])
        try:
            create_queue(settings=JobQueueSettings(backend="memory"))
        except BackendError as error:
            print(error)
        """,
    )
    names, refusal = said.splitlines()
    assert names == "['asyncio', 'memory', 'memory', 'postgres', 'river', 'sqlite']"
    assert refusal == (
        "backend 'memory' is claimed by bold (bold:Queue) and stoat-jobs"
        " (stoat_jobs:InMemoryJobQueue); uninstall one of them"
    )


def test_with_metadata_each_is_there_once() -> None:
    """What is installed is not there a second time."""
    found = [(each.name, each.dist and each.dist.name) for each in stoat_jobs.available_backends()]
    assert ("asyncio", "stoat-jobs") in found
    assert ("memory", "stoat-jobs") in found
    assert [name for name, _ in found].count("memory") == 1


def test_metadata_is_read_by_who_asks() -> None:
    """Neither the package nor a queue that is made by its class reads what is installed."""
    code = """
    import sys
    before = "importlib.metadata" in sys.modules
    import stoat_jobs._app.entry_points
    read = set()
    sys.addaudithook(lambda event, args: read.add(str(args[0])) if event == "open" else None)
    stoat_jobs.AsyncioJobQueue()
    print([path for path in read if path.endswith(("METADATA", "entry_points.txt"))])
    """
    assert run_python("-c", textwrap.dedent(code)).stdout.strip() == "[]"
