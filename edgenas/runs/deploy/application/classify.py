#!/usr/bin/env python3
"""Classify images with the network in this folder; print one line of JSON an image.

  python3 classify.py photo.jpg other.ppm       image files
  python3 classify.py folder                    all images of a folder
  cat photo.jpg | python3 classify.py -         one image from stdin
  python3 classify.py --camera /dev/video0      pictures of a camera, until Ctrl-C (needs OpenCV)
  python3 classify.py --self-test               the packed images against the logits they must give

It needs Python 3.8 or later, numpy, the engine that card.json names, and Pillow for image files.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
sys.path[:] = [str(FOLDER), *(p for p in sys.path[1:] if p)]  # never what lies where it is started

import numpy as np  # noqa: E402
import pixels  # noqa: E402

from device_runtime.backends import base  # noqa: E402
from device_runtime.worker import preprocess  # noqa: E402

IMAGES = (".jpg", ".jpeg", ".png", ".ppm", ".pgm", ".npy", ".bmp", ".gif", ".webp", ".tif", ".tiff")
REFUSED = 2


class Network:
    """The model of a folder in its engine. card : what card.json says."""

    def __init__(self, folder: Path, threads: int) -> None:
        self.card: dict[str, Any] = json.loads((folder / "card.json").read_text("utf-8"))
        self.labels = (folder / "labels.txt").read_text("utf-8").splitlines()
        path = folder / self.card["model"]
        if hashlib.sha256(path.read_bytes()).hexdigest() != self.card["sha256"]:
            raise ValueError(f"{path} is not the file that was verified: its SHA-256 differs")
        try:
            self._session = base.load(self.card["engine"]).open_model(str(path), threads)
        except ImportError as problem:
            raise ValueError(f"{problem}: {self.card['install']}") from None

    def logits(self, source: Path | bytes) -> np.ndarray:
        """Return the network's scores of one image file, float32 [classes]."""
        made = self.card["input"]
        image = pixels.read(source, made).transpose(2, 0, 1)[None]
        self._session.bind(preprocess(image, made["mean"], made["std"]))
        self._session.run()
        return np.asarray(self._session.output(), np.float32).reshape(-1)

    def answer(self, source: Path | bytes, name: str, top: int) -> dict[str, Any]:
        """Return the classes of one image, the likeliest first, or why there are none."""
        began = time.perf_counter()
        try:
            logits = self.logits(source)
        except Exception as problem:  # noqa: BLE001 - decoders raise nearly anything on damage
            return {"file": name, "error": _reason(problem)}
        shares = np.exp(logits - logits.max(), dtype=np.float64)
        shares /= shares.sum()
        best = [int(index) for index in np.argsort(-shares, kind="stable")[:top]]
        return {
            "file": name,
            "label": self.labels[best[0]],
            "index": best[0],
            "share": round(float(shares[best[0]]), 6),
            "top": [[self.labels[index], round(float(shares[index]), 6)] for index in best],
            "ms": round(1e3 * (time.perf_counter() - began), 3),
        }


def _reason(problem: Exception) -> str:
    if type(problem).__name__ == "UnidentifiedImageError":
        return "not an image"
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror
    return " ".join(str(problem).split()) or type(problem).__name__


def self_test(network: Network) -> bool:
    """Print how near the packed images come to their logits; return whether all are right.

    Engines round otherwise on other processors: what the verification tolerated is tolerated here.
    """
    test = network.card["self_test"]
    right = bool(test["images"])
    for name, expected in zip(test["images"], test["logits"]):  # noqa: B905 - Python 3.8
        began = time.perf_counter()
        logits = network.logits(FOLDER / name)
        ms = 1e3 * (time.perf_counter() - began)
        steps = np.abs(logits - np.asarray(expected, np.float32)) / test["step"]
        same = int(logits.argmax()) == int(np.argmax(expected))
        good = same and float(steps.mean()) <= test["most_mean_steps"]
        right = right and good
        report = {
            "file": name,
            "ok": good,
            "label": network.labels[int(logits.argmax())],
            "identical": bool(np.array_equal(logits, np.asarray(expected, np.float32))),
            "mean_steps": float(steps.mean()),
            "max_steps": float(steps.max()),
            "ms": round(ms, 3),
        }
        print(json.dumps(report), flush=True)
    if not test["images"]:
        print(json.dumps({"ok": False, "error": "no images were packed"}), flush=True)
    return right


def sources(named: list[str]) -> Iterator[tuple[Path | bytes, str]]:
    """Yield each image, and what to call it; a folder stands for its images, by name."""
    for name in named:
        if name == "-":
            yield sys.stdin.buffer.read(), "stdin"
        elif Path(name).is_dir():
            for path in sorted(Path(name).rglob("*")):
                if path.suffix.lower() in IMAGES and path.is_file():
                    yield path, str(path)
        else:
            yield Path(name), name


def frames(device: str) -> Iterator[tuple[bytes, str]]:
    """Yield pictures of a camera as .npy content, RGB."""
    import io

    try:
        import cv2
    except ImportError:
        raise ValueError("a camera needs OpenCV: python3 -m pip install opencv-python") from None
    camera = cv2.VideoCapture(int(device) if device.isdigit() else device)
    if not camera.isOpened():
        raise ValueError(f"the camera {device} does not open")
    try:
        while True:
            there, picture = camera.read()
            if not there:
                raise ValueError(f"the camera {device} gives no picture")
            stream = io.BytesIO()
            np.save(stream, np.ascontiguousarray(picture[:, :, ::-1]), allow_pickle=False)
            yield stream.getvalue(), device
    finally:
        camera.release()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", nargs="*", help="image files, folders, or - for stdin")
    parser.add_argument("--camera", help="a device such as /dev/video0")
    parser.add_argument("--self-test", action="store_true", help="check this folder")
    parser.add_argument("--top", type=int, default=3, help="classes an image  [3]")
    parser.add_argument("--threads", type=int, help="of the engine  [as it was verified]")
    options = parser.parse_args()
    if not (options.images or options.camera or options.self_test):
        parser.error("name an image, a folder, --camera or --self-test")
    failed = False
    try:
        threads = json.loads((FOLDER / "card.json").read_text("utf-8"))["threads"]
        network = Network(FOLDER, options.threads or threads)
        if options.self_test:
            return 0 if self_test(network) else 1
        given = frames(options.camera) if options.camera else sources(options.images)
        for source, name in given:
            answer = network.answer(source, name, max(1, options.top))
            failed = failed or "error" in answer
            print(json.dumps(answer), flush=True)
    except KeyboardInterrupt:
        return 130
    except (OSError, ValueError, KeyError) as problem:
        print(f"classify.py: {problem}", file=sys.stderr)
        return REFUSED
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
