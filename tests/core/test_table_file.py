"""Tables as they are published: each small file, and the numbers that a reader sees in it."""

from __future__ import annotations

import csv
import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest

from edgenas.core.errors import PredictorError
from edgenas.core.tables.file import Table, read_table, widened
from edgenas.core.tables.numbers import numbers


def read(tmp_path: Path, text: str | bytes, name: str = "t.csv") -> Table:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(path)


def test_a_column_without_name_and_content_is_left_out_and_told(tmp_path: Path) -> None:
    table = read(tmp_path, "depth,ms,\n2,7.4,\n4,8.1,\n")
    assert list(table) == ["depth", "ms"] and table["ms"].tolist() == [7.4, 8.1]
    assert table.notes == ("An empty column without a name: left out.",)


def test_a_column_of_row_numbers_has_a_name_of_its_own(tmp_path: Path) -> None:
    assert list(read(tmp_path, ",a,ms\n0,5,1\n1,6,2\n")) == ["column 1", "a", "ms"]
    # as R writes them: a name less than there are cells
    assert list(read(tmp_path, "a ms\n1 5 1.5\n2 6 2.5\n", "r.txt")) == ["column 1", "a", "ms"]


def test_a_name_has_the_spaces_that_somebody_types(tmp_path: Path) -> None:
    text = "depth\u200b,latency\u00a0ms, top\u202f1 \n2,7.4,70\n4,8.1,71\n"
    assert list(read(tmp_path, text)) == ["depth", "latency ms", "top 1"]


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["7.4 ms", "8.1ms", "11 ms"], [7.4, 8.1, 11]),
        (["7400 us", "8.1 ms", "0.011 s"], [7.4, 8.1, 11]),
        (["7.4", "OOM", "-"], [7.4, np.nan, np.nan]),
        (["timeout", "8.1", "n/a"], [np.nan, 8.1, np.nan]),
        (["OOM (8 GB)", "8.1", "error: no such op"], [np.nan, 8.1, np.nan]),
        (["7.4 ± 0.2", "8.1 +/- 0.1", "9 (0.3)"], [7.4, 8.1, 9]),
        (["71.2%", "72.9%", "70 %"], [71.2, 72.9, 70]),
        (['"1,234.5"', '"2,000.25"', "3"], [1234.5, 2000.25, 3]),
        (['"1,5"', '"2,25"', "3"], [1.5, 2.25, 3]),
        (["1e-3", "2E2", ".5"], [0.001, 200, 0.5]),
        (["\u22121.5", "+2", "3"], [-1.5, 2, 3]),
    ],
)
def test_cells_are_numbers_in_the_unit_of_the_name(
    cells: list[str], values: list[float], tmp_path: Path
) -> None:
    table = read(tmp_path, "op,lat ms\n" + "".join(f"x{i},{c}\n" for i, c in enumerate(cells)))
    np.testing.assert_allclose(table["lat ms"], values)


def test_counts_with_letters_are_numbers(tmp_path: Path) -> None:
    table = read(tmp_path, "params,macs,ms\n1.50M,300 MMACs,1\n800k,1.2 GMACs,2\n2G,5,3\n")
    assert table["params"].tolist() == [1.5e6, 8e5, 2e9]
    assert table["macs"].tolist() == [3e8, 1.2e9, 5]


@pytest.mark.parametrize(
    "cells",
    [["3x3", "5x5"], ["k3_e6", "k5_e3"], ["conv", "pool"], ["4 px", "5 ms"], ["2024-01-01"]],
)
def test_names_of_choices_stay_text(cells: list[str], tmp_path: Path) -> None:
    table = read(tmp_path, "op,ms\n" + "".join(f"{c},{i}\n" for i, c in enumerate(cells)))
    assert table["op"].tolist() == cells


