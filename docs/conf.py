"""How Sphinx builds the documentation; see the noxfile for the command."""

import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "stoat-jobs"
author = "The stoat-jobs authors"
copyright = f"2026, {author}"  # noqa: A001
release = version = metadata.version("stoat-jobs")
addresses = dict(
    line.split(", ") for line in metadata.metadata("stoat-jobs").get_all("Project-URL", [])
)

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "from_code"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
myst_url_schemes = {"https": None, "repository": addresses["Repository"] + "/{{path}}"}

nitpicky = True
# The standard library, private types and type variables are not documented here.
nitpick_ignore_regex = [
    (
        "py:.*",
        r"(_?asyncio|collections|contextlib|contextvars|datetime|fastapi|importlib|pydantic|starlette|typing|typing_extensions)\b.*",
    ),
    ("py:class", r"stoat_jobs\.(http\.|testing\.)?_.*"),
    ("py:class", r"ConfigDict|EntryPoint|Metadata|[CJPRT]"),
    ("py:meth", r"JobType\.form"),  # an attribute
]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
add_module_names = False
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"stoat-jobs {release}"
html_static_path = ["_static"]
html_css_files = ["comparison.css"]
