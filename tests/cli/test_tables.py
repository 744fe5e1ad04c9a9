"""edgenas fit and predict on tables: any CSV in, a readable predictor and predictions out."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edgenas.cli.explain import explain
from edgenas.cli.tables import fit, predict
from edgenas.core.errors import EdgeNasError
from edgenas.predictors.transfer import adapt


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Latency = 2 + 0.5 blocks + 1.5 (op b), plus little noise; one row without a latency."""
    rng = np.random.default_rng(0)
    path = tmp_path / "board one.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["blocks", "op", "top 1", "latency: ms"])
        for index in range(60):
            blocks, op = int(rng.integers(1, 9)), "ab"[rng.integers(2)]
            latency = 2 + 0.5 * blocks + 1.5 * (op == "b") + rng.normal(0, 0.01)
            writer.writerow([blocks, op, 70 + index % 3, "" if index == 7 else f"{latency:.6f}"])
    return path


def run(command: object, *arguments: object) -> str:
    result = CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)  # type: ignore[arg-type]
    assert result.exit_code == 0, result.output
    return result.output


def test_fit_then_predict_widens_the_table(table: Path, tmp_path: Path) -> None:
    predictor, output = tmp_path / "latency.json", tmp_path / "predicted.csv"
    options = ("--response", "latency: ms", "--exclude", "top 1", "--categorical", "op")
    document = json.loads(run(fit, table, *options, "-o", predictor, "--json"))
    assert (document["n"], document["skipped"]) == (59, 1)
    assert document["heldout"]["rmse"] < 0.03
    assert set(document["terms"][0]) == {"name", "coef", "se", "t", "p", "ci95", "vif"}
    run(predict, predictor, table, "-o", output)
    before = list(csv.reader(table.read_text().splitlines()))
    after = list(csv.reader(output.read_text().splitlines()))
    assert after[0] == [*before[0], "mean", "lower", "upper", "outside"]
    assert [row[:4] for row in after] == before
    assert sum(row[-1] == "1" for row in after[1:]) <= 2
    for blocks, op, _, _, mean, lower, upper, _ in after[1:]:
        truth = 2 + 0.5 * int(blocks) + 1.5 * (op == "b")
        assert float(lower) < float(mean) < float(upper)
        assert float(mean) == pytest.approx(truth, abs=0.05)


def test_a_formula_is_plain_least_squares(table: Path) -> None:
    document = json.loads(
        run(fit, table, "--response", "latency: ms", "--terms", "blocks + C(op)", "--json")
    )
    rows = [row for row in csv.DictReader(table.read_text().splitlines()) if row["latency: ms"]]
    matrix = np.array([[1, int(row["blocks"]), row["op"] == "b"] for row in rows], float)
    response = np.array([float(row["latency: ms"]) for row in rows])
    expected = np.linalg.lstsq(matrix, response, rcond=None)[0]
    found = {term["name"]: term["coef"] for term in document["terms"]}
    assert found["blocks"] == pytest.approx(expected[1], abs=1e-8)
    assert found["C(op)[T.b]"] == pytest.approx(expected[2], abs=1e-8)


