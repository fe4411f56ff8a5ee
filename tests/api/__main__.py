"""``python -m tests.api`` compares the public API with its record; ``--record`` writes that anew."""

from __future__ import annotations

import os
import sys

from .comparing import ROOT, compare, record


def main(*arguments: str) -> str | int:
    if arguments == ("--record",):
        record(ROOT, ROOT / "src")
    elif arguments:
        return f"--record or nothing, not {' '.join(arguments)}"
    report, wrong = compare(ROOT, ROOT / "src")
    text = "\n".join([*report, *(f"**Wrong: {each}**" for each in wrong)])
    print(text)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with open(summary, "a", encoding="utf-8") as page:
            print(text, file=page)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
