"""The chroot with the newest Pythons: made once, whole or not at all, and honest about failures."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from ..support.machine import Machine

BETWEEN = "-m not slow tests/contract tests/unit tests/sqlite/test_contract.py"
OTHER_AND_NEWEST = [f"3.14 -- {BETWEEN}", "3.15 --"]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_newest_gets_the_whole_suite(machine: Machine) -> None:
    """Without arguments everything is run on the newest, contract and unit tests on the other."""
    done = machine.run("newer_pythons", ".")
    assert done.returncode == 0, done.stderr
    assert machine.tested() == OTHER_AND_NEWEST


def test_arguments_are_for_pytest(machine: Machine) -> None:
    """What follows two dashes is what is run on both."""
    machine.run("newer_pythons", ".", "--", "tests/unit", "-x")
    assert machine.tested() == ["3.14 -- tests/unit -x", "3.15 -- tests/unit -x"]


def test_some_can_be_chosen(machine: Machine) -> None:
    """A Python that is installed need not be tested in the chroot as well."""
    machine.run("newer_pythons", ".", PYTHONS="3.15")
    assert machine.tested() == ["3.15 --"]


def test_tests_can_be_interrupted(machine: Machine) -> None:
    """What runs in the chroot does not ignore Ctrl-C, as what a shell starts beside it does."""
    machine.run("newer_pythons", ".")
    assert len(machine.ignored()) >= 2
    assert not any(signals >> (signal.SIGINT - 1) & 1 for signals in machine.ignored())


def test_a_second_run_uses_the_chroot_of_the_first(machine: Machine) -> None:
    """Debian is installed once."""
    for _ in range(2):
        assert machine.run("newer_pythons", ".").returncode == 0
    assert len(machine.called("debootstrap")) == 1
    assert machine.tested() == OTHER_AND_NEWEST * 2


def test_a_chroot_that_cannot_be_made_says_why(machine: Machine) -> None:
    """What debootstrap says is shown, nothing is tested, and the script fails."""
    done = machine.run("newer_pythons", ".", FAILING="debootstrap")
    assert done.returncode != 0
    assert "E: no such release" in done.stderr
    assert machine.called("chroot") == []


def test_half_a_chroot_is_not_taken_for_one(machine: Machine) -> None:
    """After a first run that was cut off the next one begins anew."""
    machine.run("newer_pythons", ".", FAILING="debootstrap")
    assert machine.run("newer_pythons", ".").returncode == 0
    assert len(machine.called("debootstrap")) == 2
    assert machine.tested() == OTHER_AND_NEWEST


def test_a_failure_is_one_and_the_rest_is_run(machine: Machine) -> None:
    """Tests that fail on one Python fail the script, which goes on to the other."""
    done = machine.run("newer_pythons", ".", FAILING="tests-3.14")
    assert done.returncode == 1
    assert machine.tested() == OTHER_AND_NEWEST


def test_what_pip_is_told_is_in_no_file(machine: Machine) -> None:
    """The chroot's pip looks where this machine's does, and where that is stays in memory."""
    machine.run("newer_pythons", ".", PIP_INDEX_URL="some-index")
    calls = machine.called("chroot")
    assert calls
    assert [call for call in calls if "PIP_INDEX_URL=some-index" not in call] == []
    assert [call for call in calls if "env --ignore-environment " not in call] == []
    assert machine.holds("some-index") == []


def test_mounts_end_with_the_script(machine: Machine) -> None:
    """Everything is mounted in a namespace that dies with its last process, the script's child."""
    machine.run("newer_pythons", ".")
    (unshared,) = machine.called("unshare")
    assert unshared.startswith("--mount --pid --fork --kill-child ")
    assert len(machine.called("mount")) > 5


def test_benchmarks_run_on_the_newest(machine: Machine) -> None:
    """SESSION=bench measures on the chosen Python in the chroot, and arguments go to it."""
    arguments = ("newer_pythons", ".", "--", "--quick")
    assert machine.run(*arguments, SESSION="bench", PYTHONS="3.14").returncode == 0
    (call,) = [call for call in machine.called("chroot") if " nox --session " in call]
    assert call.endswith(" nox --session bench --force-python 3.14 -- --quick")