def test_missing_words_are_counted(tmp_path: Path) -> None:
    table = read(tmp_path, "a,ms\n1,OOM\n2,3\n3,OOM\n4,timeout\n5,7\n")
    assert "Cells of 'ms' without a value: 'OOM' (2), 'timeout' (1)." in table.notes


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a;ms\n1;2,5\n3;4,25\n", "t.csv"),
        ("sep=;\na;ms\n1;2,5\n3;4,25\n", "t.csv"),
        ("a\tms\n1\t2.5\n3\t4.25\n", "t.tsv"),
        ("a|ms\n1|2.5\n3|4.25\n", "t.txt"),
        ("  a   ms\n  1  2.5\n  3 4.25\n", "t.txt"),
        ("# board\n#\na, ms\n1, 2.5\n# between\n3, 4.25\n", "t.csv"),
        ("# a,ms\n1,2.5\n3,4.25\n", "t.csv"),
        ("a,ms\npx,ms\n1,2.5\n3,4.25\n", "t.csv"),
        ("a,ms\n,ms\n1,2.5\n3,4.25\n", "t.csv"),
        ("a,ms\n-,[ms]\n1,2.5\n3,4.25\n", "t.csv"),
        ("a,ms\n1,2.5\na,ms\n3,4.25\n", "t.csv"),
        ("a,ms,ms\n1,2.5,2.5\n3,4.25,4.25\n", "t.csv"),
        ("| a | ms |\n|--:|:---|\n| 1 | 2.5 |\n| 3 | 4.25 |\n", "t.txt"),
        ("a\tms\n1\t2.5\n3\t4.25\n".encode("utf-16-le"), "t.txt"),
        ("a\tms\n1\t2.5\n3\t4.25\n".encode("utf-16-be"), "t.txt"),
        ('[{"a": 1, "ms": 2.5}, {"a": 3, "ms": 4.25}]', "t.json"),
        ('{"a": [1, 3], "ms": [2.5, 4.25]}', "t.json"),
        ('{"a": {"0": 1, "1": 3}, "ms": {"0": 2.5, "1": 4.25}}', "t.json"),
        ('{"0": {"a": 1, "ms": 2.5}, "1": {"a": 3, "ms": 4.25}}', "t.json"),
        ('{"columns": ["a", "ms"], "index": [0, 1], "data": [[1, 2.5], [3, 4.25]]}', "t.json"),
        ('{"board": "pi5", "results": [{"a": 1, "ms": 2.5}, {"a": 3, "ms": 4.25}]}', "t.json"),
        ('{"a": 1, "ms": 2.5}\n{"a": 3, "ms": 4.25}\n', "t.json"),
        (b"\xef\xbb\xbfa,ms\r\n1,2.5\r\n3,4.25\r\n", "t.csv"),
        (b"# of a spreadsheet\ra,ms\r1,2.5\r3,4.25\r", "t.csv"),
        ("a\tms\n1\t2.5\n3\t4.25\n".encode("utf-16"), "t.txt"),
        (gzip.compress(b"a,ms\n1,2.5\n3,4.25\n", mtime=0), "t.csv.gz"),
        ('{"a": 1, "ms": 2.5}\n\n{"a": 3, "ms": 4.25}\n', "t.jsonl"),
    ],
)
def test_one_table_in_many_forms(text: str | bytes, name: str, tmp_path: Path) -> None:
    table = read(tmp_path, text, name)
    assert {key: values.tolist() for key, values in table.items()} == {
        "a": [1, 3],
        "ms": [2.5, 4.25],
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Latencies of our board\n\na,b,ms\n1,2,3.5\n", "above the names .*Latencies of our board"),
        ("Latencies, on a Pi\n2024\na;b;ms\n1;2;3.5\n", "above the names .*Latencies, on a Pi; 20"),
        ("network,,,,measured\na,b,c,d,ms\n1,2,3,4,3.5\n", "above the names .*network,,,,measured"),
    ],
)
def test_titles_above_the_names_are_passed_over_and_told(
    text: str, said: str, tmp_path: Path
) -> None:
    table = read(tmp_path, text)
    assert table["ms"].tolist() == [3.5] and table["a"].tolist() == [1]
    assert any(re.search(said, note) for note in table.notes)


def test_names_in_two_rows_are_joined_where_the_lower_row_names_some_twice(tmp_path: Path) -> None:
    table = read(tmp_path, ",pi,,tx2,,\na,ms,mj,ms,mj\n1,2,3,4,5\n")
    assert list(table) == ["a", "pi ms", "pi mj", "tx2 ms", "tx2 mj"]


def test_a_first_row_of_choices_is_a_row(tmp_path: Path) -> None:
    assert read(tmp_path, "op,act,ms\nconv,relu,OOM\npool,none,2\n")["op"].tolist() == [
        "conv",
        "pool",
    ]


def test_a_spread_is_told(tmp_path: Path) -> None:
    notes = read(tmp_path, "a,ms\n1,7.4 ± 0.2\n2,8\n").notes
    assert notes == ("Of cells of 'ms' such as '7.4 ± 0.2' the first number is read.",)


