"""What models there are and what each takes and gives."""

from typing import Any

from app.codecs.example import example_body
from app.codecs.json_output import dumps
from app.http.message import Request, Response
from app.http.routes import Services
from app.inference.loading import Loaded
from app.inference.manifest import Manifest
from app.report import Report
from app.tensors import TensorSpec


def index(services: Services, request: Request, report: Report) -> Response:  # noqa: ARG001 - the signature of every endpoint
    """Every model, with its versions (oldest first). The newest one's digest is null until it is loaded; its own page loads it."""
    repository = services.repository
    models = []
    for name in repository.names():
        entry = repository.entry(name)
        manifest = entry.manifest if isinstance(entry.manifest, Manifest) else Manifest()
        models.append(
            {
                "name": name,
                "title": manifest.title,
                "description": manifest.description,
                "digest": entry.loaded.digest if entry.loaded else None,
                "versions": repository.versions(name),
                "default": name == repository.default_model,
                "links": {"self": f"/models/{name}", "predict": f"/models/{name}/predict"},
            }
        )
    return Response(200, dumps({"models": models}))


def show(services: Services, request: Request, report: Report) -> Response:  # noqa: ARG001
    """One model's signature, labels, digest, description and a valid example.

    :raises UnknownModel: or :class:`UnknownVersion`, with the known names.
    :raises ModelNotReady: when it could not be loaded.
    """
    loaded = services.repository.get(request.parameters["name"], request.parameters.get("version"))
    return Response(200, dumps(describe(loaded, services.repository.versions(loaded.name))))


def describe(loaded: Loaded, versions: list[str]) -> dict[str, Any]:
    """The model as a JSON object."""
    signature, manifest = loaded.signature, loaded.manifest
    path = f"/models/{loaded.name}/versions/{loaded.version}"
    return {
        "name": loaded.name,
        "version": loaded.version,
        "versions": versions,
        "digest": loaded.digest,
        "title": manifest.title,
        "description": manifest.description,
        "labels": list(signature.labels),
        "features": list(signature.features),
        "inputs": [_spec(spec) for spec in signature.inputs],
        "outputs": [_spec(spec) for spec in signature.outputs],
        "default_outputs": list(signature.default_outputs or signature.output_by_name),
        "batch": _batch(loaded),
        "nan": {"input": signature.nan_input, "output": signature.nan_output},
        "image": _image(loaded),
        "example": example_body(signature, manifest.example),
        "examples": [{"title": example.title, "inputs": example.inputs} for example in manifest.examples],
        "links": {"self": path, "predict": f"{path}/predict"},
    }


def _spec(spec: TensorSpec) -> dict[str, Any]:
    found: dict[str, Any] = {"name": spec.name, "datatype": spec.datatype.name, "shape": spec.shape and list(spec.shape)}
    return found | ({"sequence": True} if spec.sequence else {}) | ({"optional": True} if spec.optional else {})


def _image(loaded: Loaded) -> dict[str, Any] | None:
    """How a picture becomes an input; a graph's only input is named also where the manifest does not."""
    image, inputs = loaded.manifest.image, loaded.signature.inputs
    return image and image._asdict() | {"input": image.input or (inputs[0].name if len(inputs) == 1 else None)}


def _batch(loaded: Loaded) -> dict[str, Any]:
    if loaded.signature.loops_over_batch:
        note = "The graph fixes the batch at 1: rows are run one after the other. Export it with a dynamic first dimension to run them at once."
        return {"kind": "looped", "note": note}
    return {"kind": "native"}
