"""A task from outside: images of several classes, read, learnt, and scored by whole answers."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgenas.core.errors import DataError, InputError, PluginError
from edgenas.core.goals import parse_constraint
from edgenas.core.progress import Silent
from edgenas.data import base
from edgenas.data.base import Dataset
from edgenas.runs.config import RunConfig, begun
from edgenas.runs.dashboard.watch import FolderWatch
from edgenas.runs.models.exported import require_one_class
from edgenas.runs.open import open_run
from edgenas.spaces import mbv3_tiny
from edgenas.supernet.settings import TrainSettings
from edgenas.supernet.train import train
from helpers import scripted_clock
from helpers.cli import edgenas
from helpers.example_plugin import installed
from helpers.html_page import Page, strings

COLOURS = ("red", "green", "blue")
SHOWN = [one for one in np.ndindex(2, 2, 2) if any(one)]  # of each image, in turn
COUNT = 112
# The word; names of elements and of data, such as "accuracy-fit", are not shown.
ACCURACY = re.compile(r".{0,60}\baccurac(?:y|ies)\b(?![-_]).{0,30}", re.IGNORECASE)


@pytest.fixture(autouse=True, scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let `--task multilabel` be found."""
    with installed(tmp_path_factory.mktemp("site")):
        yield


def of_image(index: int) -> list[str]:
    return [name for name, on in zip(COLOURS, SHOWN[index % len(SHOWN)], strict=True) if on]


