"""File names and sizes as text for a terminal."""

from __future__ import annotations

import os
import unicodedata

_LONGEST = 1000

# Persian, Hindi and family emoji are not displayed correctly without them.
_JOINERS = "\u200c\u200d"


def printable(name: str) -> str:
    """*name* with escapes for bytes that are not UTF-8 and for characters that are not printable.

    >>> printable("caf\\udce9\\x1b[2J.txt")
    'caf\\\\xe9\\\\x1b[2J.txt'
    """
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(char: str) -> str:
    if char.isprintable() or char in _JOINERS:
        return char
    return char.encode("unicode_escape").decode("ascii")


def safe_text(text: str, longest: int = _LONGEST) -> str:
    """Untrusted *text* as one printable line of limited length.

    >>> safe_text("two\\nlines\\x1b[2J of 1\\N{NO-BREAK SPACE}200")
    'two\\\\nlines\\\\x1b[2J of 1 200'
    """
    short = text if len(text) <= longest else text[: longest - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return printable("".join(map(_plain_space, short)))


def _plain_space(char: str) -> str:
    return " " if unicodedata.category(char) == "Zs" else char


def size_text(size: float) -> str:
    """*size*, a number of bytes, with a suitable unit.

    >>> size_text(0), size_text(999), size_text(3_800_000)
    ('0 B', '999 B', '3.8 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if round(size, 1) < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def duration_text(seconds: float) -> str:
    """*seconds* with a suitable unit and number of digits.

    >>> duration_text(0.00213), duration_text(0.21), duration_text(8.24), duration_text(95)
    ('2.1 ms', '210 ms', '8.2 s', '1 min 35 s')
    """
    if seconds < 1:
        return f"{seconds * 1000:.{1 if seconds < 0.01 else 0}f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds} s"


def counted(number: int, one: str, many: str | None = None) -> str:
    """*number* with its noun.

    >>> counted(1, "file"), counted(1200, "file"), counted(2, "copy", "copies")
    ('1 file', '1,200 files', '2 copies')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
