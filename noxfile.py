"""Everything that checks the project; plain ``nox`` runs what has a tag."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nox

sys.path.insert(0, str(Path(__file__).parent))
from tests.support.postgres import installing

nox.needs_version = ">=2025.10.14"
# Which sessions plain ``nox`` runs, one after another. Those that are BESIDE others need a single
# core, and no peace: .ci/run runs them while it runs the rest.
IN_TURN = ["in-turn"]
BESIDE = ["beside"]
nox.options.tags = [*IN_TURN, *BESIDE]
nox.options.reuse_venv = "yes"
# A Python that is not here is skipped, on a build server too; .ci/run says what was tested.
nox.options.error_on_missing_interpreters = False
# Never download a Python.
nox.options.download_python = "never"

ROOT = Path.cwd()
ON_SERVER = os.environ.get("CI") == "true"  # a build server
# More than cores, where these are two: many tests wait for servers and processes.
WORKERS = min(4, max(3, os.cpu_count() or 1))
PARALLEL = [f"--numprocesses={WORKERS}", "--dist=worksteal"]
# Tests with servers and leases wait most of the time.
WAITING = [f"--numprocesses={2 * WORKERS}", "--dist=worksteal"]
# What a run leaves for the next one stays in the checkout, wherever it runs.
KEEPING = f"--override-ini=cache_dir={ROOT}/.pytest_cache"
KEPT = {
    "COVERAGE_FILE": f"{ROOT}/.coverage",
    "HYPOTHESIS_STORAGE_DIRECTORY": f"{ROOT}/.hypothesis",
}
CHECKED = ["src", "tests", "examples", "benchmarks", "hatch_build.py"]
# What only `services` covers, which is skipped where no server can be installed.
WITHOUT_SERVERS = ["--omit=*/stoat_jobs/_postgres/*,*/stoat_jobs/_cli/postgres/*"]
QUICK = ["tests/contract", "tests/unit"]
NOT_SLOW = ["-m", "not slow"]
BETWEEN = [*NOT_SLOW, *QUICK, "tests/sqlite/test_contract.py"]
ON_BOTH = [*BETWEEN, *(f"tests/{name}" for name in ("clients", "http_face", "lifespan"))]
THIRD_PARTY = "./examples/stoat-jobs-lmdb"
PROJECT = nox.project.load_toml("pyproject.toml")["project"]
EXTRAS = ",".join(PROJECT["optional-dependencies"])
PYTHONS = re.findall(r"Python :: (3\.\d+)", Path("pyproject.toml").read_text(encoding="utf-8"))


def _pyenv_folders() -> list[str]:
    """Where pyenv keeps the newest of each supported Python; its shims may refuse to start."""
    versions = Path(os.environ.get("PYENV_ROOT", os.devnull), "versions")
    installed = [sorted(versions.glob(f"{python}.*"), key=_release) for python in PYTHONS]
    return [str(found[-1] / "bin") for found in installed if found]


def _release(folder: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", folder.name)]


os.environ["PATH"] = os.pathsep.join([*_pyenv_folders(), os.environ.get("PATH", os.defpath)])

# uv, which nox takes where it is told to, reads nothing of what pip is told.
FROM_PIP = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "constraint": ("UV_CONSTRAINT", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "default-timeout": ("UV_HTTP_TIMEOUT", " "),
}


def _tell_uv() -> None:
    """Tell uv where packages are, and how to get there, as pip's files and variables say it."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    for section in (":env:", "install", "global"):  # the first that says it counts
        for option, value in re.findall(rf"^{section}\.([\w-]+)=(.*)$", told, re.MULTILINE):
            if option in FROM_PIP:
                name, separator = FROM_PIP[option]
                os.environ.setdefault(name, separator.join(ast.literal_eval(value).split()))
    os.environ.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")  # of all indexes, as pip
    os.environ.setdefault("UV_LINK_MODE", "copy")  # where its cache is on another disk, too


_tell_uv()

# The newest Python that is here, or the one that runs nox.
FOUND = [python for python in PYTHONS if shutil.which(f"python{python}")]
NEWEST = FOUND[-1] if FOUND else None
MEASURED = os.environ.get("MEASURED", NEWEST)  # by .ci/run, if it was measured elsewhere
OLDEST_AND_NEWEST = sorted({*FOUND[:1], *FOUND[-1:]}, key=PYTHONS.index) or PYTHONS
OLDEST = FOUND[0] if FOUND else None


