"""Telling observers what happens, without letting them hurt a job."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, NamedTuple

from .._jobs.protocols import JobObserver
from .._model.options import checked_metadata
from .._model.records import SubmittingEvent
from .._text import SHOWN_LIMIT, name_of, one_line
from .log import LoggingObserver, log_event

HOOKS = ("submitting", "submitted", "started", "progress", "finished")


class _Listener(NamedTuple):
    observer: Any
    enabled: Callable[[], bool]
    call: Callable[[Any], Any]


class Observers:
    """A queue's observers, logging before all others.

    One that raises is logged once and dropped; the log itself never is. Only
    ``KeyboardInterrupt`` passes: it is the user's, not the observer's.
    """

    __slots__ = ("_listeners", "_log", "_wants")

    def __init__(self, observers: Iterable[Any] = ()) -> None:
        self._log = LoggingObserver()
        everyone = (self._log, *_checked(observers))
        self._listeners = {hook: _listeners(everyone, hook) for hook in HOOKS}
        self._wants = {hook: self._asked(hook) for hook in HOOKS}

    def wants(self, hook: str) -> bool:
        """Whether anybody listens now: an event that nobody wants need not be built."""
        try:
            return self._wants[hook]()
        except KeyboardInterrupt:
            raise
        except BaseException:  # the log's; asked one by one, others that raise are dropped
            return self._any_wants(hook)

    def _asked(self, hook: str) -> Callable[[], bool]:
        """What answers whether anybody listens; the log alone, as mostly, is asked directly."""
        listeners = self._listeners[hook]
        if not listeners:
            return bool
        if len(listeners) == 1 and isinstance(listeners[0].observer, LoggingObserver):
            return listeners[0].enabled
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
        """Give *event* to everybody who has that hook."""
        for listener in self._listeners[hook]:
            try:
                listener.call(event)
            except BaseException as error:
                self._drop(listener.observer, hook, error)

    def submitting(self, event: SubmittingEvent) -> Mapping[str, str]:
        """The metadata of a new job: what observers add, overruled by the submitter's."""
        metadata = event.metadata
        for listener in self._listeners["submitting"]:
            try:
                added = checked_metadata(listener.call(event))
            except BaseException as error:
                self._drop(listener.observer, "submitting", error)
            else:
                metadata = _joined(added, metadata)
        return metadata

    def ending_together(self) -> AbstractContextManager[None]:
        """For the shutdown: the log has one line for all jobs that end in here, not started."""
        return self._log.together()

    def _drop(self, culprit: Any, hook: str, error: BaseException) -> None:
        if issubclass(type(error), KeyboardInterrupt):  # its __class__ may say anything
            raise error
        if culprit is self._log:
            return
        # New lists: one of the old ones is being read by the caller.
        for name, listeners in self._listeners.items():
            self._listeners[name] = [each for each in listeners if each.observer is not culprit]
            self._wants[name] = self._asked(name)
        name = name_of(type(culprit))
        log_event(logging.ERROR, "observer_dropped", exc_info=error, observer=name, hook=hook)


def _checked(observers: Iterable[Any]) -> list[Any]:
    if not isinstance(observers, Iterable):
        raise TypeError(f"observers must be a list or the like, not {type(observers).__name__}")
    found = list(observers)
    for observer in found:
        if isinstance(observer, type):
            raise TypeError(f"observers must be objects, not the class {observer.__name__}")
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
        return observer.is_on  # asked for each job: one call less
    return partial(getattr(observer, "enabled", _always), hook)


def _always(hook: str) -> bool:
    return True


def _joined(added: Mapping[str, str], metadata: Mapping[str, str]) -> Mapping[str, str]:
    """Both, or *metadata* alone where both are too much: that is not the observer's fault."""
    try:
        return checked_metadata({**added, **metadata})
    except ValueError:
        names = one_line(", ".join(added), SHOWN_LIMIT)
        log_event(logging.WARNING, "metadata_left_out", names=names)
        return metadata
