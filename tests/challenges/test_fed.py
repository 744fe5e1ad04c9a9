"""What a judge feeds and counts gives the answers of the network that was validated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

from edgenas.challenges import lpcvc2025_track1, ovic2020
from edgenas.challenges.base import Entry, Judging
from edgenas.challenges.class_order import class_order
from edgenas.challenges.image_referee import RefereeRun, feed, findings, referee_run
from edgenas.core import plugins
from edgenas.core.errors import InputError
from edgenas.core.progress import Silent
from edgenas.core.records import Answers, ImageInput
from edgenas.core.records.image_input import asked_input, slug
from edgenas.data import base
from edgenas.data.base import Split
from edgenas.data.decode import read_input
from edgenas.int8.checks.file import unlike_lowered
from edgenas.int8.engines.host import fed_logits
from edgenas.int8.graph.float_reference import run
from edgenas.int8.graph.ir import Graph, WeightedNode
from edgenas.int8.graph.pixel_scale import pixel_exact
from edgenas.int8.graph.pixels import as_fed, take_pixels, with_background
from edgenas.int8.graph.ranges import calibrate
from helpers import image_feeds
from helpers.challenge_packages import MEAN, STD, entry, tiny_graph
from helpers.image_feeds import by_hand, feeds

SIZE = 16
OWN = ImageInput("crop", SIZE, SIZE, "rgb", MEAN, STD, "nchw", "float32")
FEEDS = feeds(OWN)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """Images, uint8 [n, height, width, channels], with bright borders: zeros beside them show."""
    images = np.random.default_rng(3).integers(0, 256, (12, SIZE, SIZE, 3)).astype(np.uint8)
    images[:, [0, -1]] = 250
    images[:, :, [0, -1]] = 5
    return images


def normalised(pixels: np.ndarray) -> np.ndarray:
    return image_feeds.normalised(pixels, MEAN, STD)


def scores(model: bytes, fed: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {entry: image[None]})[0] for image in fed])


def judged(judging: Judging, images: Split, names: tuple[str, ...], verified: float) -> RefereeRun:
    """The referee run as `submit` does it."""
    how = {"read": read_input, "scores": fed_logits}
    return referee_run(judging, images.images, images.labels, names, verified, **how)


@pytest.mark.parametrize("name", FEEDS)
def test_a_file_that_takes_pixels_gives_the_logits_of_normalised_images(
    pixels: np.ndarray, name: str
) -> None:
    made, graph = FEEDS[name], tiny_graph(SIZE, 10)
    emit = plugins.load("exporters", "onnx").emit
    known = calibrate(graph, normalised(pixels))
    expected = run(graph, normalised(pixels))
    changed, ranges = as_fed(graph, known, OWN, made)
    fed = by_hand(pixels, name, OWN)
    np.testing.assert_allclose(np.stack([feed(image, made) for image in pixels]), fed, atol=1e-6)
    np.testing.assert_allclose(
        scores(emit(changed, None, made=made), fed), expected, atol=1e-4
    )  # borders too
    for scheme in ("u8s8", "s8s8"):
        before = scores(emit(graph, known, scheme=scheme), normalised(pixels))
        content = emit(changed, ranges, scheme=scheme, made=made)
        step = float(np.ptp(expected)) / 255
        assert np.abs(scores(content, fed) - before).max() <= 2.01 * step
        how = {"exporter": "onnx", "scheme": scheme}
        assert unlike_lowered(content, changed, ranges, **how) == ""


def test_a_file_says_how_its_input_is_made_and_what_its_scores_mean() -> None:
    graph, made = tiny_graph(SIZE, 3), FEEDS["channels last"]
    content = plugins.load("exporters", "onnx").emit(
        graph, None, made=made, class_names=("cat", "dog", "ox")
    )
    said = {one.key: one.value for one in onnx.load_model_from_string(content).metadata_props}
    assert said["edgenas.class_names"] == '["cat","dog","ox"]'
    for part in ('"layout":"nhwc"', '"channels":"rgb"', '"size":16', '"resampling":"bilinear"'):
        assert part in said["edgenas.input"]
    assert '"fit":"crop"' in said["edgenas.input"]
    assert "pixel, no mean or std" in said["edgenas.input_text"]


def judged_by_hand(model: Path, images: np.ndarray) -> np.ndarray:
    """Classes as the organisers' code chooses them: resized to 224 x 224, ToTensor, argmax."""
    fed = []
    for pixels in images:
        image = Image.fromarray(pixels).resize((224, 224), Image.Resampling.BILINEAR)
        fed.append(np.asarray(image, np.float32).transpose(2, 0, 1) / 255)
    return scores(model.read_bytes(), np.stack(fed)).argmax(1)


