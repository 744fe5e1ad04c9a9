"""The C file of an int8 network, compiled, against the same integers in numpy and torch."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgenas.core.records import ImageInput
from edgenas.int8.exporters import c
from edgenas.int8.graph import fixed_point, integer_reference
from edgenas.int8.graph.ir import OUTPUT, Graph
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.quantize import Quantization, find_scheme, quantize
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import Ranges, calibrate
from edgenas.spaces import mbv3_tiny

N_IMAGES = {"here": 60, "aarch64": 500, "cortex-m4": 500}  # of platforms
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
MADE = ImageInput("crop", 16, 16, "rgb", MEAN, STD, "nhwc", "uint8")
MAIN = """
#include "network.c"
#include <stdio.h>
int main(void) {
    static uint8_t pixels[EDGENAS_HEIGHT * EDGENAS_WIDTH * EDGENAS_CHANNELS];
    edgenas_value logits[EDGENAS_CLASSES];
    FILE *images = fopen("pixels.bin", "rb"), *answers = fopen("logits.bin", "wb");
    while (fread(pixels, 1, sizeof pixels, images) == sizeof pixels) {
        edgenas_classify(pixels, logits);
        fwrite(logits, sizeof logits[0], EDGENAS_CLASSES, answers);
    }
    return fclose(answers);
}
"""
# Of a Cortex-M: where the stack begins, and what runs first (crt0 of newlib, by semihosting).
VECTORS = """
extern void _start(void);
__attribute__((section(".vectors"), used)) void (*const vectors[])(void) = {
    (void (*)(void))0x20010000, _start};
"""
STRICT = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-pedantic"]
CORTEX_M = [
    *("arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "--specs=rdimon.specs"),
    *("vectors.c", "-Wl,--section-start=.vectors=0x0"),
]
QEMU_M = [
    *("qemu-system-arm", "-machine", "mps2-an386", "-cpu", "cortex-m4", "-nographic"),
    *("-semihosting", "-kernel"),
]
# compiler, what runs its programs
PLATFORMS = {
    "here": (["gcc"], []),
    "aarch64": (["aarch64-linux-gnu-gcc", "-static"], ["qemu-aarch64-static"]),
    "cortex-m4": (CORTEX_M, QEMU_M),
}


@pytest.fixture(scope="module", params=["u8s8", "s8s8"])
def network(request: pytest.FixtureRequest) -> tuple[str, Graph, Ranges, Quantization, np.ndarray]:
    """A network with squeeze-excite, residuals and strides; its quantization; bytes to feed it."""
    space = mbv3_tiny.create(10, 3, 16)
    space = replace(space, stages=tuple(replace(s, squeeze_excite=True) for s in space.stages))
    layers = space.layers(space.sample(np.random.default_rng(7)))
    graph = lower(layers, random_state(layers, 7))
    pixels = np.random.default_rng(2).integers(0, 256, (500, 16, 16, 3), np.uint8)
    ranges = calibrate(graph, normalized(pixels[:50]))
    return request.param, graph, ranges, quantize(graph, ranges, find_scheme(request.param)), pixels


def normalized(pixels: np.ndarray) -> np.ndarray:
    channels = pixels.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    mean, std = (np.asarray(v, np.float32)[:, None, None] for v in (MEAN, STD))
    return (channels - mean) / std


def classified(source: c.CSource, pixels: np.ndarray, folder: Path, platform: str) -> bytes:
    """Compile a C file for a platform, run it there on the pixels, and return its logits."""
    compiler, runner = PLATFORMS[platform]
    for program in (compiler[0], *runner[:1]):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    for name, text in (("network.c", source.text), ("main.c", MAIN), ("vectors.c", VECTORS)):
        (folder / name).write_text(text)
    (folder / "pixels.bin").write_bytes(pixels.tobytes())
    strict = STRICT if platform == "here" else STRICT[1:2]
    command = [*compiler, *strict, "-o", "classify", "main.c"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    subprocess.run([*runner, "./classify"], cwd=folder, check=True, timeout=300)
    return (folder / "logits.bin").read_bytes()


@pytest.mark.parametrize(
    "platform",
    [
        "here",
        pytest.param("aarch64", marks=pytest.mark.emulated),
        pytest.param("cortex-m4", marks=pytest.mark.emulated),
    ],
)
def test_the_compiled_file_gives_the_integers_of_the_reference(
    network: tuple[str, Graph, Ranges, Quantization, np.ndarray], tmp_path: Path, platform: str
) -> None:
    scheme, graph, ranges, quantization, pixels = network
    pixels = pixels[: N_IMAGES[platform]]
    names = [f"class {n} */ \\" for n in range(10)]
    source = c.emit(graph, ranges, MADE, names, scheme=scheme)
    content = classified(source, pixels, tmp_path, platform)
    logits = np.frombuffer(content, quantization.scheme.activation).reshape(len(pixels), -1)
    expected = fixed_point.run(graph, quantization, normalized(pixels))
    assert np.array_equal(logits, expected)
    assert len(np.unique(expected)) > 20
    assert source.macs > 0 and 0 < source.ram_bytes < source.flash_bytes


def test_integers_stay_within_a_step_of_the_float_steps(
    network: tuple[str, Graph, Ranges, Quantization, np.ndarray],
) -> None:
    _, graph, _, quantization, pixels = network
    images = normalized(pixels[:100])
    integers = fixed_point.run(graph, quantization, images)
    quant = quantization.tensors[OUTPUT]
    real = (integers - int(quant.zero_point)) * float(quant.scale)
    steps = np.abs(real - integer_reference.run(graph, quantization, images)) / float(quant.scale)
    assert steps.mean() < 0.1 and (steps < 0.5).mean() > 0.9
    assert (
        real.argmax(1) == integer_reference.run(graph, quantization, images).argmax(1)
    ).mean() > 0.98


@pytest.mark.parametrize("real", [1e-9, 3.7e-4, 0.25, 0.999999, 1.0, 7.3, 1000.0])
def test_fractions_are_as_near_as_31_bits(real: float) -> None:
    one = fixed_point.fraction(real)
    assert one.multiplier < 2**31 and 0 < one.shift <= 62
    assert one.multiplier / 2**one.shift == pytest.approx(real, rel=2**-30, abs=2**-60)