def test_rows_outside_what_was_measured_are_marked_and_counted(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    lines = ["size,px,op,ms"]
    for index in range(40):
        size = rng.uniform(1, 5)
        lines.append(f"{size},224,{'ab'[index % 2]},{2 * size + rng.normal(0, 0.1)}")
    measured, new = tmp_path / "measured.csv", tmp_path / "new.csv"
    measured.write_text("\n".join(lines))
    new.write_text("size,px,op\n3,224,a\n8,224,a\n3,160,b\n3,224,c\n2,224,b\n")
    predictor, output = tmp_path / "p.json", tmp_path / "out.csv"
    run(fit, measured, "--response", "ms", "-o", predictor)
    shown = run(predict, predictor, new, "-o", output)
    rows = list(csv.DictReader(output.read_text().splitlines()))
    assert [row["outside"] for row in rows] == ["0", "1", "1", "1", "0"]
    assert "warning: 3 rows lie outside" in shown
    assert json.loads(run(predict, predictor, new, "-o", output, "--json"))["outside"] == 3


def test_a_compressed_table_is_read(table: Path, tmp_path: Path) -> None:
    packed = tmp_path / "table.csv.gz"
    packed.write_bytes(gzip.compress(table.read_bytes()))
    predictor, output = tmp_path / "p.json", tmp_path / "out.csv"
    run(fit, packed, "--response", "latency: ms", "-o", predictor)
    run(predict, predictor, packed, "-o", output)
    assert len(output.read_text().splitlines()) == 61


def test_the_readable_form_names_every_term(table: Path) -> None:
    shown = run(fit, table, "--response", "latency: ms", "--terms", "main")
    assert "blocks" in shown
    assert "1 skipped" in shown
    assert "held out: RMSE" in shown


def test_an_edited_predictor_is_refused(table: Path, tmp_path: Path) -> None:
    predictor = tmp_path / "latency.json"
    run(fit, table, "--response", "latency: ms", "-o", predictor)
    predictor.write_text(predictor.read_text().replace('"skipped": 1', '"skipped": 0'))
    with pytest.raises(EdgeNasError, match="edited"):
        run(predict, predictor, table, "-o", tmp_path / "out.csv")


def write_board(path: Path, rows: int, scale: float, seed: int, law: tuple[float, ...]) -> None:
    """A table of 6 columns, latency = 3 + scale * law, plus 1 % noise."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(0, 5, (rows, 6))
    latency = (3 + scale * values @ law) * rng.normal(1, 0.01, rows)
    lines = [",".join([*(f"x_{c}" for c in "abcdef"), "ms"])]
    lines += [
        ",".join(map(str, [*row, ms])) for row, ms in zip(values.tolist(), latency, strict=True)
    ]
    path.write_text("\n".join(lines))


def test_a_prior_is_adapted_to_ten_rows_or_refused_loudly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    law = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    old, few, unseen = (tmp_path / name for name in ("old.csv", "few.csv", "unseen.csv"))
    write_board(old, 200, 1.0, 0, law)
    write_board(few, 10, 0.4, 1, law)
    write_board(unseen, 100, 0.4, 2, law)
    prior, adapted, output = (tmp_path / name for name in ("old.json", "new.json", "out.csv"))
    run(fit, old, "--response", "ms", "-o", prior)
    document = json.loads(
        run(fit, few, "--response", "ms", "--prior", prior, "-o", adapted, "--json")
    )
    errors = document["transfer"]["errors"]
    assert document["transfer"]["used"] == "transfer"
    assert errors["transfer"] < errors["scratch"]
    assert document["transfer"]["gain"] == pytest.approx(1 - errors["transfer"] / errors["scratch"])
    run(predict, adapted, unseen, "-o", output)
    rows = list(csv.DictReader(output.read_text().splitlines()))
    error = [float(row["mean"]) / float(row["ms"]) - 1 for row in rows]
    assert np.sqrt(np.mean(np.square(error))) < 0.03
    assert sum(int(row["outside"]) for row in rows) < 50

    monkeypatch.setattr(adapt, "MATERIAL", 0.0)
    stranger, noise = tmp_path / "stranger.csv", np.random.default_rng(4)
    lines = few.read_text().splitlines()
    for index, line in enumerate(lines[1:], 1):
        cells = line.split(",")
        latency = 7 + 3 * float(cells[2]) + noise.normal(0, 0.05)
        lines[index] = ",".join([*cells[:-1], str(latency)])
    stranger.write_text("\n".join(lines))
    wild = "I(sqrt(x_a) * exp(x_d)) + I(exp(x_e) / (1 + x_f))"
    run(fit, old, "--response", "ms", "--terms", wild, "-o", prior)
    shown = run(fit, stranger, "--response", "ms", "--prior", prior, "-o", adapted)
    assert "fitted from scratch" in shown and "warning: ms: the prior from old was refused" in shown
    run(predict, adapted, unseen, "-o", output)
    refused = json.loads(run(fit, stranger, "--response", "ms", "--prior", prior, "--json"))
    assert refused["transfer"]["used"] == "scratch" and refused["transfer"]["warning"]
    with pytest.raises(EdgeNasError, match="without a bootstrap"):
        run(fit, few, "--response", "ms", "--prior", prior, "--bootstrap", "50")


def test_odd_columns_are_read_left_out_or_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    lines = ["net,dropped,flag,net lat.ms"]
    for index in range(30):
        dropped, flag = 5 * (index % 7), index % 2 == 0
        latency = 3 - 0.02 * dropped + flag + rng.normal(0, 0.01)
        lines.append(f"net {index},{dropped}%,{flag},{latency}")
    table, predictor = tmp_path / "odd.csv", tmp_path / "odd.json"
    table.write_text("\n".join(lines))
    options = ("--response", "net lat.ms", "-o", predictor)
    document = json.loads(run(fit, table, *options, "--terms", "main", "--json"))
    coefs = {term["name"]: term["coef"] for term in document["terms"]}
    assert coefs["flag"] == pytest.approx(1, abs=0.02)
    assert set(coefs) == {"intercept", "dropped", "flag"} and document["labels"] == ["net"]
    shown = run(fit, table, *options)
    assert "left out: net" in shown and "Outside what was measured" in shown
    with pytest.raises(EdgeNasError, match="is the response"):
        run(fit, table, *options, "--categorical", "net lat.ms")
    with pytest.raises(EdgeNasError, match="'flag' is excluded"):
        run(fit, table, *options, "--exclude", "flag", "--categorical", "flag")
    table.write_text("\n".join([*lines, "net 30,0%,True,-1"]))
    with pytest.raises(EdgeNasError, match=r"Row 31 has net lat\.ms = -1"):
        run(fit, table, *options)
    table.write_text("\n".join([*lines, "net 30,,True,2"]))
    assert "1 row lacks a number" in run(predict, predictor, table, "-o", tmp_path / "out.csv")
    with pytest.raises(EdgeNasError, match="There is no file"):
        run(predict, tmp_path / "none.json", table, "-o", tmp_path / "out.csv")


def test_names_are_shown_as_written_and_cells_stay_in_their_columns(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    rows = rng.uniform(0, 4, (30, 2))
    lines = [f"{a},{b},{5 + a + b + rng.normal(0, 0.01)}" for a, b in rows]
    table, predictor = tmp_path / "named.csv", tmp_path / "named.json"
    table.write_text("\n".join(["a:b,[red]x[/red],[bold]ms", *lines]))
    shown = run(fit, table, "--response", "[bold]ms", "-o", predictor)
    for text in (shown, run(explain, predictor)):
        assert "a:b" in text and "[red]x[/red]" in text
    assert "to [bold]ms" in run(explain, predictor)
    uneven, output = tmp_path / "uneven.csv", tmp_path / "out.csv"
    uneven.write_text("a:b,[red]x[/red],note\n1,2\n   \n2,3,late\n")
    run(predict, predictor, uneven, "-o", output)
    read = list(csv.DictReader(output.read_text().splitlines()))
    assert [row["note"] for row in read] == ["", "late"]
    assert [float(row["mean"]) for row in read] == pytest.approx([8, 10], abs=0.1)
    with pytest.raises(EdgeNasError) as refused:
        run(predict, table, table, "-o", tmp_path / "out.csv")
    assert "remove" not in str(refused.value.hint) and "edgenas fit" in str(refused.value.hint)


def test_repeats_of_categories_are_held_out_one_by_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    rows = [
        f"L{level},{1 + level / 10 + rng.normal(0, 0.05)}" for level in rng.integers(0, 50, 300)
    ]
    table = tmp_path / "levels.csv"
    table.write_text("\n".join(["layer,ms", *rows]))
    heldout = json.loads(run(fit, table, "--response", "ms", "--json"))["heldout"]
    assert heldout["rmse"] < 0.08 and 0.85 < heldout["coverage90"] < 0.95


def test_rows_that_lack_a_number_are_marked_and_the_others_answered(
    table: Path, tmp_path: Path
) -> None:
    predictor, new, there = tmp_path / "a.json", tmp_path / "new.csv", tmp_path / "there.csv"
    run(fit, table, "--response", "latency: ms", "--features", "blocks,op", "-o", predictor)
    new.write_text("blocks,op\n4,a\n,b\n6,b\n")
    shown = run(predict, predictor, new, "-o", there)
    assert "2 rows predicted" in shown and "1 row lacks a number" in shown and "row 2" in shown
    rows = list(csv.DictReader(there.read_text().splitlines()))
    assert [row["mean"] == "" for row in rows] == [False, True, False]
    assert float(rows[0]["mean"]) == pytest.approx(4, abs=0.05)
    assert float(rows[2]["mean"]) == pytest.approx(6.5, abs=0.05)
    assert rows[1]["lower"] == rows[1]["upper"] == rows[1]["outside"] == ""


ODD_NAMES = ("cin*cout", 'kernel, "k"', "width (px)", "depth\nblocks")


def odd_table(path: Path, **cells: str) -> Path:
    """Response 5 + 1, 2, 3, 4 times the columns of ODD_NAMES; `cells` replace some, by row."""
    rng = np.random.default_rng(1)
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([*ODD_NAMES, "score"])
        for row in range(1, 51):
            values = rng.uniform(1, 9, 4).round(3)
            first = cells.get(f"row{row}", values[0])
            writer.writerow([first, *values[1:], round(5 + values @ [1, 2, 3, 4], 4)])
    return path


def test_columns_are_called_whatever_they_are(tmp_path: Path) -> None:
    table = odd_table(tmp_path / "odd.csv")
    predictor, output = tmp_path / "odd.json", tmp_path / "predicted.csv"
    document = json.loads(run(fit, table, "--response", "score", "-o", predictor, "--json"))
    terms = {term["name"]: term["coef"] for term in document["terms"]}
    assert [terms[name] for name in ODD_NAMES] == pytest.approx([1, 2, 3, 4], abs=0.01)
    run(predict, predictor, table, "-o", output)
    with output.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 50
    assert float(rows[0]["mean"]) == pytest.approx(float(rows[0]["score"]), abs=0.01)
    for given, used in (
        ('kernel, "k"', {'kernel, "k"'}),
        ('"kernel, ""k""",cin*cout', {'kernel, "k"', "cin*cout"}),
    ):
        document = json.loads(run(fit, table, "--response", "score", "--features", given, "--json"))
        assert {term["name"] for term in document["terms"]} == {"intercept", *used}


