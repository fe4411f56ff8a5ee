"""A web app that scans the folders of a library, for ``uvicorn --factory scanner:create_app``."""

from .app import create_app
from .settings import Settings

__all__ = ["Settings", "create_app"]