@pytest.fixture(scope="module")
def track1() -> tuple[Entry, Split]:
    """An entry, and images at 256 px with the classes that its float network gives them."""
    rng = np.random.default_rng(4)
    coarse = rng.integers(0, 256, (48, 4, 4, 3)).astype(np.uint8)
    images = np.stack([np.asarray(Image.fromarray(one).resize((256, 256), 0)) for one in coarse])
    small = Split(images, np.zeros(48, np.int64)).resized(224).images
    given = entry(224, 64)
    assert given.network is not None
    graph = given.network.graph
    network = replace(given.network, ranges=calibrate(graph, normalised(small)))
    labels = run(graph, normalised(small)).argmax(1)
    assert len(set(labels)) > 2
    return replace(given, network=network), Split(images, labels)


def test_the_judge_of_2025_sees_the_network_that_was_validated(
    track1: tuple[Entry, Split], tmp_path: Path
) -> None:
    given, images = track1
    path = lpcvc2025_track1.build(given, tmp_path)
    judge = lpcvc2025_track1.RULES.value("classes", "names")
    for file in (path, tmp_path / "model_fp32.onnx"):
        chosen = [judge[number] for number in judged_by_hand(file, images.images)]
        own = [given.class_names[label] for label in images.labels]
        agree = np.mean([one == other for one, other in zip(chosen, own, strict=True)])
        assert agree >= (0.95 if file == path else 1.0)
    found = judged(lpcvc2025_track1.judging(path, given), images, given.class_names, 1.0)
    assert found.accuracy == np.mean(
        [
            judge[number] == given.class_names[label]
            for number, label in zip(
                judged_by_hand(path, images.images), images.labels, strict=True
            )
        ]
    )
    assert (tmp_path / "labels.txt").read_text().splitlines() == judge


def test_of_equal_scores_the_class_counts_that_was_verified(
    track1: tuple[Entry, Split], tmp_path: Path
) -> None:
    given, images = track1
    network = given.network
    assert network is not None
    small = normalised(images.resized(224).images)
    low, high = network.ranges["logits"]
    coarse = {**network.ranges, "logits": (20 * low, 20 * high)}  # so that many scores are equal
    coarse["input"] = pixel_exact(coarse["input"], MEAN, STD)
    path = lpcvc2025_track1.build(replace(given, network=replace(network, ranges=coarse)), tmp_path)
    verified = scores(plugins.load("exporters", "onnx").emit(network.graph, coarse), small)
    assert ((verified == verified.max(1, keepdims=True)).sum(1) > 1).mean() > 0.2
    judge = lpcvc2025_track1.RULES.value("classes", "names")
    at224 = np.ascontiguousarray(images.resized(224).images)
    chosen = [judge[number] for number in judged_by_hand(path, at224)]
    assert chosen == [given.class_names[number] for number in verified.argmax(1)]


def test_classes_in_the_order_of_the_alphabet_or_normalisation_outside_are_rejected(
    track1: tuple[Entry, Split], tmp_path: Path
) -> None:
    given, images = track1
    emit = plugins.load("exporters", "onnx").emit
    path = tmp_path / "model.onnx"
    judging = lpcvc2025_track1.judging(path, given)
    network = given.network
    assert network is not None
    path.write_bytes(emit(network.graph, network.ranges))  # mean, deviation and order left outside
    outside = judged(judging, images, given.class_names, 1.0)
    folded = as_fed(network.graph, network.ranges, network.input, judging.input)
    path.write_bytes(emit(*folded))  # only the order left
    alphabet = judged(judging, images, given.class_names, 1.0)
    for found in (outside, alphabet):
        assert found.accuracy < 0.5
        assert not found.agrees
        (said,) = (one for one in findings(found, "squeeze") if one.severity == "error")
        assert f"{found.accuracy:.2%} of 48 image files right, but 100.00%" in said.message
    right = replace(judging, class_names=given.class_names)
    assert judged(right, images, given.class_names, 1.0).accuracy >= 0.95


