"""Whether what is installed is the lowest that we allow; run by ``nox -s lowest``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from importlib import metadata

from packaging.requirements import Requirement
from packaging.version import Version


def not_lowest(required: Iterable[str], installed: Callable[[str], str]) -> list[str]:
    """What is installed in another version than the lowest that is required, or has none."""
    wrong = []
    for requirement in map(Requirement, required):
        lowest = [each.version for each in requirement.specifier if each.operator == ">="]
        version = installed(requirement.name)
        if [Version(each) for each in lowest] != [Version(version)]:
            wrong.append(f"{requirement.name} {version}, not {requirement.specifier}")
    return wrong


def main() -> int:
    wrong = not_lowest(metadata.requires("stoat-jobs") or [], metadata.version)
    print(*wrong, sep="\n", file=sys.stderr)
    return len(wrong)


if __name__ == "__main__":
    sys.exit(main())
