"""The same attacks, guided by coverage: ``python -m tests.support.fuzz.guided SECONDS [TEST ...]``.

Needs atheris. Each attack has a process of its own and its share of the time. What is found
is printed by Hypothesis or Python, and the exit status is not 0.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ATTACKS = Path(__file__).parents[2] / "fuzz/test_attacks.py"
LEAST = 1000  # executions; less means that the attack does not run at all


def main(seconds: float, names: list[str]) -> int:
    failed = 0
    for name in names or attacks():
        command = [sys.executable, "-m", "tests.support.fuzz.guided", "--one", name]
        share = max(1, int(seconds / len(names or attacks())))
        run = subprocess.run(
            [*command, f"-max_total_time={share}", "-print_final_stats=1", "-timeout=20"],
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
        count = re.search(r"number_of_executed_units: (\d+)", run.stderr)
        executions = int(count[1]) if count else 0
        slowest = re.search(r"slowest_unit_time_sec:\s+(\d+)", run.stderr)
        covered = re.findall(r"cov: (\d+)", run.stderr)
        places = covered[-1] if covered else 0
        worst = slowest[1] if slowest else "?"
        print(f"{name}: {executions} executions, {places} places, slowest {worst} s", flush=True)
        if run.returncode or executions < LEAST:
            failed += 1
            print(run.stderr[-6000:], flush=True)
    return failed


def attacks() -> list[str]:
    """The names of all attacks, by file so that nothing is imported before atheris."""
    return re.findall(r"^def (test_\w+)", ATTACKS.read_text(encoding="utf-8"), re.MULTILINE)


def attack_one(name: str, arguments: list[str]) -> None:
    import atheris  # type: ignore[import-untyped,import-not-found,unused-ignore]

    with atheris.instrument_imports(include=["stoat_jobs"]):
        from ...fuzz import test_attacks
    target = getattr(test_attacks, name).hypothesis.fuzz_one_input
    atheris.Setup([name, *arguments], target)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        attack_one(sys.argv[2], sys.argv[3:])
    else:
        sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
