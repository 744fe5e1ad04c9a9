"""What each operator of an ONNX file becomes, by its name."""

from __future__ import annotations

from edgenas.int8.importer import images, layers
from edgenas.int8.importer.builder import Import

IMPORTS: dict[str, Import] = {**layers.IMPORTS, **images.IMPORTS}
