"""What the page on workers shows: commands that there are, and times that are long enough."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from stoat_jobs._cli.main import _parser

PAGE = (Path(__file__).parents[2] / "docs/how-to/run-workers.md").read_text(encoding="utf-8")


def shown(language: str) -> list[str]:
    """The blocks of this language on the page."""
    return re.findall(rf"```{language}\n(.+?)```", PAGE, re.DOTALL)


def commands() -> list[list[str]]:
    """The arguments of each worker that the page starts, by hand or in a file."""
    lines = re.findall(r"stoat-jobs (worker .+)", "".join(shown("console") + shown("ini")))
    listed = re.findall(r'command: (\["stoat-jobs".+\])', "".join(shown("yaml")))
    return [*map(shlex.split, lines), *(json.loads(each)[1:] for each in listed)]


def number(pattern: str, text: str = PAGE) -> int:
    """The number that the page gives at the one place that is so."""
    (found,) = re.findall(pattern + r"(\d+)", text)
    return int(found)


@pytest.mark.parametrize("arguments", commands(), ids=" ".join)
def test_the_command_takes_what_the_page_gives(arguments: list[str]) -> None:
    """Every worker on the page has arguments that the command knows."""
    assert _parser().parse_args(arguments).app == "app:app"


def test_the_page_starts_workers() -> None:
    """They are found at all, so that the test above means something."""
    assert len(commands()) == 7


def test_orchestrators_wait_for_longer_than_a_stop_takes() -> None:
    """What kills a worker waits for more than the settings of the page promise."""
    (code,) = shown("python")
    promised = number("drain_timeout=", code) + 2 * number("cancel_grace=", code) + 1
    assert f"With the settings above, that is {promised}.\n" in PAGE
    keys = ("TimeoutStopSec=", "stop_grace_period: ", "terminationGracePeriodSeconds: ")
    waits = {number(key) for key in keys}
    assert min(waits) > promised
    assert f"the examples below wait for {max(waits)} seconds.\n" in PAGE


def test_probes_ask_the_health_of_the_worker() -> None:
    """They lead to its port; what restarts it asks only whether it lives."""
    compose, deployment = shown("yaml")
    probes = re.findall(r"(\w+)Probe:\n +httpGet: {path: (\S+), port: (\d+)}", deployment)
    port = re.findall(r'"--health", "0\.0\.0\.0:(\d+)"', deployment)[0]
    paths = {"startup": "/", "liveness": "/live", "readiness": "/"}
    assert {name: path for name, path, _ in probes} == paths
    assert {to for _, _, to in probes} == {port}
    (address,) = re.findall(r'"--health", "(\S+)"', compose)
    assert f"urlopen('http://{address}/'" in compose
