"""The app's settings, from the environment or from a test."""

from __future__ import annotations

from pathlib import Path

from pydantic import DirectoryPath
from pydantic_settings import BaseSettings, SettingsConfigDict

from stoat_jobs import JobQueueSettings


class Settings(BaseSettings):
    """``SCANNER_LIBRARY`` and, for the queue, ``SCANNER_JOBS__BACKEND`` and similar variables."""

    model_config = SettingsConfigDict(
        env_prefix="SCANNER_",
        env_nested_delimiter="__",
        frozen=True,
        hide_input_in_errors=True,  # SCANNER_JOBS__URL may contain a password
    )

    library: DirectoryPath = Path()
    jobs: JobQueueSettings = JobQueueSettings(timeout=1800)
