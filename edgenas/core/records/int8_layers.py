"""What int8 costs a network, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Int8Layer:
    """One layer in int8, its weights, bias and output, in a network that is float otherwise.

    kind : of graph node; "input" is the image itself.
    snr_db, logits_snr_db : signal-to-noise ratio of the layer's output and of the logits; None
        where nothing is lost.
    accuracy_cost : fraction of the images that are no longer right, less those that are now;
        None of images without labels.
    changed : fraction of the images that are put into another class.
    """

    name: str
    kind: str
    snr_db: float | None
    logits_snr_db: float | None
    accuracy_cost: float | None
    changed: float


@dataclass(frozen=True)
class Int8Layers:
    """Every layer of a network by itself, in the order of computation, and all of them together.

    sha256 : of the int8 file. scheme : of what lies between its ends. Accuracies are fractions, of
    the reference (`graph.reference`, `graph.int8_reference`), on `n_images` validation images; None
    where those are synthetic.
    logits_snr_db, changed : of the network with every layer in int8.
    """

    sha256: str
    scheme: str
    n_images: int
    fp32_accuracy: float | None
    int8_accuracy: float | None
    logits_snr_db: float | None
    changed: float
    layers: tuple[Int8Layer, ...]

    @property
    def worst_first(self) -> tuple[Int8Layer, ...]:
        """The layers by the noise that each brings to the logits, most first."""
        return tuple(sorted(self.layers, key=_noise, reverse=True))

    @property
    def noise_shares(self) -> dict[str, float]:
        """Each layer's fraction of the noise that all bring to the logits one by one, by name."""
        total = sum(map(_noise, self.layers))
        return {layer.name: _noise(layer) / total if total else 0.0 for layer in self.layers}


def _noise(layer: Int8Layer) -> float:
    """Return the noise power at the logits, over that of the logits."""
    return 0.0 if layer.logits_snr_db is None else 10.0 ** (-layer.logits_snr_db / 10)
