"""edgenas quantize: a float model that somebody else trained, as int8 files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich import box
from rich.table import Table

from edgenas.cli.completion import complete_data, complete_target
from edgenas.cli.console import Terminal
from edgenas.cli.options import (
    access_given,
    access_options,
    json_option,
    overwrite_option,
    preprocessing_options,
)
from edgenas.cli.progress_bars import Bars
from edgenas.cli.show import WIDEST
from edgenas.cli.show_file import percent
from edgenas.cli.terminal import emit_json, say
from edgenas.core.counted import counted
from edgenas.core.errors import InputError
from edgenas.core.records.image_input import FITS
from edgenas.runs import commands

FAILED = 1
_MOST_LAYERS = 10


@click.command()
@click.argument("model", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--data", shell_complete=complete_data, help="Labelled images: imagefolder:DIR or hf:NAME."
)
@click.option(
    "--inputs",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Or arrays: an .npz file with 'inputs', as the model takes them, and perhaps 'labels'.",
)
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="An .onnx or .tflite file; again for both.  [MODEL.int8.onnx and MODEL.int8.tflite]",
)
@preprocessing_options
@click.option("--fit", type=click.Choice(FITS), help="How images become square.  [crop]")
@click.option(
    "--shape",
    help="Of the input without the batch, where the file leaves sizes open: 3x224x224 of an image, "
    "9x128 of a series.",
)
@click.option(
    "--scheme",
    type=click.Choice(["u8s8", "s8s8", "s8s8-symmetric"]),
    help="Of the .onnx file: u8s8 for x86, s8s8 for Arm, s8s8-symmetric for TensorRT.  [that of "
    "this machine]",
)
@click.option("--calibrate", type=int, default=128, help="Images that calibrate.  [128]")
@click.option(
    "--max-drop",
    type=click.FloatRange(0, 100),
    metavar="POINTS",
    help="Accuracy that may be lost: the noisiest layers stay in float until no more is.",
)
@click.option(
    "--keep-float",
    is_flag=True,
    help="Operators that are not covered stay in float, in an .onnx file.",
)
@click.option(
    "--target",
    shell_complete=complete_target,
    help="Where what layers in float cost is measured.  [local]",
)
@click.option("--layers", is_flag=True, help="Also say what int8 costs each layer, in each file.")
@overwrite_option
@access_options
@json_option
def quantize(
    *,
    model: Path,
    data: str | None,
    inputs: Path | None,
    max_drop: float | None,
    target: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Quantize your own float ONNX model to int8.

    MODEL is imported into the graph that edgenas exports its own networks from, calibrated on a
    few images (or vectors, or series), and written as int8 ONNX and TFLite. The files are run here,
    and their accuracy is compared with the float model's on the same test images, which calibrated
    nothing.

    An operator that is not covered is named, with its share of the work; --keep-float keeps it in
    float. The exit code is 1 if a
    file computes otherwise than it should, or loses more than --max-drop on the test images.

    --max-drop decides on validation images which layers stay in float, and measures what that
    costs: the file, the same all in int8, and the float model, in one job.

    \b
    Examples:
      edgenas quantize model.onnx --data imagefolder:flowers
      edgenas quantize model.onnx --data imagefolder:flowers --max-drop 0.5
      edgenas quantize keywords.onnx --inputs clips.npz -o keywords.tflite
    """
    if target is not None and max_drop is None:
        raise InputError("--target is for what --max-drop costs.", "Add --max-drop, or leave it.")
    options |= access_given(options)
    if max_drop is not None:
        options |= {"max_drop": max_drop / 100, "target": target or "local"}
    result = commands.quantize(model, data, inputs, Bars(), **options)
    if as_json:
        emit_json(result)
    else:
        _show(result)
    if any(file["problems"] for file in result["files"]):
        raise click.exceptions.Exit(FAILED)


def _show(result: dict[str, Any]) -> None:
    say(
        f"{result['model']}: {result['params'] / 1e6:.3g} M parameters, "
        f"{result['macs'] / 1e6:.4g} M multiply-accumulates"
    )
    if result["input"] is not None:
        from edgenas.core.records import ImageInput, from_json

        say(f"input: {from_json(result['input'], ImageInput, 'the input')}")
    Terminal(width=WIDEST).print(_table(result))
    what = "input" if result["input"] is None else "image"
    for file in result["files"]:
        say(f"{file['path']}: {file['form']}; {_noise_of(file)}")
        _show_floats(file, what)
        for layer in sorted(file["layers"], key=_noise)[:_MOST_LAYERS]:
            alone = f"layer {layer['name']} ({layer['kind']}) alone in int8"
            say(f"  {alone}: {_noise_of(layer)}")
    say(
        f"calibrated on {counted(result['n_calibration'], what)}, compared on "
        f"{counted(result['n_test'], 'other')}; "
        "brackets are 95 % intervals"
    )
    for text in result["reservations"]:
        say(f"reservation: {text}")


def _show_floats(file: dict[str, Any], what: str) -> None:
    """Print which layers a file keeps in float, why so many, and what that costs."""
    layers, drop, cost = file["float_layers"], file["drop"], file["cost"]
    if drop is not None:
        points = ", ".join(
            f"{100 * drop[key]:.2g} with {which}"
            for key, which in (("int8", "all in int8"), ("mixed", f"{len(layers)} in float"))
        )
        say(f"  points lost on {counted(drop['n_deciding'], what)} that decided: {points}")
    if layers:
        share = sum(layer["share"] for layer in layers)
        named = ", ".join(
            f"{layer['name']} ({layer['kind']}, {layer['share']:.1%})" for layer in layers
        )
        say(f"  in float, {share:.1%} of the multiply-accumulates: {named}")
    if cost is not None:
        times = ", ".join(f"{_ms(cost[name])} {name}" for name in ("mixed", "int8", "float"))
        say(f"  ms on {cost['target']} ({cost['engine']}), one job: {times}")
        if cost["mixed"] and cost["int8"]:
            more = cost["mixed"]["mean"] - cost["int8"]["mean"]
            say(f"  the layers in float cost {more:.3g} ms")


def _ms(value: dict[str, float] | None) -> str:
    if value is None:
        return "no time"
    return f"{value['mean']:.4g} [{value['lower']:.4g}, {value['upper']:.4g}]"


def _noise_of(noisy: dict[str, Any]) -> str:
    """Return how strong the noise in the scores is, in words."""
    if noisy["logits_snr_db"] is None:
        return "no noise in the scores"
    return f"noise {noisy['logits_snr_db']:.1f} dB below the scores"


def _noise(layer: dict[str, Any]) -> float:
    return float("inf") if layer["logits_snr_db"] is None else float(layer["logits_snr_db"])


def _table(result: dict[str, Any]) -> Table:
    table = Table(box=box.SIMPLE)
    table.add_column("file")
    for name in ("MB", "accuracy %", "change, points", "other class %", "steps off"):
        table.add_column(name, justify="right")
    table.add_row("float", "", _percent(result["float_accuracy"]), "", "", "")
    for file in result["files"]:
        table.add_row(
            file["path"],
            f"{file['model_bytes'] / 1e6:.3g}",
            _percent(file["accuracy"]),
            _percent(file["change"], "+"),
            "" if file["changed"] is None else f"{100 * file['changed']:.3g}",
            f"{file['mean_steps']:.2g}",
        )
    return table


def _percent(value: dict[str, float] | None, sign: str = "") -> str:
    return "no labels" if value is None else percent(value, sign)
