"""What was exported: a candidate as files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgenas.core.records.answers import Answers
from edgenas.core.records.goals import SCORE
from edgenas.core.records.image_input import ImageInput
from edgenas.core.records.search import Candidate

Weights = Literal[
    "supernet", "fine-tuned", "linear classifier", "grown", "trained alone", "pruned", "imported"
]


@dataclass(frozen=True)
class FineTuned:
    """Int8 accuracy on the validation split before and after fine-tuning, and which is exported."""

    epochs: int
    kept: bool
    int8_accuracy_before: float
    int8_accuracy_after: float


@dataclass(frozen=True)
class ExportedModel:
    """A candidate as files, with all that an application needs to use them.

    int8_file, fp32_file : names in the run's models/ folder. scheme : of the int8 file.
    Input "input" is (pixel / 255 - mean) / std: float32 [1, channels, resolution, resolution] in
    "nchw" files; in "nhwc" ones channels last, and int8 or uint8 as `scheme` begins, with the scale
    and zero point that are in the file.
    val_int8_accuracy, val_fp32_accuracy : of these very files in `host_engine`, on `n_val` images;
        None where the images were synthetic.
    finetuned : None without fine-tuning.
    val_answers : of the int8 file, image by image; None of models of before these were kept.
    robust_accuracy : of the int8 file, the mean over corrupted validation images; None where it was
        not asked for.
    input : how it is made of an image file; None in the cards of older versions.
    weights : whose they are; "linear classifier": ImageNet's frozen network with one, where
        training made it no better; the last four: what `edgenas grow` kept.
    """

    candidate: Candidate
    int8_file: str
    fp32_file: str
    sha256: str
    int8_bytes: int
    scheme: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_names: tuple[str, ...]
    val_int8_accuracy: float | None
    val_fp32_accuracy: float | None
    n_val: int
    supernet_sha256: str
    format: str = "onnx"
    layout: Literal["nchw", "nhwc"] = "nchw"
    host_engine: str = "onnxruntime"
    finetuned: FineTuned | None = None
    val_answers: Answers | None = None
    input: ImageInput | None = None
    weights: Weights = "supernet"
    robust_accuracy: float | None = None

    @property
    def expected_accuracy(self) -> float:
        """The int8 accuracy on the validation images; the predicted one where there were none."""
        known = self.val_int8_accuracy
        return self.candidate[SCORE].mean if known is None else known

    @property
    def answers(self) -> Answers | None:
        """Right answers of the int8 file on the validation images; None where there were none."""
        if self.val_answers is not None or self.val_int8_accuracy is None:
            return self.val_answers
        return Answers.counted(self.val_int8_accuracy, self.n_val)
