"""What .ci/run says was tested was tested, and what was left out is named."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from ..support.machine import Machine

OLDER = ("3.11", "3.12", "3.13")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """With neither of the two newest Pythons."""
    return Machine(tmp_path, *OLDER)


def test_as_root_on_debian_all_are_tested(machine: Machine) -> None:
    """What is not installed is tested in the chroot, and the coverage is measured there."""
    done = machine.run("run", CI="true")
    assert done.returncode == 0, done.stderr
    assert "tested on Python: 3.11 3.12 3.13 3.14 3.15\n" in done.stdout
    assert "not tested" not in done.stdout
    assert "coverage is measured on 3.15\n" in done.stdout
    assert [call.split()[0] for call in machine.tested()] == ["3.14", "3.15"]


@pytest.mark.parametrize("env", [{"USER_ID": "1000"}, {"DISTRIBUTION": "fedora"}], ids=str)
def test_elsewhere_they_are_named(machine: Machine, env: dict[str, str]) -> None:
    """Where no chroot can be made the run does not fail, and says what was not tested, and why."""
    done = machine.run("run", CI="true", **env)
    assert done.returncode == 0, done.stderr
    assert "tested on Python: 3.11 3.12 3.13\n" in done.stdout
    assert "not tested here: 3.14 3.15 (not installed; " in done.stdout
    assert "needs root on Debian" in done.stdout
    assert "coverage is measured on the newest that is here\n" in done.stdout
    assert machine.called("debootstrap") == machine.called("chroot") == []


@pytest.mark.parametrize("failing", ["debootstrap", "tests-3.14", "tests-3.15"])
def test_what_fails_in_the_chroot_fails_the_run(machine: Machine, failing: str) -> None:
    """Where a chroot can be made it has to work, and nox is run all the same."""
    done = machine.run("run", FAILING=failing)
    assert done.returncode == 1
    assert "tested on Python: 3.11 3.12 3.13" in done.stdout
    assert "--tags in-turn" in machine.called("nox")


def test_everything_is_run_once(machine: Machine) -> None:
    """Some sessions run beside the others, and what they print is shown whole."""
    done = machine.run("run")
    assert sorted(machine.called("nox")) == ["--session uv", "--tags beside", "--tags in-turn"]
    assert done.stdout.count("installed by uv\n") == 2


def test_what_fails_beside_the_others_fails_the_run(machine: Machine) -> None:
    """It is said again at the end, as all failures are, and the others are run."""
    done = machine.run("run", FAILING="beside")
    assert done.returncode == 1
    *_, named, tested = done.stdout.splitlines()
    assert named == "FAILED --tags beside"
    assert tested == "tested on Python: 3.11 3.12 3.13 3.14 3.15"


def test_what_runs_beside_the_others_can_be_interrupted(machine: Machine) -> None:
    """It does not ignore Ctrl-C, as what a shell starts beside itself does."""
    machine.run("run")
    assert len(machine.ignored()) >= 3
    assert not any(signals >> (signal.SIGINT - 1) & 1 for signals in machine.ignored())


def test_where_uv_cannot_install_pip_does(machine: Machine) -> None:
    """What uv said is shown, and the run does not fail."""
    done = machine.run("run", FAILING="uv")
    assert done.returncode == 0, done.stderr
    assert "FAILED --session uv\n" in done.stdout
    assert done.stdout.count("installed by pip\n") == 2


def test_what_failed_is_said_again_at_the_end(machine: Machine) -> None:
    """The names of failed tests come after everything else that the sessions print."""
    done = machine.run("run", SAYS="FAILED tests/unit/test_a.py::test_b - AssertionError")
    *_, named, tested = done.stdout.splitlines()
    assert named == "FAILED tests/unit/test_a.py::test_b - AssertionError"
    assert tested.startswith("tested on Python: ")


def test_what_is_installed_needs_no_chroot(tmp_path: Path) -> None:
    """nox tests an installed Python like any other; the chroot is for the rest."""
    machine = Machine(tmp_path, *OLDER, "3.14")
    done = machine.run("run", CI="true")
    assert "tested on Python: 3.11 3.12 3.13 3.14 3.15\n" in done.stdout
    assert [call.split()[0] for call in machine.tested()] == ["3.15"]


@pytest.mark.parametrize(("env", "code"), [({"CI": "true"}, 1), ({}, 0)], ids=["CI", "by hand"])
def test_an_installed_one_that_was_left_out(
    machine: Machine, env: dict[str, str], code: int
) -> None:
    """A build server has to test every Python that it has."""
    done = machine.run("run", NOX_TESTS="3.11 3.13", **env)
    assert done.returncode == code
    assert "installed but not tested: 3.12\n" in done.stderr


def test_nothing_tested_is_a_failure(machine: Machine) -> None:
    """A run without tests does not pass."""
    done = machine.run("run", NOX_TESTS="", USER_ID="1000")
    assert done.returncode == 1
    assert "no Python ran the tests" in done.stderr