def test_half_a_point_is_the_most_that_may_be_missing(tmp_path: Path) -> None:
    images = Split(
        np.random.default_rng(0).integers(0, 256, (400, SIZE, SIZE, 3)).astype(np.uint8),
        np.zeros(400, np.int64),
    )
    path = tmp_path / "model.onnx"
    path.write_bytes(plugins.load("exporters", "onnx").emit(tiny_graph(SIZE, 2), None))
    judging = Judging(path, OWN, ("a", "b"))
    accuracy = judged(judging, images, ("a", "b"), 0.0).accuracy
    assert judged(judging, images, ("a", "b"), accuracy + 0.005).agrees
    assert not judged(judging, images, ("a", "b"), accuracy + 0.0051).agrees


def test_images_made_square_otherwise_than_the_judge_does_are_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(plugins.load("exporters", "onnx").emit(tiny_graph(SIZE, 2), None))
    images = Split(np.zeros((3, SIZE, SIZE, 3), np.uint8), np.zeros(3, np.int64))
    squeezed = Judging(path, replace(OWN, fit="squeeze"), ("a", "b"))
    found = judged(squeezed, images, ("a", "b"), 1.0)
    said = [one for one in findings(found, "crop") if one.severity == "warning"]
    assert [one.remedy for one in said] == ["Train with: --fit squeeze"]
    assert not [one for one in findings(found, "squeeze") if one.severity == "warning"]


def test_classes_are_ordered_by_name_and_refused_when_names_differ() -> None:
    assert class_order(("hot_dog", "TV", "cup"), ("cup", "hot dog", "tv"), "X") == (2, 0, 1)
    with pytest.raises(InputError, match="missing 'tv', not among them 'telly'"):
        class_order(("cup", "telly"), ("cup", "tv"), "X")
    with pytest.raises(InputError, match="not those of X"):
        class_order(("cup", "Cup", "tv"), ("cup", "tv"), "X")
    given = replace(entry(224, 64), class_names=tuple(f"class {n}" for n in range(64)))
    with pytest.raises(InputError, match="missing 'bicycle', 'car'"):
        lpcvc2025_track1.build(given, Path("nowhere"))


def test_words_ask_for_an_input_and_contradictions_are_refused() -> None:
    made = asked_input("uint8, NHWC,bgr", OWN)
    assert (made.dtype, made.layout, made.channels, made.formula) == (
        *("uint8", "nhwc", "bgr"),
        "pixel",
    )
    assert (made.mean, made.std) == ((0.0,) * 3, (1.0,) * 3)
    assert slug(made) == "uint8-nhwc-bgr-pixel"
    turned = asked_input("bgr", OWN)
    assert (turned.mean, turned.std) == (MEAN[::-1], STD[::-1])
    for words, said in {
        "uint8,unit": "asks for formula pixel and for pixel / 255",
        "rgb,bgr": "asks for channels rgb and for bgr",
        "nwhc": "says nothing of an input",
        "": "says nothing of an input",
    }.items():
        with pytest.raises(InputError, match=said):
            asked_input(words, OWN)
    with pytest.raises(InputError, match="grey"):
        asked_input("bgr", replace(OWN, channels="grey", mean=(0.5,), std=(0.5,)))


def test_files_that_are_not_square_are_made_so_as_the_judge_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    for index in range(96):  # four squares side by side: the middle ones say little of the others
        (tmp_path / "data" / "ab"[index % 2]).mkdir(parents=True, exist_ok=True)
        coarse = rng.integers(0, 256, (1, 4, 3)).astype(np.uint8).repeat(16, 0).repeat(16, 1)
        Image.fromarray(coarse).save(tmp_path / "data" / "ab"[index % 2] / f"{index}.png")
    data = base.load(f"imagefolder:{tmp_path / 'data'}", seed=0, progress=Silent())
    made = data.network_input(16, "nchw", "float32")
    test = data.train
    for path, image in zip(test.files, test.images, strict=True):
        np.testing.assert_array_equal(read_input(path, made), image)
    graph = tiny_graph(16, 2)
    scored = run(graph, data.normalize(test.images))
    labels = (scored[:, 0] - scored[:, 1] < np.median(scored[:, 0] - scored[:, 1])).astype(int)
    last = graph.nodes[-1]
    assert isinstance(last, WeightedNode)
    shift = np.array([-np.median(scored[:, 0] - scored[:, 1]), 0], np.float32)
    graph = Graph(graph.input_shape, (*graph.nodes[:-1], replace(last, bias=last.bias + shift)))
    model = tmp_path / "model.onnx"
    model.write_bytes(plugins.load("exporters", "onnx").emit(graph, None))
    how = {"read": read_input, "scores": fed_logits}
    same = Judging(model, made, ("a", "b"))
    squeezed = replace(same, input=replace(made, fit="squeeze"))
    asked = (test.images, labels, ("a", "b"), 1.0)
    assert referee_run(same, *asked, files=test.files, **how).agrees
    assert referee_run(squeezed, *asked, **how).agrees  # of squares that were written nothing shows
    found = referee_run(squeezed, *asked, files=test.files, **how)
    assert found.accuracy < 0.9
    assert {one.severity for one in findings(found, "crop")} == {"error", "warning"}


