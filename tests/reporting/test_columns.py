"""Columns of a page's records: shorter than lists, and the same values when they are read."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from edgenas.reporting.pages.columns import packed

MARKS = [chr(code) for code in range(33, 127) if chr(code) not in "\"\\<>&'"]


def read(column: Any, length: int) -> list[Any]:
    """Return the values of a column, as its forms are described."""
    if isinstance(column, list):
        return column
    at = [MARKS.index(one) for one in column.get("at", "")] or [0] * length
    if "values" in column:
        return [column["values"][i] for i in at]
    if "patterns" not in column:
        return [column["all"]] * length
    numbers = iter(column["numbers"].split(" "))
    return [re.sub("\0", lambda _: next(numbers), column["patterns"][i]) for i in at]


TIPS = [
    f"\n{'measured' if i % 3 else 'predicted'} {0.0101 * i:.4f} ms [{i}, {1e-7 * i:.1e}], v1.{i}"
    for i in range(200)
]
COLUMNS = [
    [None] * 40,
    ["a & b"] * 40,
    [1.0, 2.0, 3.5, None] * 30,
    [0.1 * i for i in range(300)],
    [1e300, 2.0, -0.0] * 20,
    TIPS,
    [*TIPS, None],
    [f"{name} 12" for name in map(chr, range(200, 500))],  # more patterns than there are marks
    ["1,200 of 3.", "<b>7</b>", ""],
    [],
]


@pytest.mark.parametrize("values", COLUMNS, ids=range(len(COLUMNS)))
def test_a_column_reads_back_and_is_no_longer_than_its_list(values: list[Any]) -> None:
    column = packed(values)
    text = json.dumps(column)
    assert read(json.loads(text), len(values)) == values
    assert len(text) <= max(len(json.dumps(values)), len('{"all": 0}'))


def test_what_is_alike_takes_a_part_of_the_room() -> None:
    few = [3.66667, 4.0, 5.0, 2.33333] * 500
    assert len(json.dumps(packed(few))) < 0.2 * len(json.dumps(few))
    assert len(json.dumps(packed(TIPS))) < 0.6 * len(json.dumps(TIPS))