def test_nested_parquet_cells_are_columns(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"cfg": [{"k": [3, 5]}, {"k": [7, 3]}], "ms": [1.0, 2.0]})
    frame.to_parquet(tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet")
    assert {name: values.tolist() for name, values in table.items()} == {
        "cfg.k_0": [3, 7],
        "cfg.k_1": [5, 3],
        "ms": [1, 2],
    }


def test_the_sheet_of_numbers_is_read_and_the_others_are_told(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("openpyxl")
    with pandas.ExcelWriter(tmp_path / "t.xlsx") as book:
        pandas.DataFrame({"about": ["our board"]}).to_excel(book, sheet_name="about")
        frame = pandas.DataFrame({"op": ["a", "b"], "ms": [2.5, 4.25]})
        frame.to_excel(book, sheet_name="lat", index=False, startrow=2)
        book.sheets["lat"].cell(1, 1, "Latencies")
    table = read_table(tmp_path / "t.xlsx")
    assert table["op"].tolist() == ["a", "b"] and table["ms"].tolist() == [2.5, 4.25]
    assert table.notes == (
        "The sheet 'lat' is read, and not: about.",
        "Passed over, above the names of the columns: Latencies.",
    )


def test_nested_json_lines_are_columns(tmp_path: Path) -> None:
    table = read(tmp_path, '{"cfg": {"ks": [3, 5]}, "ms": 1}\n{"cfg": {"ks": [7]}}\n', "t.ndjson")
    assert list(table) == ["cfg.ks_0", "cfg.ks_1", "ms"]
    np.testing.assert_array_equal(table["cfg.ks_1"], [5, np.nan])


@pytest.mark.parametrize("suffix", [".parquet", ".xlsx"])
def test_workbooks_and_parquet(suffix: str, tmp_path: Path) -> None:
    import pandas

    pytest.importorskip({".parquet": "pyarrow", ".xlsx": "openpyxl"}[suffix])
    frame = pandas.DataFrame({"op": ["a", "b", "c"], "ms": [2.5, None, 4.25]})
    path = tmp_path / f"t{suffix}"
    frame.to_parquet(path) if suffix == ".parquet" else frame.to_excel(path, index=False)
    table = read_table(path)
    assert table["op"].tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(table["ms"], [2.5, np.nan, 4.25])
    rows = list(csv.reader(widened(path, [("mean",), (1,), (2,), (3,)]).splitlines()))
    assert rows[0] == ["op", "ms", "mean"] and [row[2] for row in rows[1:]] == ["1", "2", "3"]


def test_added_cells_keep_the_separator_and_the_cells(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("# a comment\na;ms\n1;2,5\n3;4,25\n")
    assert widened(path, [("mean",), (9,), (8,)]) == "a;ms;mean\n1;2,5;9\n3;4,25;8\n"


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("# only a comment\n", "t.csv", "has no rows"),
        ("", "t.csv", "has no rows"),
        ("[1, 2]\n", "t.jsonl", "Line 1 of .* is no JSON object"),
        ('{"a": 1}\n{"a":\n', "t.jsonl", "Line 2 of .* is not JSON"),
        ("[1, 2]", "t.json", "is JSON, but no table"),
        ('{"a": [1, 2], "ms": [3]}', "t.json", "is JSON, but no table"),
        ("<!DOCTYPE html><html></html>", "t.csv", "a web page.*Download"),
        ("version https://git-lfs.github.com/spec/v1\n", "t.csv", "git lfs pull"),
        (b"PK\x03\x04 a workbook", "t.csv", "a workbook.*Call a workbook .xlsx"),
        ("a,ms\n1,2\n", "t.png", "is no table that edgenas reads"),
        (b"PK\x03\x04 not a workbook", "t.xlsx", "Cannot read"),
        (b"PAR1 not parquet", "t.parquet", "Cannot read"),
        (b"\x1f\x8b\x08 cut", "t.csv.gz", "Cannot read"),
        ("a,ms\n" + "x" * 200_000 + ",1\n", "t.csv", "Cannot read .* field larger"),
    ],
)
def test_what_is_no_table_is_one_line(
    text: str | bytes, name: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(PredictorError, match=message) as refused:
        read(tmp_path, text, name)
    assert "\n" not in str(refused.value)


def test_a_folder_or_a_pipe_is_no_table(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.csv")
    for name, said in (("pipe.csv", "a named pipe"), (".", "a folder")):
        with pytest.raises(PredictorError, match=said):
            read_table(tmp_path / name)


def test_numbers_of_random_forms_are_those_that_were_written() -> None:
    rng = np.random.default_rng(0)
    values = np.round(rng.lognormal(5, 3, 300), 2)
    forms = (
        lambda x: f"{x:,.2f}",
        lambda x: f"{x:,.2f}".translate(str.maketrans(",.", ".,")),
        lambda x: f"{x:,.2f}".replace(",", " "),
        lambda x: f"{x:,.2f}".replace(",", "'"),
        lambda x: f"{x:.2f} ms",
        lambda x: f"${x:.2f}",
    )
    for at, form in enumerate(forms):
        found = numbers("x", np.arange(300), [form(x) for x in values], "," if at == 1 else ".")
        assert found is not None
        np.testing.assert_allclose(found.values, values)


def test_notes_reach_the_report(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from edgenas.cli.tables import fit

    rng = np.random.default_rng(0)
    lines = [f"{a:.2f};{2 + 3 * a:.2f} ms".replace(".", ",") for a in rng.uniform(1, 9, 20)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["# board: pi5", "a;lat_ms", *lines]))
    result = CliRunner().invoke(fit, [str(path), "--response", "lat_ms", "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.output)["read_as"]
    assert told[0] == "Passed over, as comments: # board: pi5."
    assert "A comma is read as the decimal mark." in told