def by_words() -> tuple[str, ...]:
    """Return ImageNet's classes by words, sorted as folders are; by number where two are alike."""
    names = [name.split(" ", 1) for name in ovic2020.RULES.value("classes", "names")]
    words = [word.casefold() for _, word in names]  # a Cardigan is a dog
    chosen = [number if words.count(word.casefold()) > 1 else word for number, word in names]
    return tuple(sorted(chosen))


@pytest.mark.parametrize("by", ["numbers", "words"])
def test_raw_pixels_and_a_background_are_what_ovic_judges(tmp_path: Path, by: str) -> None:
    pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert")
    rng = np.random.default_rng(5)
    images = rng.integers(0, 256, (64, 8, 8, 3)).astype(np.uint8).repeat(4, 1).repeat(4, 2)
    graph = tiny_graph(32, 1000)
    ranges = calibrate(graph, normalised(images))
    labels = run(graph, normalised(images)).argmax(1)
    packed = take_pixels(with_background(graph, ranges), ranges, MEAN, STD)
    content = plugins.load("exporters", "tflite").emit(*packed, scheme="u8s8")
    given = replace(entry(32, 1000), models={"uint8.tflite": content})
    network = replace(given.require_network("ovic2020"), ranges=ranges)
    given = replace(given, network=network)
    if by == "words":
        given = replace(given, class_names=by_words())
    path = ovic2020.build(given, tmp_path)
    judging = ovic2020.judging(path, given)
    found = judged(judging, Split(images, labels), given.class_names, 1.0)
    int8_answers = scores(
        plugins.load("exporters", "onnx").emit(graph, ranges), normalised(images)
    ).argmax(1)
    assert abs(found.accuracy - np.mean(int8_answers == labels)) <= 0.1
    without = replace(judging, first_class=0)
    assert judged(without, Split(images, labels), given.class_names, 1.0).accuracy < 0.2
    if by == "words":
        in_own_order = replace(judging, class_names=given.class_names)
        wrong = judged(in_own_order, Split(images, labels), given.class_names, 1.0)
        assert wrong.accuracy < 0.2


def test_ovic_counts_the_classes_of_imagenet_by_their_wordnet_numbers() -> None:
    """tench is n01440764, the first; toilet tissue, n15075141, is the last."""
    names = by_words()
    order = ovic2020.judged_order(names)
    assert (names[order[0]], names[order[1]], names[order[-1]]) == (
        *("tench", "goldfish"),
        "toilet tissue",
    )
    assert sorted(order) == list(range(1000))
    labelled = [f"{name.replace(' ', '_')}" for name in ovic2020.RULES.value("classes", "names")]
    assert ovic2020.judged_order(labelled) == tuple(range(1000))
    for wrong in ("crane", "a class", "n00000000"):  # of two birds and machines, of nothing
        with pytest.raises(InputError, match=f"n01440764.*{wrong}"):
            ovic2020.judged_order([wrong, *labelled[1:]])


def test_images_are_compared_one_by_one_with_the_answers_on_the_target(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, SIZE, SIZE, 3)).astype(np.uint8)
    path = tmp_path / "model.onnx"
    path.write_bytes(plugins.load("exporters", "onnx").emit(tiny_graph(SIZE, 2), None))
    chosen = run(tiny_graph(SIZE, 2), normalised(pixels)).argmax(1)
    labels = np.where(np.arange(20) < 15, chosen, 1 - chosen)  # the last 5 are wrong
    how = {"read": read_input, "scores": fed_logits}
    asked = (Judging(path, OWN, ("a", "b")), pixels, labels, ("a", "b"), 0.75)
    on_target = [True] * 14 + [False] * 5 + [True]  # as many right, two of them others
    found = referee_run(*asked, **how, verified=Answers.of(on_target))
    assert (found.accuracy, found.agrees, found.n_alike) == (0.75, True, 18)
    for unknown in (None, Answers.counted(0.75, 20), Answers.of(on_target[1:])):
        assert referee_run(*asked, **how, verified=unknown).n_alike is None
