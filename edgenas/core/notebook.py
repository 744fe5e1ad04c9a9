"""Results as notebooks show them: a table in HTML, with nothing in it that a browser acts on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_ROWS_SHOWN = 50


def html_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table with a caption; of many rows the first ones, and how many there are."""
    kept = [list(map(str, row)) for row in rows]
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
        for row in kept[:_ROWS_SHOWN]
    )
    more = f", the first {_ROWS_SHOWN} of {len(kept)}" if len(kept) > _ROWS_SHOWN else ""
    caption = f"<caption>{escape(title + more)}</caption>"
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def html_lines(lines: Iterable[str]) -> str:
    """Return paragraphs of text."""
    return "".join(f"<p>{escape(line)}</p>" for line in lines)
