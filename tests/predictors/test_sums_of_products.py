"""Sums of products of powers: found where they are, told, kept in files, and not found in noise."""

import numpy as np
import pytest

from edgenas.predictors.tables import power_sums, waterfall
from edgenas.predictors.tables import terms as at
from edgenas.predictors.tables.regression import TableRegression, load


def _blocks(seed: int, n: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Convolutions on an array: cycles of a product of seven sizes, bytes, and a start."""
    rng = np.random.default_rng(seed)
    c = {
        "cin": 8.0 * rng.integers(1, 33, n),
        "cout": 8.0 * rng.integers(1, 33, n),
        "kernel": rng.choice([1.0, 3.0, 5.0], n),
        "side": rng.choice([7.0, 14.0, 28.0, 56.0], n),
        "lanes": rng.choice([8.0, 16.0, 32.0, 64.0], n),
    }
    cycles = c["cin"] * c["cout"] * c["kernel"] ** 2 * c["side"] ** 2 / c["lanes"]
    return c, 0.05 + 2e-6 * cycles + 4e-6 * c["cin"] * c["side"] ** 2


def _measured(seed: int, n: int) -> dict[str, np.ndarray]:
    columns, mean = _blocks(seed, n)
    noise = np.random.default_rng([seed, 1]).lognormal(0, 0.01, n)
    return {**columns, "latency_ms": mean * noise}


@pytest.fixture(scope="module")
def fitted() -> TableRegression:
    return TableRegression().fit(_measured(0, 60), "latency_ms")


def test_the_products_that_rows_are_made_of_are_found() -> None:
    table = _measured(1, 80)
    names = ["cin", "cout", "kernel", "side", "lanes"]
    atom = power_sums.find(table, names, [], table["latency_ms"])
    assert atom is not None
    columns, mean = _blocks(2, 500)
    share = np.exp(at.evaluate([atom], columns)[:, 0]) / mean - 1
    assert np.sqrt(np.mean(share**2)) < 0.03
    assert "cin · cout · kernel^2 · side^2 / lanes" in power_sums.sentence(atom)


def test_a_fit_errs_little_more_than_the_noise_and_says_what_it_found(
    fitted: TableRegression,
) -> None:
    columns, mean = _blocks(3, 500)
    prediction = fitted.get_prediction(columns, 0.9)
    assert np.median(np.abs(prediction.mean / mean - 1)) < 0.015
    assert prediction.mean == pytest.approx(fitted.predict(columns))
    notes = " ".join(fitted.report()["notes"])
    assert "latency_ms ~ " in notes
    assert "cin · cout · kernel^2 · side^2 / lanes" in notes


def test_errors_said_of_rows_left_out_are_of_sums_chosen_without_them(
    fitted: TableRegression,
) -> None:
    columns, _ = _blocks(4, 2000)
    truth = _measured(4, 2000)["latency_ms"]
    shares = np.abs(fitted.predict(columns) / truth - 1)
    assert fitted.heldout is not None
    assert fitted.heldout.mape == pytest.approx(shares.mean(), rel=0.5)


def test_it_is_read_back_as_it_was_written(fitted: TableRegression) -> None:
    columns, _ = _blocks(5, 50)
    assert load(fitted.to_json()).predict(columns).tolist() == fitted.predict(columns).tolist()


def test_the_sum_is_told_by_its_columns(fitted: TableRegression) -> None:
    shares = {tuple(x["columns"]): x["share"] for x in fitted.report()["importance"]}
    assert sum(shares.values()) == pytest.approx(1)
    assert sum(share for columns, share in shares.items() if len(columns) == 1) > 0.8
    columns, _ = _blocks(6, 20)
    told = waterfall.waterfall(fitted, columns, 7)
    adds = [part["adds"] for part in told["parts"]]
    assert told["start"] * np.prod(adds) == pytest.approx(fitted.predict(columns)[7])


def test_what_categories_multiply_by_hides_no_products() -> None:
    table = _measured(7, 90)
    engine = np.random.default_rng(8).integers(0, 3, 90)
    table["engine"] = np.array(["a", "b", "c"])[engine]
    response = table["latency_ms"] * np.array([1.0, 3.0, 0.4])[engine]
    names = ["cin", "cout", "kernel", "side", "lanes"]
    atom = power_sums.find(table, names, ["engine"], response)
    assert atom is not None
    assert "cin · cout · kernel^2 · side^2 / lanes" in power_sums.sentence(atom)


def test_a_fit_of_noise_keeps_no_products() -> None:
    rng = np.random.default_rng(9)
    for _ in range(3):
        columns = {name: rng.integers(1, 9, 40).astype(float) for name in ("a", "b", "c", "d")}
        model = TableRegression().fit({**columns, "ms": rng.lognormal(0, 0.5, 40)}, "ms")
        assert all(atom.kind != "powers" for atom in model.fitted.atoms)
