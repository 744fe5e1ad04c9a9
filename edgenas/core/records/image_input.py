"""How an image file becomes what a network is fed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from edgenas.core.errors import InputError, nearest

# How an image becomes square: its centre square, all of it between black bars, or squeezed.
Fit = Literal["crop", "pad", "squeeze"]
FITS: tuple[Fit, ...] = get_args(Fit)
USUAL_FIT: Fit = "crop"
FIT_TEXTS: dict[Fit, str] = {
    "crop": "the centre square of the upright image",
    "pad": "the upright image, centred between black bars",
    "squeeze": "the upright image, squeezed to a square",
}
# From a pixel, 0 to 255, to the number that a network is fed.
Formula = Literal["(pixel / 255 - mean) / std", "pixel / 255", "pixel"]
# Under which a model file's metadata keep it as JSON and in words, and its classes in order.
INPUT_KEY, INPUT_TEXT_KEY = "edgenas.input", "edgenas.input_text"
CLASSES_KEY = "edgenas.class_names"


@dataclass(frozen=True)
class ImageInput:
    """How a network's input is made of an image file, step by step in the order of the fields.

    fit : how the upright image becomes a square of `image_size` pixels a side. "crop": its centre
        square; "pad": all of it, centred between black bars; "squeeze": each side by itself.
    size : pixels a side of the input; where `image_size` is another, it is resized once more.
    resampling : of both. Pillow's bilinear, which averages where it makes smaller (antialiased).
    channels : their order. mean, std : a channel, as fractions of 255, in that order; 0 and 1 where
        the formula has none.
    formula : from a pixel, 0 to 255, to the number that the network is fed.
    layout : of the file's input. dtype : of the file's input; "uint8" by the formula "pixel" is the
        pixel itself, else "int8" and "uint8" are the number, quantized with the scale and zero
        point that are in the file.
    """

    fit: Fit
    image_size: int
    size: int
    channels: Literal["rgb", "bgr", "grey"]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    layout: Literal["nchw", "nhwc"]
    dtype: Literal["float32", "int8", "uint8"]
    resampling: Literal["bilinear"] = "bilinear"
    formula: Formula = "(pixel / 255 - mean) / std"

    def __str__(self) -> str:
        again = f", then at {self.size} px" if self.size != self.image_size else ""
        numbers = ", no mean or std"
        if "mean" in self.formula:
            numbers = f", mean {_listed(self.mean)}, std {_listed(self.std)}"
        channels = self.channels if self.channels == "grey" else self.channels.upper()
        return (
            f"{FIT_TEXTS[self.fit]} at {self.image_size} px{again} "
            f"({self.resampling}, antialiased); {channels}, {self.layout}, {self.dtype}; "
            f"{self.formula}{numbers}"
        )


_WORDS: dict[str, dict[str, str]] = {
    "float32": {"dtype": "float32"},
    "uint8": {"dtype": "uint8", "formula": "pixel"},
    "nchw": {"layout": "nchw"},
    "nhwc": {"layout": "nhwc"},
    "rgb": {"channels": "rgb"},
    "bgr": {"channels": "bgr"},
    "normalized": {"formula": "(pixel / 255 - mean) / std"},
    "unit": {"formula": "pixel / 255"},
    "pixel": {"formula": "pixel"},
}
INPUT_WORDS = tuple(_WORDS)


def asked_input(words: str, own: ImageInput) -> ImageInput:
    """Return the input that words such as "uint8,nhwc,bgr" ask for; all else is as in `own`.

    Raises
    ------
    InputError : a word is unknown, contradicts another, or asks for what an image cannot be.
    """
    asked: dict[str, str] = {}
    for word in (part.strip().lower() for part in words.split(",")):
        if word not in _WORDS:
            raise InputError(f"'{word}' says nothing of an input.", nearest(word, INPUT_WORDS))
        for name, value in _WORDS[word].items():
            if asked.setdefault(name, value) != value:
                raise InputError(
                    f"The input '{words}' asks for {name} {asked[name]} and for {value}.",
                    "Name one of them.",
                )
    if own.channels == "grey" and "channels" in asked:
        raise InputError("The network takes grey images, which have no order of channels.")
    formula = asked.get("formula", own.formula)
    count = len(own.mean)
    asked["mean"], asked["std"] = (0.0,) * count, (1.0,) * count  # type: ignore[assignment]
    if formula == "(pixel / 255 - mean) / std":
        turned = asked.get("channels", own.channels) != own.channels
        step = -1 if turned else 1
        asked["mean"], asked["std"] = own.mean[::step], own.std[::step]  # type: ignore[assignment]
    elif own.dtype != "float32" and "dtype" not in asked:
        raise InputError(
            f"Integers that stand for {formula} are not written by this format.",
            "Ask for pixels as they are: --input uint8",
        )
    return replace(own, **asked)  # type: ignore[arg-type]


def slug(made: ImageInput) -> str:
    """Return the words that stand for an input in a file's name, such as "uint8-nhwc-bgr-pixel"."""
    formula = next(word for word, sets in _WORDS.items() if sets == {"formula": made.formula})
    return "-".join((made.dtype, made.layout, made.channels, formula))


def _listed(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)
