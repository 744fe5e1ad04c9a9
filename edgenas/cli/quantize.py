"""edgenas quantize: a float model that somebody else trained, as int8 files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich import box
from rich.table import Table

from edgenas.cli.completion import complete_data
from edgenas.cli.console import Terminal
from edgenas.cli.options import json_option, overwrite_option, preprocessing_options
from edgenas.cli.progress_bars import Bars
from edgenas.cli.show import WIDEST
from edgenas.cli.show_file import percent
from edgenas.cli.terminal import emit_json, say
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
    "--shape", help="Of the input, where the file leaves height and width open: 3x224x224."
)
@click.option(
    "--scheme",
    type=click.Choice(["u8s8", "s8s8", "s8s8-symmetric"]),
    help="Of the .onnx file: u8s8 for x86, s8s8 for Arm, s8s8-symmetric for TensorRT.  [that of "
    "this machine]",
)
@click.option("--calibrate", type=int, default=128, help="Images that calibrate.  [128]")
@click.option("--layers", is_flag=True, help="Also say what int8 costs each layer.")
@overwrite_option
@json_option
def quantize(
    *,
    model: Path,
    data: str | None,
    inputs: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Quantize your own float ONNX model to int8.

    MODEL is imported into the graph that edgenas exports its own networks from, calibrated on a
    few images, and written as int8 ONNX and TFLite. The files are run here, and their accuracy is
    compared with the float model's on the same test images, which calibrated nothing.

    An operator that is not covered is named, with its share of the work; files of both int8 and
    float are not written. The exit code is 1 if a file computes otherwise than it should.

    \b
    Examples:
      edgenas quantize model.onnx --data imagefolder:flowers
      edgenas quantize model.onnx --inputs calibration.npz -o model.tflite
    """
    result = commands.quantize(model, data, inputs, Bars(), **options)
    if as_json:
        emit_json(result)
    else:
        _show(result)
    if any(file["problems"] for file in result["files"]):
        raise click.exceptions.Exit(FAILED)


def _show(found: dict[str, Any]) -> None:
    say(
        f"{found['model']}: {found['params'] / 1e6:.3g} M parameters, {found['macs'] / 1e6:.4g} M "
        f"multiply-accumulates, all in int8; {found['form']}"
    )
    if found["input"] is not None:
        from edgenas.core.records import ImageInput, from_json

        say(f"input: {from_json(found['input'], ImageInput, 'the input')}")
    Terminal(width=WIDEST).print(_table(found))
    say(
        f"calibrated on {found['n_calibration']} images, compared on {found['n_test']} others; "
        "brackets are 95 % intervals"
    )
    worst = sorted(found["layers"], key=_noise)[:_MOST_LAYERS]
    for layer in worst:
        noise = "no noise" if layer["logits_snr_db"] is None else f"{layer['logits_snr_db']:.1f} dB"
        say(f"  layer {layer['name']} ({layer['kind']}) alone in int8: {noise} in the scores")
    for text in found["reservations"]:
        say(f"reservation: {text}")


def _noise(layer: dict[str, Any]) -> float:
    return float("inf") if layer["logits_snr_db"] is None else float(layer["logits_snr_db"])


def _table(found: dict[str, Any]) -> Table:
    table = Table(box=box.SIMPLE)
    table.add_column("file")
    for name in ("MB", "accuracy %", "change, points", "other class %", "steps off"):
        table.add_column(name, justify="right")
    table.add_row("float", "", _percent(found["float_accuracy"]), "", "", "")
    for file in found["files"]:
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
