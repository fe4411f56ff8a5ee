"""Whether everything installed may be distributed with an MIT package; run by ``nox -s licences``.

A licence that is not in the list, or is not said at all, is a failure: somebody has to look.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageMetadata, distributions

OURS = "stoat-jobs"
INSTALLERS = frozenset({"pip", "setuptools", "wheel"})

# By SPDX: permissive, and MPL-2.0, which binds changes of its own files alone.
ALLOWED = frozenset(
    "0BSD Apache-2.0 BSD BSD-2-Clause BSD-3-Clause ISC MIT MPL-2.0 PSF-2.0 Python-2.0 Unlicense".split()
)
# What older metadata says instead.
SAME_AS = {
    "Apache Software License": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}


def licence(metadata: PackageMetadata) -> str:
    """What a distribution says of its licence, as SPDX where it can be told; else empty."""
    if expression := metadata.get_all("License-Expression"):
        return str(expression[0])
    classifiers = metadata.get_all("Classifier") or []
    said = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License :: ")]
    said = said or list(metadata.get_all("License") or [])
    return " AND ".join(SAME_AS.get(name, name) for name in said)


def is_allowed(expression: str) -> bool:
    """Whether an SPDX expression gives a choice that is allowed.

    Brackets are taken apart with what they hold, which refuses rather too much than too little.
    """
    return all(
        any(choice.strip(" ()") in ALLOWED for choice in part.split(" OR "))
        for part in re.split(r" AND ", expression)
    )


def problems(installed: Iterable[Distribution]) -> list[str]:
    """What is wrong with the licences of these distributions, by name."""
    found = {dist.name: licence(dist.metadata) for dist in installed}
    wrong = [
        f"{name}: {said or 'no licence'}"
        for name, said in sorted(found.items())
        if not is_allowed(said) and name not in INSTALLERS
    ]
    if found.get(OURS) != "MIT":
        wrong.append(f"{OURS} itself: {found.get(OURS, 'not installed')}, not MIT")
    return wrong


def main() -> int:
    installed = list(distributions())
    for dist in sorted(installed, key=lambda dist: dist.name):
        print(f"{dist.name}: {licence(dist.metadata) or 'no licence'}")
    wrong = problems(installed)
    print(*wrong, sep="\n", file=sys.stderr)
    return len(wrong)


if __name__ == "__main__":
    sys.exit(main())
