"""Images beside a file of their classes: tables of every make, one-hot columns, COCO's JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgenas.core.errors import DataError
from edgenas.core.progress import Silent
from edgenas.data import base
from edgenas.data.base import Dataset

CLASSES = ("ball", "box", "cone")


def pictures(folder: Path, count: int = 18, first: int = 0) -> list[str]:
    """Write images whose red says their class, by turns; return the names of their files."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"i{index:02}.png" for index in range(first, first + count)]
    for index, name in enumerate(names):
        colour = (index % 3 * 100, index, first)
        Image.fromarray(np.full((8, 8, 3), colour, np.uint8)).save(folder / name)
    return names


def load(folder: Path, progress: Silent | None = None) -> Dataset:
    return base.load(f"imagefolder:{folder}", seed=0, progress=progress or Silent())


def require_right(data: Dataset, count: int = 18) -> None:
    parts = (data.train, data.val, data.test)
    assert sum(map(len, parts)) == count
    for split in parts:
        shown = split.images[:, 0, 0, 0] // 100
        assert [CLASSES[one] for one in shown] == [data.class_names[one] for one in split.labels]


def table(names: list[str], line: str, header: str = "") -> str:
    rows = [
        line.format(name=name, stem=name[:-4], label=CLASSES[i % 3], number=i % 3, row=i)
        for i, name in enumerate(names)
    ]
    return "\n".join([*([header] if header else []), *rows, ""])


@pytest.mark.parametrize(
    ("file", "header", "line"),
    [
        ("key.csv", "file_name,label,class_index", "{name},{label},{number}"),
        ("labels.csv", "id,breed", "{stem},{label}"),
        ("labels.tsv", "what\twhere", "{label}\timages/{name}"),
        ("a.csv", "\ufeffimage;Kategorie;Breite", "{name};{label};{row}"),
        ("a.csv", "", "{name},{label}"),
        ("a.csv", " filename , class ", ' "./images/{name}" , {label}'),
        ("a.csv", "row,path,label", "{row},C:\\data\\images\\{name},{label}"),
        ("metadata.jsonl", "", '{{"file_name": "{name}", "text": "{label}"}}'),
    ],
)
def test_columns_are_found_by_what_they_hold(
    tmp_path: Path, file: str, header: str, line: str
) -> None:
    names = pictures(tmp_path / "images")
    (tmp_path / file).write_text(table(names, line, header), "utf-8")
    data = load(tmp_path)
    assert data.class_names == CLASSES
    require_right(data)


def test_one_column_numbers_the_classes_of_another(tmp_path: Path) -> None:
    names = pictures(tmp_path)
    rows = [f"{name},{CLASSES[i % 3]},{(7, 2, 5)[i % 3]}" for i, name in enumerate(names)]
    (tmp_path / "key.csv").write_text("\n".join(["file_name,label,class_index", *rows]))
    data = load(tmp_path)
    assert data.class_names == ("box", "cone", "ball")
    require_right(data)


def test_one_hot_tables_in_splits_are_read(tmp_path: Path) -> None:
    for part, count in (("train", 18), ("valid", 6), ("test", 9)):
        names = pictures(tmp_path / part, count, first=20 * len(part))
        ones = ("1, 0, 0", "0, 1, 0", "0, 0, 1")
        hot = [f"{name}, {ones[index % 3]}" for index, name in enumerate(names)]
        lines = ["filename, ball, box, cone", *hot]
        (tmp_path / part / "_classes.csv").write_text("\n".join(lines))
    progress = Silent()
    data = load(tmp_path, progress)
    assert (len(data.train), len(data.val), len(data.test)) == (18, 6, 9)
    require_right(data, 33)
    assert progress.warnings == []


def test_a_column_of_splits_is_followed(tmp_path: Path) -> None:
    names = pictures(tmp_path)
    rows = [
        f"{name},{CLASSES[i % 3]},{'test' if i >= 12 else 'train'}" for i, name in enumerate(names)
    ]
    (tmp_path / "key.csv").write_text("\n".join(["f,label,set", *rows]))
    data = load(tmp_path)
    assert len(data.test) == 6
    require_right(data)


def test_a_table_of_the_training_images_leaves_those_to_test_out(tmp_path: Path) -> None:
    names = pictures(tmp_path / "train")
    others = pictures(tmp_path / "test", 4)  # of the same names
    (tmp_path / "train.csv").write_text(table(names, "{stem},{label}", "id,label"))
    (tmp_path / "test.csv").write_text("\n".join(["id", *(name[:-4] for name in others)]))
    (tmp_path / "sample_submission.csv").write_text(table(others, "{stem},ball", "id,label"))
    progress = Silent()
    require_right(load(tmp_path, progress))
    assert progress.warnings == [
        "Left out: 4 images in no label file (test/i00.png, test/i01.png, test/i02.png, "
        "test/i03.png)."
    ]


def test_coco_categories_without_boxes_are_classes(tmp_path: Path) -> None:
    names = pictures(tmp_path / "images")
    document = {
        "images": [{"id": i, "file_name": name} for i, name in enumerate(names)],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 9 - i % 3, "bbox": []} for i in range(18)
        ],
        "categories": [{"id": 9 - k, "name": name} for k, name in enumerate(CLASSES)],
    }
    (tmp_path / "labels.json").write_text(json.dumps(document))
    data = load(tmp_path)
    assert data.class_names == ("cone", "box", "ball")
    require_right(data)