@nox.session(python=PYTHONS, tags=IN_TURN)
def tests(session: nox.Session) -> None:
    """Run the tests, on the newest Python with coverage; arguments go to pytest.

    The slow ones run on the oldest Python, all others on the newest, wherever .ci/run has tested
    it. What touches the differences between Pythons and frameworks runs on both; between them,
    the contracts and the units. All of it everywhere would take minutes more for each.
    """
    _enter_sdist(session, "tests", EXTRAS)
    # Before the run: tests that fail were run, and nox itself says that they failed.
    tested = ROOT / session.cache_dir / "tested"
    tested.mkdir(exist_ok=True)
    (tested / str(session.python)).touch()
    # Before Python 3.14 measuring takes half as long again, and few lines are for older Pythons.
    run = ("coverage", "run") if session.python == MEASURED else ("python",)
    chosen = [BETWEEN]
    if session.python == OLDEST:
        chosen = [["-m", "slow"], ON_BOTH] if MEASURED != OLDEST else [[]]
    elif session.python == MEASURED:
        chosen = [NOT_SLOW]
    for arguments in [session.posargs] if session.posargs else chosen:
        session.run(*run, "-m", "pytest", *PARALLEL, KEEPING, *arguments, env=KEPT)


def _enter_sdist(session: nox.Session, group: str, extras: str) -> None:
    """Go on in the unpacked sdist, without its ``src``, and with the wheel that it builds.

    What others get is what is tested, and a file that the sdist lacks is missed.
    """
    session.install("--group", group, "hatchling")
    folder = session.cache_dir / "sdist" / session.name
    shutil.rmtree(folder, ignore_errors=True)
    session.run("hatchling", "build", "--target=sdist", f"--directory={folder}", silent=True)
    (archive,) = folder.iterdir()
    shutil.unpack_archive(archive, folder)
    unpacked = folder / archive.name.removesuffix(".tar.gz")
    session.install(f"{unpacked}[{extras}]")
    shutil.rmtree(unpacked / "src")
    session.chdir(unpacked)


@nox.session(python=OLDEST_AND_NEWEST, tags=IN_TURN)
def services(session: nox.Session) -> None:
    """Run what needs a PostgreSQL server, Debian's where there is none; arguments go to pytest.

    All of it runs on the oldest Python, with coverage; only the kit on uvloop on the newest, if
    that is another one.
    """
    _install_servers(session)
    _enter_sdist(session, "services", EXTRAS)
    run, chosen = ("coverage", "run"), ["tests/postgres"]
    if NEWEST != OLDEST:
        chosen += ["-k", "not OnUvloop"]
    if session.python != OLDEST:
        run, chosen = ("python",), ["tests/postgres/test_contract.py", "-k", "OnUvloop"]
    arguments = session.posargs or chosen
    session.run(*run, "-m", "pytest", *WAITING, KEEPING, *arguments, env=KEPT)


@nox.session
def quick(session: nox.Session) -> None:
    """Run the fast tests of the contract and the units, on the Python that runs nox."""
    session.install("-e", ".[http,testing]", "--group", "quick")
    session.run("pytest", *PARALLEL, "-m", "not slow", *(session.posargs or QUICK))


@nox.session(python=OLDEST_AND_NEWEST, tags=BESIDE)
def third_party(session: nox.Session) -> None:
    """Make the backend of the guide from what its page shows; run its tests and the example's."""
    folder = session.create_tmp()
    session.run("python", "tests/guide.py", folder)
    session.install(".", f"{folder}[testing]")
    session.run("pytest", f"--rootdir={folder}", f"{folder}/tests")
    # The contract is in both.
    session.run("pytest", f"{THIRD_PARTY}/tests", f"--ignore={THIRD_PARTY}/tests/test_contract.py")


@nox.session(tags=IN_TURN)
def coverage(session: nox.Session) -> None:
    """Put the measurements of all tested Pythons together and judge them."""
    if not list(Path().glob(".coverage.*")):
        session.skip("no measurements: no tests ran")
    session.install("coverage[toml]>=7.10")
    session.run("coverage", "combine")
    session.run("coverage", "report", *(WITHOUT_SERVERS if installing.missing() else ()))


# With a policy, if there is none yet, that lets no package start what it installs.
INSTALLING = """
set -e
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap "rm -f $policy" EXIT
    printf '#!/bin/sh\\nexit 101\\n' >$policy
    chmod +x $policy
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install -y --no-install-recommends "$@"
"""


@nox.session(python=NEWEST, tags=IN_TURN)
def browser(session: nox.Session) -> None:
    """Look at the dashboard with Chromium, Debian's where there is none; arguments go to pytest."""
    chromium = _chromium(session)
    session.install(".[demo,http]", "--group", "browser")
    session.run("pytest", "tests/browser", *session.posargs, env={"CHROMIUM": chromium})


@nox.session(python=NEWEST)
def screenshots(session: nox.Session) -> None:
    """Take the pictures of the dashboard for the README and the documentation."""
    chromium = _chromium(session)
    if not Path("/usr/share/fonts/opentype/inter").exists():
        _install_debian(session, "fonts-inter")
    session.install(".[demo,http]", "--group", "browser")
    session.run("python", "-m", "tests.browser.pictures", env={"CHROMIUM": chromium})


