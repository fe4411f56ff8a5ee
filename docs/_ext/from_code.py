"""Directives that draw on the code, so that the documentation cannot disagree with it."""

from __future__ import annotations

import inspect
import re
from operator import attrgetter
from typing import Any

import room_map
from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from specification import capability_rows, promise_list
from status_diagram import svg

import stoat_jobs
import stoat_jobs.backends
import stoat_jobs.http
import stoat_jobs.http._router  # here, since autodoc imports it in a way that FastAPI does not bear
import stoat_jobs.sqlite
from stoat_jobs._model.status import TRANSITIONS
from stoat_jobs._run import state


class StatusDiagram(Directive):
    """The states of a job, drawn from the table."""

    def run(self) -> list[nodes.Node]:
        return [nodes.raw("", svg(TRANSITIONS), format="html")]


class RoomMap(Directive):
    """The rooms of the package, and the way of a job through them."""

    def run(self) -> list[nodes.Node]:
        return [nodes.raw("", room_map.svg(), format="html")]


class RunTable(Directive):
    """The states of a run, and what can follow each."""

    def run(self) -> list[nodes.Node]:
        rules = (state.__doc__ or "").replace("``", "`")
        meanings = dict(re.findall(r"^- (\w+): (.+(?:\n  .+)*)", rules, re.MULTILINE))
        rows = [[f"`{each}`", meanings[each], _exits(each)] for each in state.RunState]
        return _parsed(self, _table(["state", "meaning", "can become"], rows))


def _exits(each: state.RunState) -> str:
    return ", ".join(f"`{after}`" for after in state.RunState if after in state.NEXT[each])


class ModelTable(Directive):
    """The fields of a pydantic model of the public API: ``{model-table} JobResult``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        model = attrgetter(self.arguments[0])(stoat_jobs)
        rows = [_field_row(name, field) for name, field in model.model_fields.items()]
        return _parsed(self, _table(["name", "type", "default", "meaning"], rows))


class CapabilityTable(Directive):
    """What a backend may declare of itself to the test kit."""

    def run(self) -> list[nodes.Node]:
        columns = ["capability", "meaning", "default", "promises excused"]
        return _parsed(self, _table(columns, capability_rows()))


class PromiseList(Directive):
    """Every promise of a backend, with the test that holds it to it."""

    def run(self) -> list[nodes.Node]:
        return _parsed(self, promise_list())


def _field_row(name: str, field: Any) -> list[str]:
    default = "" if field.is_required() else f"`{field.default!r}`"
    return [f"`{name}`", f"`{_type_name(field.annotation)}`", default, field.description]


def _type_name(annotation: Any) -> str:
    text = annotation.__name__ if inspect.isclass(annotation) else str(annotation)
    for prefix in ("typing.", "datetime.", "stoat_jobs._model.status.", "stoat_jobs."):
        text = text.replace(prefix, "")
    return text.replace("~", "")


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _parsed(directive: Directive, text: str) -> list[nodes.Node]:
    parent = nodes.container()
    lines = StringList(text.splitlines(), source=__file__)
    directive.state.nested_parse(lines, directive.content_offset, parent)
    return parent.children


def _keep_colons(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Napoleon takes what stands before a colon in the first line of a property for its type."""
    if what in ("property", "attribute"):
        lines[:0] = ["..", ""]  # an empty comment


def _public_name(app: Any, env: Any, node: Any, contnode: nodes.Node) -> nodes.Node | None:
    """Resolve what is defined in a private module where the root exports it."""
    name = node.get("reftarget", "").rpartition(".")[2]
    for module in (stoat_jobs, stoat_jobs.backends, stoat_jobs.http, stoat_jobs.sqlite):
        if node.get("refdomain") == "py" and name in module.__all__:
            return env.domains["py"].resolve_xref(
                env, node["refdoc"], app.builder, "obj", f"{module.__name__}.{name}", node, contnode
            )
    return None


def setup(app: Any) -> dict[str, bool]:
    app.add_directive("status-diagram", StatusDiagram)
    app.add_directive("room-map", RoomMap)
    app.add_directive("run-table", RunTable)
    app.add_directive("model-table", ModelTable)
    app.add_directive("capability-table", CapabilityTable)
    app.add_directive("promise-list", PromiseList)
    app.connect("autodoc-process-docstring", _keep_colons, priority=400)  # before napoleon
    app.connect("missing-reference", _public_name)
    return {"parallel_read_safe": True}
