"""Calls observers when something happens, so that no observer can hurt a job."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, NamedTuple

from .._jobs.observer import JobObserver
from .._model.events import SubmittingEvent
from .._model.metadata import checked_metadata
from .._text import SHOWN_LIMIT, name_of, one_line
from .log import LoggingObserver, is_standard, log_event, logger

HOOKS = ("submitting", "submitted", "started", "progress", "finished", "removed")


# Asked three times a job, and so not guarded: it cannot raise, unless an app's own loggers do.
_LOG_IS_ON = LoggingObserver.is_on if is_standard(logger) else None


class _Listener(NamedTuple):
    observer: Any
    enabled: Callable[[], bool]
    call: Callable[[Any], Any]


class Observers:
    """The observers of a queue; logging comes first.

    An observer that raises is logged once and dropped; logging is never dropped. Only
    ``KeyboardInterrupt`` is passed on: it comes from the user, not from the observer.

    Attributes:
        wants: for each hook, whether any observer listens now; if none does, no event is built.
    """

    __slots__ = ("_listeners", "_log", "wants")

    def __init__(self, observers: Iterable[Any] = ()) -> None:
        self._log = LoggingObserver()
        everyone = (self._log, *_checked(observers))
        self._listeners = {hook: _listeners(everyone, hook) for hook in HOOKS}
        self.wants: dict[str, Callable[[], bool]] = {hook: self._wants(hook) for hook in HOOKS}

    def _wants(self, hook: str) -> Callable[[], bool]:
        """What says whether any observer listens; in most queues that is logging only."""
        listeners = self._listeners[hook]
        if not listeners:
            return bool
        if len(listeners) == 1 and listeners[0].enabled is _LOG_IS_ON:
            return _LOG_IS_ON
        return partial(self._any_wants, hook)

    def _any_wants(self, hook: str) -> bool:
        for listener in self._listeners[hook]:
            try:
                if listener.enabled():
                    return True
            except BaseException as error:
                self._drop(listener.observer, hook, error)
        return False

    def tell(self, hook: str, event: Any) -> None:
        """Call *hook* with *event* on every observer that has it."""
        for listener in self._listeners[hook]:
            try:
                listener.call(event)
            except BaseException as error:
                self._drop(listener.observer, hook, error)

    def submitting(self, event: SubmittingEvent, limit: int) -> Mapping[str, Any]:
        """The metadata of a new job: that of observers, and the submitter's, which wins.

        *limit* is the most bytes that it may have as JSON.
        """
        metadata = event.metadata
        for listener in self._listeners["submitting"]:
            try:
                added = checked_metadata(listener.call(event), limit)
            except BaseException as error:
                self._drop(listener.observer, "submitting", error)
            else:
                metadata = _joined(added, metadata, limit)
        return metadata

    def ending_together(self) -> AbstractContextManager[None]:
        """For the shutdown: log one line for all jobs cancelled in this block before they start."""
        return self._log.together()

    def _drop(self, culprit: Any, hook: str, error: BaseException) -> None:
        if issubclass(type(error), KeyboardInterrupt):  # isinstance would trust its __class__
            raise error
        if culprit is self._log:
            return
        # New lists, because the caller is iterating over one of the old ones.
        for name, listeners in self._listeners.items():
            self._listeners[name] = [each for each in listeners if each.observer is not culprit]
            self.wants[name] = self._wants(name)
        name = name_of(type(culprit))
        log_event(logging.ERROR, "observer_dropped", exc_info=error, observer=name, hook=hook)


def _checked(observers: Iterable[Any]) -> list[Any]:
    if not isinstance(observers, Iterable):
        raise TypeError(
            f"observers must be a list or another iterable, not {type(observers).__name__}"
        )
    found = list(observers)
    for observer in found:
        if isinstance(observer, type):
            raise TypeError(f"observers must be instances, not the class {observer.__name__}")
    return found


def _listeners(observers: Iterable[Any], hook: str) -> list[_Listener]:
    return [
        _Listener(observer, _enabled(observer, hook), getattr(observer, hook))
        for observer in observers
        if _overrides(observer, hook)
    ]


def _overrides(observer: Any, hook: str) -> bool:
    method = getattr(observer, hook, None)
    return method is not None and (
        getattr(method, "__func__", method) is not getattr(JobObserver, hook)
    )


def _enabled(observer: Any, hook: str) -> Callable[[], bool]:
    if isinstance(observer, LoggingObserver):
        return observer.is_on  # asked three times a job: one call less each time saves 2 %
    return partial(getattr(observer, "enabled", _always), hook)


def _always(hook: str) -> bool:
    return True


def _joined(added: Mapping[str, Any], metadata: Mapping[str, Any], limit: int) -> Mapping[str, Any]:
    """Both, or only *metadata* if both exceed the limit: that is not the observer's fault."""
    try:
        return checked_metadata({**added, **metadata}, limit)
    except ValueError:
        names = one_line(", ".join(added), SHOWN_LIMIT)
        log_event(logging.WARNING, "metadata_left_out", names=names)
        return metadata
