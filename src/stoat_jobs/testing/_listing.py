"""The specification as data: every promise of the contract, in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ._contract import JobQueueContract
from ._promises import Promises


class Promise(NamedTuple):
    """One test of the contract.

    Attributes:
        test: its name.
        sentence: the promise.
        group: the sentence above its group.
        needs: the capabilities that excuse from it if one of them is False.
        unless: the capability that excuses from it if it is True, or an empty string.
    """

    test: str
    sentence: str
    group: str
    needs: tuple[str, ...]
    unless: str

    def excused_by(self, capability: str, value: bool) -> bool:
        """Whether a backend whose *capability* is *value* need not keep it."""
        return capability == self.unless if value else capability in self.needs


def promises(contract: type[Promises] = JobQueueContract) -> list[Promise]:
    """All promises that *contract* tests, group by group."""
    groups = [group for group in contract.__mro__ if issubclass(group, Promises)]
    return [promise for group in groups for promise in _promises_of(group)]


def _promises_of(group: type[Promises]) -> Iterator[Promise]:
    for name, test in vars(group).items():
        if name.startswith("test_"):
            yield Promise(
                test=name,
                sentence=_sentence(test),
                group=_sentence(group),
                needs=getattr(test, "needs", ()),
                unless=getattr(test, "unless", ""),
            )


def _sentence(documented: Any) -> str:
    """The docstring as one line of plain text."""
    return " ".join((documented.__doc__ or "").split()).replace("``", "`")
