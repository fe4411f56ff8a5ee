"""Prints the events of stoat_jobs where the app configures no logging."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Self

_FORMAT = "%(asctime)s %(levelname)s %(message)s"


class FallbackLog(logging.StreamHandler):  # type: ignore[type-arg]
    """A handler of the logger ``stoat_jobs`` that steps aside as soon as the app has one.

    Its filter sees each event first, because an app may configure logging at any time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(_FORMAT))
        self._logger = logging.getLogger("stoat_jobs")
        self._is_installed = False

    def __enter__(self) -> Self:
        if self._logger.level == logging.NOTSET and not self._is_needless():
            self._logger.setLevel(logging.INFO)
            self._logger.addHandler(self)
            self._logger.addFilter(self._passes)
            self._is_installed = True
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self._step_aside()

    def _is_needless(self) -> bool:
        root = logging.getLogger()
        return any(each is not self for each in (*self._logger.handlers, *root.handlers))

    def _passes(self, record: logging.LogRecord) -> bool:
        if self._is_installed and self._is_needless():
            self._step_aside()
            return self._logger.isEnabledFor(record.levelno)
        return True

    def _step_aside(self) -> None:
        if not self._is_installed:
            return
        self._is_installed = False
        self._logger.removeHandler(self)
        self._logger.removeFilter(self._passes)
        if self._logger.level == logging.INFO:  # else the app has set it since
            self._logger.setLevel(logging.NOTSET)
