"""ONNX files that lie where no model is looked for: said, because a model that is passed over in silence costs an hour."""

from collections.abc import Iterator

from app.inference.integrity import MODEL_FILE, PREPARED_FILE
from app.inference.repository import Repository


def strays(repository: Repository) -> Iterator[str]:
    """A sentence for each ``.onnx`` file, down to the folder of a version, that is not served."""
    served = {(entry.name, entry.version) for entry in repository.entries()}
    for depth in ("*.onnx", "*/*.onnx", "*/*/*.onnx"):
        for file in sorted(repository.folder.glob(depth)):
            place = file.relative_to(repository.folder).parts
            if len(place) == 3 and place[:2] in served and place[2] in {MODEL_FILE, PREPARED_FILE}:
                continue
            name = place[0].removesuffix(".onnx") if len(place) == 1 else place[0]
            yield f"{'/'.join(place)} is not served; a model lies at {name.replace(' ', '-')}/1/{MODEL_FILE}, its name in letters, digits and ._-"
