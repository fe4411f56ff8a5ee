"""What contributors are told, and what machines do for them, agrees."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import stoat_jobs

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
IN_A_CHECKOUT = pytest.mark.skipif(not WORKFLOWS, reason="an sdist has no workflows")


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def sessions() -> set[str]:
    """The names of nox's sessions."""
    noxfile = read("noxfile.py")
    return set(re.findall(r"^@nox\.session.*\ndef (\w+)\(", noxfile, re.MULTILINE))


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "README.md"])
def test_commands_that_are_named_are_there(page: str) -> None:
    """Every session of nox that a page names is one."""
    lines = re.findall(r"nox -s ([a-z0-9 .-]+?)(?: --.*)?[`\n]", read(page))
    named = {name.partition("-")[0] for line in lines for name in line.split()}
    assert named <= sessions()
    assert "quick" in named or page == "README.md"


def test_what_a_quick_run_leaves_out_is_said() -> None:
    """A run that is spread over processes says how many tests its options leave out."""
    options = ("-n1", "-m", "not slow", "-p", "no:cacheprovider")
    command = [sys.executable, "-m", "pytest", *options, "tests/unit/test_hostile.py"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert re.search(r"^LEFT OUT \[16\]: ", run.stdout, re.MULTILINE), run.stdout + run.stderr


def test_links_of_the_guide_lead_somewhere() -> None:
    """Every file that the guide links or names is there."""
    text = read("CONTRIBUTING.md")
    linked = re.findall(r"\]\(([^)]+)\)|`(tests/[\w/.]+)`", text)
    paths = [ROOT / "".join(each) for each in linked]
    package = Path(stoat_jobs.__file__).parent  # the sdist is tested without its src
    paths += [package / path for path in re.findall(r"`src/stoat_jobs/([\w/.]+)`", text)]
    assert len(paths) > 5
    assert [path for path in paths if not path.exists()] == []


@IN_A_CHECKOUT
def test_actions_are_pinned_by_hash() -> None:
    """What a tag may mean tomorrow does not run here: each action is one commit, and says which."""
    used = [
        line.strip(" -")
        for path in WORKFLOWS
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    used = [line for line in used if line.startswith("uses:")]
    assert used
    pinned = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    assert [line for line in used if not pinned.fullmatch(line)] == []
    assert len({line.partition("@")[2] for line in used}) == len(
        {line.partition("@")[0] for line in used}
    )


@IN_A_CHECKOUT
def test_one_job_may_publish() -> None:
    """The right to publish is given to the one job that publishes, and by its environment."""
    jobs = re.split(r"^  (?=\w+:$)", read(".github/workflows/release.yml"), flags=re.MULTILINE)
    publishing = [job for job in jobs if "id-token: write" in job]
    assert len(publishing) == 1
    assert publishing[0].startswith("publish:")
    assert "environment: release" in publishing[0]
    assert "needs: [everything, build]" in publishing[0]
    assert not any(
        "id-token" in path.read_text(encoding="utf-8")
        for path in WORKFLOWS
        if path.stem != "release"
    )


@IN_A_CHECKOUT
def test_workflows_give_up_in_time() -> None:
    """Every job has a time limit, of 45 minutes at most, and no more rights than it names."""
    for path in WORKFLOWS:
        text = path.read_text(encoding="utf-8")
        limits = re.findall(r"timeout-minutes: (\d+)", text)
        assert len(limits) == text.count("runs-on:") == text.count("    permissions:")
        assert max(map(int, limits)) <= 45
        assert "\npermissions: {}\n" in text


@IN_A_CHECKOUT
def test_hooks_are_those_of_lint() -> None:
    """What pre-commit runs is the ruff of `nox -s lint`, and other hooks are pinned by hash."""
    hooks = read(".pre-commit-config.yaml")
    lint = tomllib.loads(read("pyproject.toml"))["dependency-groups"]["lint"]
    assert set(re.findall(r'"(ruff[^"]*)"', hooks)) == {each for each in lint if "ruff" in each}
    revisions = re.findall(r"rev: (.*)", hooks)
    assert all(re.fullmatch(r"[0-9a-f]{40} # frozen: v[\d.]+", each) for each in revisions)