def write_images(folder: Path, count: int = COUNT) -> list[str]:
    """Write images whose channels are bright where they are of that colour."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for index in range(count):
        pixels = rng.integers(0, 60, (8, 8, 3)) + 180 * np.array(SHOWN[index % len(SHOWN)])
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{index:03}.png")
    return [f"{index:03}.png" for index in range(count)]


class MultilabelPage(Page):
    first_heading = "Exact match against latency"


def shown_by(html: str) -> str:
    """Return what a reader sees of a page: its text, and the texts of its plots."""
    page = MultilabelPage(html)
    return "\n".join((page.text, *(strings(json.loads(one)) for one in page.data)))


def load(folder: Path, task: str = "multilabel") -> Dataset:
    return base.load(f"imagefolder:{folder}", seed=0, progress=Silent(), task=task)


def separated(folder: Path, names: list[str], delimiter: str) -> None:
    rows = [f"{name}\t{delimiter.join(of_image(i))}" for i, name in enumerate(names)]
    (folder / "labels.tsv").write_text("\n".join(("file\tlabels", *rows)), "utf-8")


def one_hot(folder: Path, names: list[str]) -> None:
    rows = [",".join((name, *map(str, SHOWN[i % len(SHOWN)]))) for i, name in enumerate(names)]
    (folder / "labels.csv").write_text("\n".join((",".join(("file", *COLOURS)), *rows)), "utf-8")


def coco(folder: Path, names: list[str]) -> None:
    document = {
        "images": [{"id": i, "file_name": name} for i, name in enumerate(names)],
        "categories": [{"id": i, "name": name} for i, name in enumerate(COLOURS)],
        "annotations": [
            {"image_id": i, "category_id": COLOURS.index(colour)}
            for i in range(len(names))
            for colour in of_image(i)
        ],
    }
    (folder / "labels.json").write_text(json.dumps(document), "utf-8")


def write_labels(kind: str, folder: Path, names: list[str]) -> None:
    if kind == "one-hot":
        one_hot(folder, names)
    elif kind == "coco":
        coco(folder, names)
    else:
        separated(folder, names, kind)


@pytest.mark.parametrize("kind", ["|", ";", ",", " ", "one-hot", "coco"])
def test_every_class_of_an_image_is_read(tmp_path: Path, kind: str) -> None:
    write_labels(kind, tmp_path, write_images(tmp_path / "images", 42))
    data = load(tmp_path)
    splits = (data.train, data.val, data.test)
    assert sum(map(len, splits)) == 42
    assert set(data.class_names) == set(COLOURS)
    for split in splits:
        bright = split.images.mean((1, 2)) > 120
        order = [COLOURS.index(name) for name in data.class_names]
        np.testing.assert_array_equal(split.labels, bright[:, order])
    assert data.card().task == "multilabel"


def test_what_is_of_another_task_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="labels of the task classification, not of multilabel"):
        base.load("digits", seed=0, progress=Silent(), task="multilabel")
    with pytest.raises(InputError, match="Pretrained supernets are of the task classification"):
        begun({"task": "multilabel", "supernet": "cifar10"})
    with pytest.raises(PluginError, match="There is no 'multilable' among the tasks"):
        RunConfig(task="multilable")
    separated(tmp_path, write_images(tmp_path / "images", 42), "|")
    with pytest.raises(DataError, match="several labels an image"):
        load(tmp_path, "classification")


def test_too_few_images_to_learn_from_are_refused(tmp_path: Path) -> None:
    separated(tmp_path, write_images(tmp_path / "images", 7), "|")
    with pytest.raises(DataError, match="has 7 readable training images; 8 are the fewest"):
        load(tmp_path)


def test_the_score_is_named_as_the_task_names_it() -> None:
    config = RunConfig(task="multilabel", constraints=("exact_match>=60%",))
    assert config.known["accuracy"].label == "exact match"
    assert config.limits()["accuracy"].at_least == pytest.approx(0.6)
    assert config.plain is False
    with pytest.raises(InputError, match="There is no response 'exact_match'"):
        parse_constraint("exact_match>=60%", RunConfig().known)


def test_a_supernet_learns_several_classes_and_is_scored_by_whole_answers(tmp_path: Path) -> None:
    separated(tmp_path, write_images(tmp_path / "images"), "|")
    data = load(tmp_path)
    space = mbv3_tiny.create(data.task.outputs(data.class_names), 3, 8)
    settings = TrainSettings(
        epochs=8, batch_size=16, random_subnets=1, mixup=0.1, label_smoothing=0.05
    )
    report = train(space, data, settings, tmp_path / "checkpoint", tmp_path / "net", Silent())
    assert report.losses[-1] < report.losses[0]
    commonest = np.unique(data.val.labels, axis=0, return_counts=True)[1].max() / len(data.val)
    assert report.largest_accuracy > 2 * commonest


def test_no_page_and_no_table_of_a_run_says_accuracy(tmp_path: Path) -> None:
    separated(tmp_path, write_images(tmp_path / "images"), "|")
    target = scripted_clock.target_file(tmp_path, "board")
    runs = tmp_path / "runs"
    asked = (
        "--task",
        "multilabel",
        "--data",
        f"imagefolder:{tmp_path}",
        "--epochs",
        "3",
        "--engine",
        "onnxruntime",
    )
    few = ("--samples", "8", "--evaluate", "8", "--top", "2", "--constraint", "exact_match>=1%")
    with scripted_clock.ticking(tmp_path):
        searched = edgenas("search", "--target", target, *asked, *few, "--out", str(runs / "first"))
        assert searched.returncode == 0, searched.stderr
        shutil.copytree(runs / "first", runs / "second")
        optimized = edgenas("optimize", str(runs / "first"))
    compared = edgenas("compare", *(str(runs / name) for name in ("first", "second")), cwd=tmp_path)
    (comparison,) = tmp_path.glob("*.html")
    terminal = "".join(done.stdout for done in (searched, optimized, compared))
    assert "exact match" in terminal
    assert not ACCURACY.search(terminal)
    for path in (runs / "first" / "report.html", comparison):
        shown = shown_by(path.read_text("utf-8"))
        assert "xact match" in shown
        assert not ACCURACY.search(shown), ACCURACY.search(shown)
    states = FolderWatch(runs).look().runs
    assert [one.best and one.best.score_name for one in states] == ["exact match"] * 2
    assert states[0].limits == "exact match at least 1 %"


def test_what_answers_with_one_class_refuses_the_run(tmp_path: Path) -> None:
    asked = {"task": "multilabel", "data": f"imagefolder:{tmp_path}"}
    with (
        open_run(tmp_path / "run", asked, Silent(), resume=False) as context,
        pytest.raises(InputError, match="is of the task multilabel"),
    ):
        require_one_class(context)
