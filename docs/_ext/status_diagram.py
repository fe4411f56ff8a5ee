"""A picture of a status table: live states to the left, terminal ones to the right."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from html import escape

WIDTH, HEIGHT = 110, 34
COLUMN, ROW = 200, 56
MARGIN = 24

_TIP = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8"'
    ' orient="auto"><path d="M0,0 8,4 0,8z" fill="currentColor"/></marker></defs>'
)

Table = Mapping[str, AbstractSet[str]]
Places = dict[str, tuple[int, int]]


def svg(table: Table) -> str:
    """The table as an SVG image: one box for each state, one arrow for each change."""
    places = _places(table)
    arrows = [_arrow(places, a, b) for a, exits in table.items() for b in sorted(exits)]
    boxes = [_box(state, place, bool(table[state])) for state, place in places.items()]
    width = max(x for x, _ in places.values()) + WIDTH + MARGIN
    height = max(y for _, y in places.values()) + HEIGHT + MARGIN
    head = (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img"'
        ' aria-label="The states of a job" style="max-width: 100%; color: inherit">'
    )
    return "\n".join([head, _TIP, *arrows, *boxes, "</svg>"])


def _places(table: Table) -> Places:
    live = [state for state in table if table[state]]
    ended = [state for state in table if not table[state]]
    middle = MARGIN + (len(ended) - 1) * ROW // 2
    places = {state: (MARGIN + n * COLUMN, middle) for n, state in enumerate(live)}
    last = MARGIN + len(live) * COLUMN
    return {**places, **{state: (last, MARGIN + n * ROW) for n, state in enumerate(ended)}}


def _box(state: str, place: tuple[int, int], live: bool) -> str:
    x, y = place
    corner = 4 if live else HEIGHT // 2
    return (
        f'<g class="state"><rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="{corner}"'
        ' fill="none" stroke="currentColor"/>'
        f'<text x="{x + WIDTH // 2}" y="{y + HEIGHT // 2 + 5}" text-anchor="middle"'
        f' font-size="15" fill="currentColor">{escape(state)}</text></g>'
    )


def _arrow(places: Places, a: str, b: str) -> str:
    return (
        f'<path class="change" d="{_path(places[a], places[b])}" fill="none"'
        ' stroke="currentColor" marker-end="url(#tip)">'
        f"<title>{escape(a)} to {escape(b)}</title></path>"
    )


def _path(start: tuple[int, int], end: tuple[int, int]) -> str:
    (x1, y1), (x2, y2) = start, end
    half = HEIGHT // 2
    if x2 - x1 == COLUMN:  # to the next column, straight
        return f"M{x1 + WIDTH},{y1 + half} L{x2},{y2 + half}"
    if x2 > x1:  # past a column, under its boxes
        below = max(y1, y2) + HEIGHT
        return f"M{x1 + half},{y1 + HEIGHT} Q{x1 + half},{below} {x2},{y2 + half}"
    top = min(y1, y2)  # back, over the boxes
    return f"M{x1 + half},{y1} C{x1},{top - ROW} {x2 + WIDTH},{top - ROW} {x2 + WIDTH - half},{y2}"
