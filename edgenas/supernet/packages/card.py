"""The card of a packaged supernet, to read: what it is, how it was made, and how good it is."""

from __future__ import annotations

from typing import Any

from edgenas.core.records import Architecture, from_json


def title(card: dict[str, Any]) -> str:
    """Return the first line of the card's text."""
    return f"# A supernet of {card['space']['name']} on {card['data']['name']}"


def text(card: dict[str, Any]) -> str:
    """Return the card as Markdown, from its JSON."""
    settings, space = card["settings"], card["space"]
    losses = [100 * (one["fp32_accuracy"] - one["int8_accuracy"]) for one in card["subnets"]]
    images = card["subnets"][0]["n_images"]
    lines = [
        title(card),
        "",
        *_note(card.get("note", "")),
        f"- Classes: {', '.join(card['class_names'])}",
        f"- Images: {card['n_train']:,} trained on, {card['n_val']:,} to validate; data SHA-256 "
        f"`{card['data']['identity']}`",
        f"- Input: {space['in_channels']} channels at {_listed(space['resolutions'])} px, "
        f"{_squares(card)}(pixel / 255 - mean) / std, mean {_listed(card['mean'])}, "
        f"std {_listed(card['std'])}",
        f"- Recipe: {', '.join(f'{name} {value}' for name, value in settings.items())}",
        f"- Command: `edgenas train --data DATA --space {space['name']} --epochs "
        f"{settings['epochs']} --seed {settings['seed']} -o FILE`, then `edgenas package FILE "
        f"--data DATA{' --synthetic' if card.get('synthetic_loss') else ''}`",
        f"- Weights: {card['bytes'] / 1e6:.2f} MB, SHA-256 `{card['sha256']}`",
        f"- {card['evaluated_subnets']} subnets are evaluated on the validation images",
        "",
        f"Accuracy on {images:,} test images, as fp32 and as the int8 model in ONNX Runtime. Int8 "
        f"loses {sum(losses) / len(losses):.2f} points in the mean, {max(losses):.2f} at most.",
        *_synthetic(card.get("synthetic_loss")),
        "",
        "| network | MMAC | params | fp32 | int8 |",
        "|---|---|---|---|---|",
    ]
    for one in sorted(card["subnets"], key=lambda one: float(one["macs"])):
        name = str(from_json(one["architecture"], Architecture, "An architecture"))
        lines.append(
            f"| {name.replace('|', '/')} | {one['macs'] / 1e6:.2f} | {one['params']:,} | "
            f"{one['fp32_accuracy']:.2%} | {one['int8_accuracy']:.2%} |"
        )
    return "\n".join([*lines, ""])


def _squares(card: dict[str, Any]) -> str:
    """Return how images became square; "" for a card that was written before it was known."""
    return f"square by --fit {card['fit']}, " if "fit" in card else ""


def _note(note: str) -> list[str]:
    return [f"**{note}**", ""] if note else []


def _synthetic(loss: dict[str, Any] | None) -> list[str]:
    if loss is None:
        return []
    return [
        "",
        "No image of the data set comes with it, but synthetic ones that calibrate in their place: "
        f"int8 networks then lose {100 * loss['mean']:.2f} points more in the mean, "
        f"{100 * loss['worst']:.2f} at most ({loss['subnets']} networks, the same test images).",
    ]


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)
