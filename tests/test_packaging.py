"""A packaged supernet: the same subnets as with all images, and a search without them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgenas import packaging
from edgenas.config import with_supernet
from edgenas.data import base
from edgenas.data.base import Dataset
from edgenas.deployable import deployable
from edgenas.errors import DataError, InputError
from edgenas.graph.engines import find_engine
from edgenas.open_run import open_run
from edgenas.pretrained.package import Package, find, shipped
from edgenas.progress import Silent
from edgenas.spaces import mbv3_tiny
from edgenas.steps import evaluate, train
from edgenas.supernet import files
from edgenas.supernet.network import Supernet
from edgenas.supernet.settings import TrainSettings

SPACE = mbv3_tiny.create(10, 1, 16)
EXCERPT = packaging.Excerpt(val=50, test=60)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return base.load("digits", seed=0, progress=Silent())


@pytest.fixture(scope="module")
def made(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Package:
    """An untrained supernet, packaged; accuracies are low, but as good as any to compare."""
    path = tmp_path_factory.mktemp("package") / "mine.safetensors"
    files.save(Supernet(SPACE, 3), path, digits, TrainSettings())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packaging, "RANDOM_SUBNETS", 1)
        packaging.package(path, "digits", 8, EXCERPT, Silent())
    return Package(path)


def test_the_excerpt_gives_every_subnet_as_the_whole_data_set_does(
    made: Package, digits: Dataset
) -> None:
    excerpt = base.load(f"pretrained:{made.weights}", seed=0, progress=Silent())
    assert (len(excerpt.train), len(excerpt.val), len(excerpt.test)) == (512, 50, 60)
    assert set(np.bincount(excerpt.test.labels)) == {6}
    assert excerpt.excerpt_of == digits.identity != excerpt.identity
    for count in (512, 256, 7):
        ours, theirs = excerpt.calibration(count), digits.calibration(count)
        np.testing.assert_array_equal(ours.images, theirs.images)
        np.testing.assert_array_equal(ours.labels, theirs.labels)
    supernet, architecture = files.load(made.weights, SPACE), SPACE.largest()
    one, other = (
        deployable(
            supernet, architecture, SPACE.layers(architecture), data, find_engine("onnxruntime")
        ).emit("u8s8", 1)
        for data in (excerpt, digits)
    )
    assert one == other


def test_the_card_and_the_table_are_of_the_files_that_would_be_deployed(
    made: Package, digits: Dataset
) -> None:
    card, table = json.loads(made.card.read_text()), made.table()
    assert table is not None
    assert len(table.rows) == card["evaluated_subnets"] == 8
    assert table.data_identity == digits.identity
    assert [subnet["n_images"] for subnet in card["subnets"]] == [360] * 3
    supernet, row = files.load(made.weights, SPACE), table.rows[4]
    layers = SPACE.layers(row.architecture)
    network = deployable(supernet, row.architecture, layers, digits, find_engine("onnxruntime"))
    fp32, int8 = network.accuracies("u8s8", digits, digits.val)
    assert (row.fp32_accuracy, row.int8_accuracy) == (fp32, int8)
    assert row.n_images == len(digits.val)


def test_a_run_takes_supernet_and_table_and_trains_nothing(made: Package, tmp_path: Path) -> None:
    asked = {"supernet": str(made.weights), "evaluate": 8}
    progress = Silent()
    with open_run(tmp_path / "run", asked, progress, resume=False) as context:
        assert context.config.data == f"pretrained:{made.weights}"
        train.run(context)
        assert context.folder.supernet.read_bytes() == made.weights.read_bytes()
        assert evaluate.run(context) == 0
        table = made.table()
        assert table is not None
        assert set(context.evaluations()) == set(table.rows)
        assert context.space == SPACE
    assert any("excerpt of digits" in warning for warning in progress.warnings)
    assert any("8 evaluations of the supernet" in text for text in context.reused)


def test_other_images_of_the_same_classes_are_evaluated_anew(made: Package, tmp_path: Path) -> None:
    asked = {"supernet": str(made.weights), "data": "digits", "seed": 5, "evaluate": 8}
    with open_run(tmp_path / "run", asked, Silent(), resume=False) as context:
        train.run(context)
        evaluate._add_packaged(context)
        assert context.evaluations() == []


def test_other_classes_get_a_new_classifier_and_need_images(
    made: Package, digits: Dataset, tmp_path: Path
) -> None:
    other = tmp_path / "other.safetensors"
    fewer = mbv3_tiny.create(7, 1, 16)
    seven = replace(digits, class_names=tuple("abcdefg"))
    files.save(Supernet(fewer, 3), other, seven, TrainSettings())
    made_for, found = files.load(other, fewer), files.load_for(other, SPACE)
    for name, value in found.named_parameters():
        if not name.startswith("classifier."):
            assert bool((value == made_for.get_parameter(name)).all())
    assert found.get_parameter("classifier.weight").shape[0] == 10
    asked = {"supernet": str(other), "data": "digits", "epochs": 1}
    progress = Silent()
    with open_run(tmp_path / "run", asked, progress, resume=False) as context:
        report = train.run(context)
        assert report.losses
        assert files.load(context.folder.supernet, SPACE).space == SPACE
    assert any("knows 7 other classes" in warning for warning in progress.warnings)


def test_what_does_not_belong_together_is_refused(made: Package, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is of the space mbv3-tiny, not mbv3-cpu"):
        with_supernet({"supernet": str(made.weights), "space": "mbv3-cpu"})
    with pytest.raises(InputError, match=r"no pretrained supernet 'cifar'"):
        find("cifar")
    with pytest.raises(InputError, match="There is no supernet"):
        find(str(tmp_path / "none.safetensors"))
    bare = tmp_path / "bare.safetensors"
    bare.write_bytes(made.weights.read_bytes())
    with pytest.raises(DataError, match="No images are packaged"):
        base.load(f"pretrained:{bare}", seed=0, progress=Silent())
    with pytest.raises(DataError, match="is damaged"):
        damaged = tmp_path / "bare.images.safetensors"
        damaged.write_bytes(made.weights.read_bytes())
        base.load(f"pretrained:{bare}", seed=0, progress=Silent())
    with pytest.raises(DataError, match="trained on other images"):
        moved = replace(TrainSettings(), seed=1)
        digits = base.load("digits", seed=0, progress=Silent())
        files.save(Supernet(SPACE, 3), bare, digits, moved)
        packaging.package(bare, "digits", 8, EXCERPT, Silent())


@pytest.mark.parametrize("name", shipped())
def test_what_is_shipped_is_whole(name: str) -> None:
    package = find(name)
    card, table = json.loads(package.card.read_text()), package.table()
    assert card["sha256"] == packaging._sha256(package.weights)
    assert package.card_text.exists()
    assert table is not None
    assert {row.supernet_sha256 for row in table.rows} == {card["sha256"]}
    assert table.data_identity == card["data"]["identity"]
    with pytest.raises(DataError, match="No images are packaged") as refused:
        base.load(f"pretrained:{name}", seed=0, progress=Silent())
    assert "--data" in refused.value.hint
    paths = (package.weights, package.evaluations, package.card)
    assert sum(path.stat().st_size for path in paths) < 16e6
