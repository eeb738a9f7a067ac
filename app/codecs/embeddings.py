"""OpenAI's embeddings: texts, or lists of token ids, to one vector each.

https://platform.openai.com/docs/api-reference/embeddings/create. Errors point to the parameter that is wrong.
"""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import numpy as np

from app.codecs import embedding_graph, json_document, json_tensor
from app.codecs.byte_strings import from_text
from app.codecs.call import Call, Encoded, ModelTag
from app.codecs.json_output import dumps
from app.codecs.number_array import NumberArray
from app.errors import Invalid, MissingInput, OutputNotFinite, WrongDatatype, WrongShape
from app.tensors import Array, Signature, TensorSpec, Value, strings

# "any array must be 2048 dimensions or less"; arrays of token ids may be as long as the graph takes.
_MOST_INPUTS = 2048
# Padding makes a tensor larger than its body: 32 MB of int64.
_MOST_PADDED = 4 * 1024 * 1024


class _Wishes(NamedTuple):
    """What the body says of the answer. ``tokens`` is None where the graph alone knows them."""

    as_base64: bool
    dimensions: int | None
    rows: int
    tokens: int | None


def model_of(body: bytes) -> str | None:
    """The model that a body names, None where it names none.

    :raises Problem: see :class:`app.codecs.call.Reader`.
    """
    name = _loads(body).get("model")
    if name is not None and not isinstance(name, str):
        raise Invalid('"model" must be a string.', pointer="/model")
    return name


def decode(body: bytes, parameters: Mapping[str, str], signature: Signature) -> Call:  # noqa: ARG001 - JSON has none
    """Read a request; see :class:`app.codecs.call.Reader`. Keys that mean nothing to a graph are passed over, ``user`` among them."""
    document = _loads(body)
    as_base64, dimensions = _as_base64(document.get("encoding_format")), _dimensions(document.get("dimensions"))
    listed = _listed(document.get("input"))
    vector = embedding_graph.vector_output(signature)
    tokens: int | None = None
    counter: tuple[str, ...] = ()
    if isinstance(listed[0], str):
        inputs = _texts(listed, signature)
        counter = embedding_graph.token_counter(signature)
    else:
        inputs = _tokens(listed, signature)
        tokens = sum(map(len, listed))
    signature.check_shapes(inputs, dict.fromkeys(inputs, "/input"))
    return Call(inputs, (vector, *counter), details=_Wishes(as_base64, dimensions, len(listed), tokens))