def test_rows_without_image_or_class_are_counted(tmp_path: Path) -> None:
    names = pictures(tmp_path)
    text = table(names[:15], "{name},{label}", "f,label")
    (tmp_path / "key.csv").write_text(f"{text}{names[15]},\n../../etc/gone.png,box\n")
    progress = Silent()
    require_right(load(tmp_path, progress), 15)
    assert progress.warnings == [
        "Not there: 1 image that key.csv lists (../../etc/gone.png).",
        "Left out: 1 image without a class in key.csv (i15.png).",
        "Left out: 2 images in no label file (i16.png, i17.png).",
    ]


@pytest.mark.parametrize(
    ("file", "content", "why"),
    [
        (None, "", "no file of their classes"),
        ("a.csv", "f,score\ni00.png,0.51\ni01.png,2.25\n", "score has measured numbers"),
        ("a.csv", "f,g\nx.png,a\ny.png,b\n", "no column names the images"),
        ("a.csv", "", "it has no rows"),
        ("a.csv", 'f,label\n"i00.png', "no column has classes"),
        ("a.json", "[" * 100_000, "it cannot be read"),
        ("a.json", "[1, 2]", "it is no label file of COCO's form"),
        ("a.json", '{"images": 3, "annotations": [4]}', "it cannot be read"),
        ("a.csv", "f," + "x" * 200_000 + "\ni00.png,a\n", "it cannot be read"),
    ],
)
def test_images_without_usable_labels_say_what_is_needed(
    tmp_path: Path, file: str | None, content: str, why: str
) -> None:
    pictures(tmp_path)
    if file is not None:
        (tmp_path / file).write_text(content)
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert "has 18 images in no class folders" in str(caught.value)
    assert why in str(caught.value)
    assert "or images beside a .csv file of their names and classes" in str(caught.value)


def test_columns_that_may_both_be_the_classes_are_named(tmp_path: Path) -> None:
    names = pictures(tmp_path)
    rows = [f"{name},{CLASSES[i % 3]},{'xy'[i % 2]}" for i, name in enumerate(names)]
    (tmp_path / "key.csv").write_text("\n".join(["f,shape,maker", *rows]))
    with pytest.raises(DataError, match="columns 'shape', 'maker' may hold the classes"):
        load(tmp_path)


def as_json(names: list[str], kind: str) -> str:
    labels = {name: CLASSES[i % 3] for i, name in enumerate(names)}
    if kind == "map":
        return json.dumps(labels)
    if kind == "records":
        return json.dumps([{"file": name, "label": label} for name, label in labels.items()])
    files = {one: [name for name, label in labels.items() if label == one] for one in CLASSES}
    return json.dumps(files)


@pytest.mark.parametrize("kind", ["map", "records", "files of each class"])
def test_labels_in_json_of_any_form(kind: str, tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(as_json(pictures(tmp_path / "images"), kind))
    require_right(load(tmp_path))


def test_lists_of_files_and_tables_in_utf_16_are_read(tmp_path: Path) -> None:
    names = pictures(tmp_path / "lists" / "images")
    for part, some in (("train", slice(0, 12)), ("test", slice(12, 18))):
        lines = [f"images/{name} {CLASSES[i % 3]}" for i, name in enumerate(names)][some]
        (tmp_path / "lists" / f"{part}.txt").write_text("\n".join(lines))
    data = load(tmp_path / "lists")
    require_right(data)
    assert len(data.test) == 6
    text = table(pictures(tmp_path / "wide"), "{name},{label}", "file,label")
    (tmp_path / "wide" / "labels.csv").write_bytes(text.encode("utf-16"))
    require_right(load(tmp_path / "wide"))


@pytest.mark.parametrize(
    ("header", "line", "task"),
    [
        ("id,width,bbox,source", '{stem},8,"[1, 2, 3, 4]",{label}', "detection"),
        ("image,EncodedPixels", "{name},1 3 10 {row}", "segmentation"),
    ],
)
def test_tables_for_other_tasks_are_refused(
    header: str, line: str, task: str, tmp_path: Path
) -> None:
    (tmp_path / "train.csv").write_text(table(pictures(tmp_path), line, header))
    with pytest.raises(DataError, match=f"is a data set for {task}"):
        load(tmp_path)


def test_signs_cut_out_of_a_street_are_classes_though_their_boxes_are_there(tmp_path: Path) -> None:
    line = "{name},8,8,1,1,7,7,{number}"
    header = "Filename,Width,Height,Roi.X1,Roi.Y1,Roi.X2,Roi.Y2,ClassId"
    (tmp_path / "gt.csv").write_text(table(pictures(tmp_path), line, header))
    assert load(tmp_path).class_names == ("0", "1", "2")


def test_boxes_of_cars_in_kitti_are_a_task_of_their_own(tmp_path: Path) -> None:
    pictures(tmp_path / "training" / "image_2")
    (tmp_path / "training" / "label_2").mkdir()
    line = "Car 0.00 0 -1.57 599.41 156.40 629.75 189.25 2.85 2.63 12.34 0.47 1.49 69.44 -1.56\n"
    (tmp_path / "training" / "label_2" / "i00.txt").write_text(line)
    with pytest.raises(DataError, match=r"detection: .* holds boxes \(KITTI\)"):
        load(tmp_path)


def test_files_that_are_named_after_their_classes_are_to_be_moved(tmp_path: Path) -> None:
    for name in pictures(tmp_path):
        (tmp_path / name).rename(tmp_path / f"{CLASSES[int(name[1:3]) % 3]}.{name[1:]}")
    with pytest.raises(DataError, match=r"named after their classes .ball, box, cone."):
        load(tmp_path)