def _chromium(session: nox.Session) -> str:
    """Where a Chromium is, or Chrome, which is one."""
    for name in ("chromium", "google-chrome", "chromium-browser"):
        if found := shutil.which(name):
            return found
    _install_debian(session, "chromium")
    return "/usr/bin/chromium"


def _install_servers(session: nox.Session) -> None:
    if packages := installing.missing():
        _install_debian(session, *packages)
    if (packages := installing.useful()) and _can_install():
        _install_debian(session, *packages)


def _can_install() -> bool:
    return bool(shutil.which("apt-get")) and (ON_SERVER or os.geteuid() == 0)


def _install_debian(session: nox.Session, *packages: str) -> None:
    """Install Debian's *packages*; where that cannot be it is a failure on a build server alone.

    Servers among them are not started: tests start their own.
    """
    if not _can_install():
        leave = session.error if ON_SERVER else session.skip
        leave(f"{' and '.join(packages)}: missing, and this user cannot install packages")
    as_root = () if os.geteuid() == 0 else ("sudo", "--non-interactive")
    session.run(*as_root, "sh", "-c", INSTALLING, "sh", *packages, external=True)


@nox.session(tags=BESIDE)
def mypy(session: nox.Session) -> None:
    """Check the types of everything, as the oldest and the newest Python see them."""
    groups = [f"--group={name}" for name in ("tests", "browser", "distribution")]
    session.install(f".[{EXTRAS}]", THIRD_PARTY, *groups)
    for python in (PYTHONS[0], PYTHONS[-1]):
        session.run("mypy", f"--python-version={python}", *CHECKED)


@nox.session(tags=BESIDE)
def pyright(session: nox.Session) -> None:
    """Check the public types with a second type checker; each of them has to be written down."""
    session.install(f".[{EXTRAS}]", "--group", "tests")
    session.run("pyright", *session.posargs)
    # It fails below 100 %. Of a type that is only inferred another checker may think otherwise.
    session.run("pyright", "--verifytypes", "stoat_jobs", "--ignoreexternal")


OF_KIND = {
    "dependabot": [".github/dependabot.yml"],
    "github-issue-config": [".github/ISSUE_TEMPLATE/config.yml"],
    "github-issue-forms": [f".github/ISSUE_TEMPLATE/{name}.yml" for name in ("bug", "idea")],
    "readthedocs": [".readthedocs.yaml"],
}


@nox.session(tags=BESIDE)
def lint(session: nox.Session) -> None:
    """Check style, format, the direction of imports, and what other machines are told to do."""
    session.install("-e", ".", "--group", "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")
    session.run("actionlint", *map(str, sorted(Path().glob(".github/workflows/*.yml"))))
    session.run("zizmor", "--offline", "--no-progress", "--pedantic", ".github")
    for kind, files in OF_KIND.items():
        session.run("check-jsonschema", f"--builtin-schema=vendor.{kind}", *files)


@nox.session(tags=BESIDE)
def api(session: nox.Session) -> None:
    """Compare the public API with its record and the last release; ``-- --record`` records it."""
    session.install("--group", "api")
    session.run("python", "-m", "tests.api", *session.posargs)


