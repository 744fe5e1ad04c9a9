"""A packaged supernet: the same subnets as with all images, and a search without them."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from edgenas.core import plugins
from edgenas.core.errors import DataError, InputError
from edgenas.core.progress import Silent
from edgenas.data import base
from edgenas.data.base import Dataset
from edgenas.int8.engines.facts import find_engine
from edgenas.runs import search, submission
from edgenas.runs.config import with_supernet
from edgenas.runs.open import open_run
from edgenas.runs.sources import board_evaluations
from edgenas.runs.steps import evaluate, train
from edgenas.spaces import mbv3_tiny
from edgenas.supernet import files, synthesis
from edgenas.supernet.accuracy import Evaluator
from edgenas.supernet.deploy import deployable
from edgenas.supernet.network import Supernet
from edgenas.supernet.packages import make
from edgenas.supernet.packages.package import Package, find, shipped
from edgenas.supernet.packages.trained_size import trained_size
from edgenas.supernet.recalibrate import calibrated_subnet, to_input
from edgenas.supernet.settings import TrainSettings
from helpers import scripted_clock

SIZE = 10  # the smallest with two resolutions
SPACE = mbv3_tiny.create(10, 1, SIZE)
EXCERPT = make.Excerpt(val=50, test=60)
RECIPE = synthesis.Synthesis(images=64, subnets=3, steps=40, batch_size=32, learning_rate=0.1)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return base.load("digits", seed=0, progress=Silent(), image_size=SIZE)


@pytest.fixture(scope="module")
def made(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Package:
    """An untrained supernet, packaged; accuracies are low, but as good as any to compare."""
    path = tmp_path_factory.mktemp("package") / "mine.safetensors"
    files.save(Supernet(SPACE, 3), path, digits, TrainSettings())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(make, "RANDOM_SUBNETS", 1)
        make.package(path, "digits", 8, EXCERPT, Silent())
    return Package(path)


@pytest.fixture(scope="module")
def synthetic(made: Package, tmp_path_factory: pytest.TempPathFactory) -> Package:
    """The same supernet, packaged with synthetic images by a quick recipe."""
    path = tmp_path_factory.mktemp("synthetic") / "mine.safetensors"
    path.write_bytes(made.weights.read_bytes())
    Package(path).evaluations.write_bytes(made.evaluations.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(make, "RANDOM_SUBNETS", 1)
        make.package(path, "digits", 8, RECIPE, Silent())
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
    supernet, architecture = files.load(made.weights, SPACE), SPACE.smallest()
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
        board_evaluations._add_packaged(context)
        assert context.evaluations() == []


def test_other_classes_get_a_new_classifier_and_need_images(
    made: Package, digits: Dataset, tmp_path: Path
) -> None:
    other = tmp_path / "other.safetensors"
    fewer = mbv3_tiny.create(7, 1, SIZE)
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
        context.dataset = replace(digits, train=digits.calibration(128))  # two steps
        report = train.run(context)
        assert report.losses
        assert files.load(context.folder.supernet, SPACE).space == SPACE
    assert any("knows 7 other classes" in warning for warning in progress.warnings)


def test_synthetic_images_calibrate_in_place_of_real_ones(
    synthetic: Package, digits: Dataset
) -> None:
    """A subnet that none was made for: it sees much what it sees in real ones."""
    progress = Silent()
    images = base.load(f"pretrained:{synthetic.weights}", seed=0, progress=progress)
    assert any("NOT MEASURED" in warning for warning in progress.warnings)
    assert images.synthetic
    assert images.excerpt_of == digits.identity
    assert set(images.train.labels) == {-1}
    real = {image.tobytes() for image in digits.train.images}
    assert not real & {image.tobytes() for image in images.train.images}
    supernet = files.load(synthetic.weights, SPACE)
    architecture = next(itertools.islice(SPACE.distinct(np.random.default_rng(99)), 2, None))
    subnet = calibrated_subnet(supernet, architecture, digits)
    matched = synthesis.MatchedSubnet(subnet, digits)

    def distance(pixels: np.ndarray) -> float:
        with torch.no_grad():
            return float(
                matched.distance(to_input(base.resize(pixels, matched.resolution), digits))
            )

    noise = np.random.default_rng(0).integers(0, 256, images.train.images.shape, np.uint8)
    assert distance(digits.train.images[:64]) < 1
    assert distance(images.train.images) < distance(noise) / 3


def test_a_search_without_images_promises_no_accuracy(synthetic: Package, tmp_path: Path) -> None:
    asked = {"supernet": str(synthetic.weights), "evaluate": 8, "samples": 8, "top": 1}
    asked |= {"target": scripted_clock.target_file(tmp_path, "local", 'engine = "onnxruntime"')}
    with scripted_clock.ticking(tmp_path):
        document = search.search(tmp_path / "run", asked, Silent(), resume=False)
    winner = document["winner"]
    assert document["status"] == "pass"
    assert winner["synthetic_images"]
    for figure in ("fp32_accuracy", "int8_accuracy", "device_accuracy"):
        assert winner[figure] is None
    assert winner["agreement"] > 0.95
    assert winner["parity"]["engines"][2]["accuracy"] is None
    assert 0 < winner["predicted_accuracy"]["mean"] < 1
    assert Path(winner["model"]).stat().st_size > 0
    assert any(
        "accuracy of each network is predicted, NOT MEASURED" in w for w in document["warnings"]
    )
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Passed for latency" in page
    assert "Accuracy, predicted only" in page
    with pytest.raises(InputError, match="was not measured: it had no images"):
        submission.submit(tmp_path / "run", "generic", {}, Silent())


def test_without_images_only_the_table_says_what_is_accurate(
    synthetic: Package, tmp_path: Path
) -> None:
    asked, progress = {"supernet": str(synthetic.weights), "evaluate": 40}, Silent()
    with open_run(tmp_path / "run", asked, progress, resume=False) as context:
        train.run(context)
        assert evaluate.run(context) == 0
        assert len(context.evaluations()) == 8
    assert any("from 8 evaluated subnets, not from 40" in text for text in progress.warnings)
    bare = tmp_path / "bare.safetensors"
    bare.write_bytes(synthetic.weights.read_bytes())
    Package(bare).images.write_bytes(synthetic.images.read_bytes())
    with open_run(tmp_path / "none", {"supernet": str(bare)}, Silent(), resume=False) as context:
        train.run(context)
        with pytest.raises(DataError, match="without images there can be none"):
            evaluate.run(context)


def test_images_of_other_channels_are_one_clear_line(made: Package, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / "images" / name).mkdir(parents=True)
        for index in range(3):
            colour = (90 * index, 9, 200 * (name == "a"))
            Image.new("RGB", (8, 8), colour).save(tmp_path / "images" / name / f"{index}.png")
    asked = {"supernet": str(made.weights), "data": f"imagefolder:{tmp_path / 'images'}"}
    with (
        pytest.raises(InputError, match="takes images of 1 channels, imagefolder:images has 3"),
        open_run(tmp_path / "run", asked, Silent(), resume=False) as context,
    ):
        train.run(context)


@pytest.mark.parametrize("space", ["mbv3-tiny", "mbv3-cpu", "mbv3-tpu", "foxnas-cpu"])
def test_a_supernet_of_any_image_size_is_of_its_own_space(
    space: str, digits: Dataset, tmp_path: Path
) -> None:
    create = plugins.load("spaces", space).create
    for size in range(8, 65):
        made = create(10, 1, size)
        path = tmp_path / "any.safetensors"
        about = files.metadata("supernet", made, digits, TrainSettings())
        del about["image_size"]  # as in files that did not say it yet
        files.write_tensors(path, {}, about)
        found = trained_size(Package(path))
        assert found is not None and found >= size  # so that images keep their size
        assert create(10, 1, found) == made


def test_what_was_packaged_before_is_reused(
    synthetic: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make, "RANDOM_SUBNETS", 1)
    before = {path: path.read_bytes() for path in synthetic.weights.parent.iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr(Evaluator, "deployable", None)
        patch.setattr(synthesis, "synthesize", None)
        make.package(synthetic.weights, "digits", 8, RECIPE, Silent())
    assert {path: path.read_bytes() for path in before} == before
    loss = synthetic.synthetic_loss()
    assert loss is not None
    assert (loss.subnets, loss.n_images) == (3, 360)
    assert "synthetic ones that calibrate in their place" in synthetic.card_text.read_text()


def test_what_does_not_belong_together_is_refused(
    made: Package, digits: Dataset, tmp_path: Path
) -> None:
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
        files.save(Supernet(SPACE, 3), bare, digits, moved)
        make.package(bare, "digits", 8, EXCERPT, Silent())


@pytest.mark.parametrize("end", [".md", ".json", ".evaluations.json", ".images.safetensors"])
def test_what_the_user_has_beside_the_supernet_stays(
    made: Package, tmp_path: Path, end: str
) -> None:
    weights = tmp_path / "flowers.safetensors"
    weights.write_bytes(made.weights.read_bytes())
    (tmp_path / f"flowers{end}").write_text("# Flowers\n\nMy own notes.\n")
    with pytest.raises(InputError, match="edgenas did not write it"):
        make.package(weights, "digits", 8, EXCERPT, Silent())
    assert "My own notes." in (tmp_path / f"flowers{end}").read_text()


@pytest.mark.parametrize("foreign", ["# Flowers\n", "[1]\n", '{"edgenas": "notes"}\n', ""])
def test_what_is_replaced_by_the_users_wish_is_not_read(
    made: Package, tmp_path: Path, foreign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make, "RANDOM_SUBNETS", 1)
    package = Package(tmp_path / "flowers.safetensors")
    package.weights.write_bytes(made.weights.read_bytes())
    for path in package.written_by_edgenas():
        path.write_text(foreign)
    make.package(package.weights, "digits", 8, EXCERPT, Silent(), overwrite=True)
    table, expected = package.table(), made.table()
    assert table is not None and expected is not None
    assert [row.architecture for row in table.rows] == [row.architecture for row in expected.rows]
    card, of_new = json.loads(package.card.read_text()), json.loads(made.card.read_text())
    assert card == {**of_new, "images_sha256": make._sha256(package.images)}


@pytest.mark.parametrize("name", shipped())
def test_what_is_shipped_is_whole(name: str) -> None:
    package = find(name)
    card, table = json.loads(package.card.read_text()), package.table()
    assert card["sha256"] == make._sha256(package.weights)
    assert package.card_text.exists()
    assert table is not None
    assert {row.supernet_sha256 for row in table.rows} == {card["sha256"]}
    assert table.data_identity == card["data"]["identity"]
    images = base.load(f"pretrained:{name}", seed=0, progress=Silent())
    assert images.synthetic
    assert images.excerpt_of == table.data_identity
    assert card["images_sha256"] == make._sha256(package.images)
    assert len(table.rows) >= 200
    assert package.weights.stat().st_size < 16e6
    paths = (package.weights, package.evaluations, package.card, package.images)
    assert sum(path.stat().st_size for path in paths) < 6e6


def test_what_must_be_known_of_the_images_is_on_the_card_and_in_every_search(
    made: Package, tmp_path: Path
) -> None:
    note = "These digits were drawn by left-handed people only."
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes(made.weights.read_bytes())
    for suffix in ("evaluations", "card"):
        path = getattr(Package(weights), suffix)
        path.write_bytes(getattr(made, suffix).read_bytes())
    make.package(weights, "digits", 8, EXCERPT, Silent(), note=note)
    make.package(weights, "digits", 8, EXCERPT, Silent())  # again: what is known is kept
    assert note in Package(weights).card_text.read_text()
    with open_run(tmp_path / "run", {"supernet": str(weights)}, Silent(), resume=False) as context:
        for _ in range(2):  # taken, and reused
            search.step(context, "train")
            assert any(note in said for said in context.notes().warnings)


def test_the_shipped_supernet_says_that_its_images_are_a_recompressed_copy() -> None:
    package = find("cifar10")
    for said in (package.note(), package.card_text.read_text()):
        assert "recompressed as JPEG" in said
        assert "loses about 8 to 10 points" in said