def test_rows_with_odd_cells_are_named_and_can_be_left_out(tmp_path: Path) -> None:
    table = odd_table(tmp_path / "odd.csv", row6="see note", row41="12 or 13")
    with pytest.raises(EdgeNasError) as refused:
        run(fit, table, "--response", "score")
    assert "row 6 has 'see note'" in str(refused.value)
    assert "--drop-rows 6,41" in str(refused.value.hint)
    document = json.loads(
        run(fit, table, "--response", "score", "--drop-rows", "6,41", "--json", "--terms", "main")
    )
    assert (document["n"], document["skipped"]) == (48, 2)
    assert {term["name"] for term in document["terms"]} == {"intercept", *ODD_NAMES}
    with pytest.raises(EdgeNasError, match="there is no row 51"):
        run(fit, table, "--response", "score", "--drop-rows", "51")


def test_rows_written_otherwise_that_drop_a_text_are_named(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(2), tmp_path / "texts.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["arch", "score"])
        for row in range(1, 81):
            depth, kernel, width = (
                rng.integers(1, 6),
                rng.integers(1, 4) * 2 + 1,
                rng.integers(9, 40),
            )
            arch = "broken" if row == 18 else f"[{depth}, {kernel}, {width}]"
            writer.writerow([arch, 3 + depth + 0.5 * width])
    drop = ("--drop-rows", "18", "--json")
    document = json.loads(run(fit, path, "--response", "score", *drop))
    assert {"arch_0", "arch_2"} <= {term["name"] for term in document["terms"]}
    # beside another column the text alone is left out
    lines = path.read_text().splitlines()
    path.write_text("\n".join([f"size,{lines[0]}", *(f"{len(x) % 7},{x}" for x in lines[1:])]))
    document = json.loads(run(fit, path, "--response", "score", "--json"))
    assert "arch" in document["left_out"]
    assert any("row 18: 'broken'" in x and "--drop-rows 18" in x for x in document["warnings"])


def test_a_column_that_is_said_to_be_derived_follows_where_effects_are_told(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(5)
    lines = ["width,layers,parts,energy"]
    for _ in range(40):
        width, layers = int(rng.integers(1, 9)), int(rng.integers(1, 7))
        parts = layers * width**2 + 90 * width**0.5
        energy = 20 + 6 * width + 4 * layers + 0.05 * parts + rng.normal(0, 0.3)
        lines.append(f"{width},{layers},{parts:.3f},{energy:.4f}")
    measured, predictor = tmp_path / "measured.csv", tmp_path / "energy.json"
    measured.write_text("\n".join(lines))
    said = ("--derived", "parts = layers * width**2 + 90 * sqrt(width)")
    fitted = json.loads(
        run(fit, measured, "--response", "energy", *said, "-o", predictor, "--json")
    )
    told = json.loads(run(explain, predictor, "--rows", measured, *said, "--json"))["result"][0]
    for report in (fitted, told):
        (derived,) = report["derived"]
        assert (derived["column"], derived["causes"]) == ("parts", ["layers", "width"])
        changes = [effect["change"].partition(":")[0] for effect in report["effects"]]
        assert set(changes) == {"width", "layers"}
    assert told["effects"] == fitted["effects"]
    for words, why in (
        ((fit, measured, "--response", "energy", "--derived", "parts = width"), "gives back"),
        ((fit, measured, "--response", "energy", "--terms", "width", *said), "A formula says"),
        ((explain, predictor, *said), "needs rows"),
    ):
        with pytest.raises(EdgeNasError, match=why):
            run(*words)