@nox.session(tags=BESIDE)
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error."""
    _enter_sdist(session, "docs", EXTRAS)
    strict = ("-q", "-W", "--keep-going", "-n", "-E")
    session.run("python", "-m", "sphinx", *strict, "-b", "html", "docs", f"{ROOT}/docs/_build/html")


@nox.session(tags=BESIDE)
def distribution(session: nox.Session) -> None:
    """Build into dist/ what is published, and check it; ``-- release`` refuses placeholders."""
    session.install("--group", "distribution")
    if "release" in session.posargs:
        session.run("python", "tests/release.py")
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build", silent=True)
    built = [str(path) for path in sorted(Path("dist").iterdir())]
    session.run("twine", "check", "--strict", *built)
    session.run("check-wheel-contents", "dist")
    session.run("validate-pyproject", "pyproject.toml", f"{THIRD_PARTY}/pyproject.toml")
    session.run("pyroma", "--min=10", built[-1])
    session.run("pytest", "tests/distribution")


@nox.session(python=FOUND[:1] or PYTHONS[:1], tags=IN_TURN)
def lowest(session: nox.Session) -> None:
    """Run what is quick with the lowest versions that we allow; arguments go to pytest.

    uv finds them. What tests need beside them is the newest that goes with them.
    """
    session.install("uv")
    pins = session.cache_dir / "lowest.txt"
    options = ("--all-extras", "--resolution=lowest-direct", f"--output-file={pins}", "--quiet")
    session.run("uv", "pip", "compile", *options, "pyproject.toml", silent=True)
    beside = ("fastapi", "pytest-xdist", "sqlalchemy", "uvloop")
    session.install(f".[{EXTRAS}]", *beside, f"--constraint={pins}")
    session.run("python", "tests/lowest.py")
    session.run("python", "-c", "import stoat_jobs.postgres")
    # pytest before 9 does not read [tool.pytest].
    options = ("-Werror", "--import-mode=importlib", "--asyncio-mode=auto")
    inis = ("asyncio_default_fixture_loop_scope=function", "markers=slow")
    more = [f"--override-ini={ini}" for ini in inis]
    session.run("pytest", *PARALLEL, *options, *more, "-m", "not slow", *(session.posargs or QUICK))
    # The kit has a machine too.
    for command in (("check", "asyncio"), ("demo",)):
        session.run("stoat-jobs", *command, silent=True)


@nox.session(venv_backend="uv")
def uv(session: nox.Session) -> None:
    """Install something with uv, as .ci/run does before it lets uv install everything."""
    session.install("nox")


@nox.session
def flaky(session: nox.Session) -> None:
    """Run the tests three times in random order, to find those that depend on luck."""
    session.install(".[demo,http,testing]", "--group", "tests", "pytest-randomly")
    for _ in range(3):
        session.run("pytest", *PARALLEL, *session.posargs)


@nox.session(python=NEWEST)
def servers(session: nox.Session) -> None:
    """Run the real servers one after another; write what was seen into the documentation."""
    session.install(".[demo,testing]", "--group", "tests")
    session.run("python", "-m", "tests.support.servers.measure")


@nox.session(python=NEWEST)
def soak(session: nox.Session) -> None:
    """Run a million jobs that misbehave, and account for each; ``-- --jobs 50000 --seed 7``.

    It takes about a quarter of an hour.
    """
    session.install(".", "uvloop")
    session.run("python", "-m", "tests.support.soak", *session.posargs)


@nox.session(python=OLDEST)
def chaos(session: nox.Session) -> None:
    """Kill workers, servers and connections of `postgres`, and account for each job; ``-- --full``.

    Twenty rounds take about a quarter of an hour, the two without ``--full`` a minute or two.
    """
    _install_servers(session)
    session.install(".[postgres]", "--group", "services")
    session.run("python", "-m", "tests.support.fleet.chaos", *session.posargs)


@nox.session(python=NEWEST)
def fuzz(session: nox.Session) -> None:
    """Attack the queue with made-up input for ten minutes; ``-- 3600`` for an hour.

    First at random, then guided by coverage. Whatever is found is shown with the input.
    """
    session.install(".[http,testing]", "--group", "tests", "atheris")
    attacks = ("tests/fuzz", "tests/http_face/test_openapi.py")
    session.run("pytest", *PARALLEL, *attacks, env={"FUZZ_EXAMPLES": "1000"})
    session.run("python", "-m", "tests.support.fuzz.guided", *(session.posargs or ["600"]))


@nox.session(python=NEWEST, venv_backend="virtualenv")
def audit(session: nox.Session) -> None:
    """Look up known vulnerabilities of what the package and its extras install, online.

    What cannot be looked up is a failure.
    """
    session.install(f".[{EXTRAS}]")
    listed = session.run("python", "-m", "pip", "freeze", "--exclude=stoat-jobs", silent=True)
    pinned = Path(session.create_tmp(), "requirements.txt")
    pinned.write_text(str(listed), encoding="utf-8")
    session.install("pip-audit")
    # Without --strict it passes over what its service does not know, or does not answer.
    session.run("pip-audit", "--strict", "--no-deps", "--disable-pip", "-r", str(pinned))


@nox.session(python=OLDEST_AND_NEWEST)
def licences(session: nox.Session) -> None:
    """Check that the licences of all that the package and its extras install go with ours."""
    session.install(f".[{EXTRAS}]")
    session.run("python", "tests/licences.py")


@nox.session(python=NEWEST)
def mutate(session: nox.Session) -> None:
    """Change the core in small ways, and see whether the tests notice; arguments go to mutmut.

    It takes about an hour. Survivors are listed at the end; ``-- show NAME`` shows one.
    """
    session.install("-e", ".[testing]", "--group", "tests", "mutmut>=3.8,<4")
    session.run("mutmut", *(session.posargs or ["run"]))
    session.run("mutmut", "results")


@nox.session(python="3.11")
def bench(session: nox.Session) -> None:
    """Measure against floors and peers; ``-- --aims`` takes ten minutes, ``-- --quick`` a few.

    In full it takes about half an hour; ``--force-python 3.13`` takes another Python.
    """
    session.install(".[postgres]", "--group", "bench")
    session.run("python", "-m", "benchmarks", *session.posargs)