def encode(call: Call, signature: Signature, tag: ModelTag, outputs: Mapping[str, Value]) -> Encoded:  # noqa: ARG001 - its NaN policy is not asked
    """Write the answer; see :class:`app.codecs.call.Writer`. Clients compute with every number, so NaN is always an error."""
    wishes: _Wishes = call.details
    name, *counter = call.outputs
    vectors = _vectors(name, outputs[name], wishes.rows)
    if wishes.dimensions is not None:
        vectors = _shortened(vectors, wishes.dimensions)
    tokens = wishes.tokens if wishes.tokens is not None else sum(int(cast(Any, outputs[counted]).sum()) for counted in counter)
    shown = [b64encode(vector.tobytes()).decode() for vector in vectors] if wishes.as_base64 else list(vectors)
    answer = {
        "object": "list",
        "data": [{"object": "embedding", "index": i, "embedding": value} for i, value in enumerate(shown)],
        "model": tag.name,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return Encoded(dumps(answer), "application/json")


def _loads(body: bytes) -> dict[str, Any]:
    document = json_document.loads(body)
    if not isinstance(document, dict):
        raise Invalid('The body must be a JSON object with "model" and "input".')
    return document


def _as_base64(value: Any) -> bool:
    if value is not None and not (isinstance(value, str) and value in {"float", "base64"}):
        raise Invalid('"encoding_format" must be "float" or "base64".', pointer="/encoding_format")
    return isinstance(value, str) and value == "base64"


def _dimensions(value: Any) -> int | None:
    if value is not None and (type(value) is not int or value < 1):
        raise Invalid('"dimensions" must be a whole number of at least 1.', pointer="/dimensions")
    return value


def _listed(value: Any) -> list[Any]:
    """The inputs, one for each vector: strings, or lists of what should be token ids."""
    if value is None:
        raise MissingInput(
            '"input" is missing: a text, an array of texts, an array of token ids, or an array of such arrays.', pointer="/input"
        )
    if isinstance(value, NumberArray):
        value = value.values()
    if isinstance(value, str) or (isinstance(value, list) and value and not isinstance(value[0], str | list)):
        value = [value]
    if not isinstance(value, list):
        raise WrongDatatype(
            '"input" must be a text, an array of texts, an array of token ids, or an array of such arrays.', pointer="/input"
        )
    if not 1 <= len(value) <= _MOST_INPUTS:
        raise WrongShape(f'"input" has {len(value)} inputs; send at least 1 and at most {_MOST_INPUTS}.', pointer="/input")
    kind = str if isinstance(value[0], str) else list
    for i, item in enumerate(value):
        if not isinstance(item, kind):
            raise WrongDatatype(
                f'"input" mixes kinds: input {i} is not {"a text" if kind is str else "an array"}, but input 0 is.', pointer=f"/input/{i}"
            )
        if not item:
            raise WrongShape(
                f'"input" must not be empty: input {i} is an empty {"text" if kind is str else "array"}.', pointer=f"/input/{i}"
            )
    return value


def _texts(texts: list[str], signature: Signature) -> dict[str, Value]:
    spec = embedding_graph.text_input(signature)
    shape = (len(texts),) if spec.shape is None or len(spec.shape) == 1 else (len(texts), 1)
    return {spec.name: strings([from_text(text) for text in texts], shape)}


def _tokens(rows: list[list[Any]], signature: Signature) -> dict[str, Value]:
    """Lists of token ids as one tensor, padded to its right with 0, and the inputs that go with it."""
    spec, companions = embedding_graph.token_inputs(signature)
    fixed = spec.shape[1] if spec.shape is not None else None
    lengths = [len(row) for row in rows]
    width = fixed if isinstance(fixed, int) else max(lengths)
    for i, length in enumerate(lengths):
        if length > width:
            raise WrongShape(f"input {i} has {length} tokens; the model takes at most {width}.", pointer=f"/input/{i}")
        if length < width and "mask" not in companions.values():
            raise WrongShape(
                f"input {i} has {length} tokens where {width} are needed: the graph has no attention_mask input, so shorter lists cannot be "
                "padded. Send lists of one length, or export the graph with attention_mask.",
                pointer=f"/input/{i}",
            )
    if len(rows) * width > _MOST_PADDED:
        raise WrongShape(
            f"{len(rows)} inputs padded to {width} tokens are {len(rows) * width} values, and at most {_MOST_PADDED} are taken; "
            "send the long ones in a request of their own.",
            pointer="/input",
        )
    padded = [row + [0] * (width - len(row)) for row in rows]
    inputs = {spec.name: json_tensor.decode(padded, spec, "/input", allow_nan=False)}
    return inputs | {name: _companion(role, lengths, width, signature.input_by_name[name]) for name, role in companions.items()}


def _companion(role: str, lengths: list[int], width: int, spec: TensorSpec) -> Array:
    """What goes beside padded token ids: 1 for a token and 0 for padding, a token's place, or the number of its segment, which is 0."""
    places = np.zeros((len(lengths), width), np.int64) if role == "type" else np.tile(np.arange(width), (len(lengths), 1))
    return (places < np.array(lengths)[:, np.newaxis] if role == "mask" else places).astype(spec.datatype.numpy)


def _vectors(name: str, value: Value, rows: int) -> Array:
    """A model's answer as float32, ``[rows, size]``, little-endian as base64 carries it."""
    shape: tuple[int, ...] = value.shape if isinstance(value, np.ndarray) else ()
    if not shape or shape not in {(rows, shape[-1]), (rows, 1, shape[-1])}:
        raise Invalid(
            f"output '{name}' answered {list(shape)} to {rows} inputs, where [{rows}, size] is needed: one vector for each input. "
            "A graph that embeds one text at a time is exported with a first dimension fixed at 1 in its input and its output.",
            pointer="/model",
        )
    with np.errstate(over="ignore"):
        vectors = np.ascontiguousarray(cast(Array, value), "<f4").reshape(rows, shape[-1])
    if not np.isfinite(vectors).all():
        row, place = np.argwhere(~np.isfinite(vectors))[0].tolist()
        raise OutputNotFinite(f"output '{name}' is no finite number at [{row}, {place}], in the vector of input {row}.")
    return cast(Array, vectors)


def _shortened(vectors: Array, dimensions: int) -> Array:
    """The first ``dimensions`` numbers of each vector, scaled to length 1."""
    if dimensions > vectors.shape[1]:
        raise Invalid(f'"dimensions" is {dimensions}, but the model\'s vectors have {vectors.shape[1]}.', pointer="/dimensions")
    wide = vectors[:, :dimensions].astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    # A vector of zeros has no direction, and stays.
    return cast(Array, (wide / np.where(lengths > 0, lengths, 1)).astype("<f4"))
