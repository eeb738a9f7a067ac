"""Which of a graph's inputs takes the text or the token ids, and which of its outputs is the vector."""

from collections.abc import Mapping
from typing import Any

from app.errors import Invalid
from app.tensors import Signature, TensorSpec

# What goes beside token ids is told by a word in its name: attention_mask and input_mask, token_type_ids and segment_ids, position_ids.
_ROLES = {"mask": "mask", "type": "type", "segment": "type", "position": "position"}
# Where several outputs fit and model.toml does not choose: sentence-transformers, text-embeddings-inference, CLIP, BERT.
_VECTORS = ("sentence_embedding", "sentence_embeddings", "embedding", "embeddings", "text_embeds", "pooler_output")
_COUNTER = "token_count"


def text_input(signature: Signature) -> TensorSpec:
    """The one input that takes a text for each vector: ``[N]``, ``[N, 1]``, or of a shape that the graph does not tell.

    :raises Invalid: for a graph that takes token ids, or something else.
    """
    only = signature.inputs[0] if len(signature.inputs) == 1 else None
    if only is not None and _is_tensor(only) and only.datatype.kind == "string" and _is_column(only):
        return only
    if _token_inputs(signature) is not None:
        raise Invalid(
            f"The model takes token ids ({signature.describe_inputs()}), not text: send arrays of ids of its own tokenizer, "
            "or put the tokenizer into the graph.",
            pointer="/input",
        )
    raise _unfit(signature)


def token_inputs(signature: Signature) -> tuple[TensorSpec, dict[str, str]]:
    """The input ``[N, tokens]`` of token ids, and the role of each of the others: ``mask``, ``type`` or ``position``.

    :raises Invalid: for a graph that takes text, or something else.
    """
    found = _token_inputs(signature)
    if found is not None:
        return found
    if len(signature.inputs) == 1 and signature.inputs[0].datatype.kind == "string":
        raise Invalid(
            "The model takes text, not token ids: send strings (LangChain's OpenAIEmbeddings does with check_embedding_ctx_length=False).",
            pointer="/input",
        )
    raise _unfit(signature)


def vector_output(signature: Signature) -> str:
    """The output of one float vector for each input, ``[N, size]`` or ``[N, 1, size]``.

    :raises Invalid: where there is none, or more than one and nothing tells which.
    """
    names = signature.default_outputs or tuple(signature.output_by_name)
    floats = [spec for spec in map(signature.output_by_name.__getitem__, names) if _is_tensor(spec) and spec.datatype.kind == "float"]
    # A graph that does not tell a shape may still answer with the right one.
    fitting = [spec.name for spec in floats if _is_vector(spec)] or [spec.name for spec in floats if spec.shape is None]
    known = [name for name in _VECTORS if name in fitting]
    if len(fitting) == 1 or known:
        return (known or fitting)[0]
    shown = ", ".join(f"'{name}' {signature.output_by_name[name].describe()}" for name in names)
    if fitting:
        raise Invalid(
            f"Any of the model's outputs {shown} could be the vector; let default_outputs in model.toml name it.", pointer="/model"
        )
    if any(spec.shape is not None and len(spec.shape) == 3 for spec in floats):
        raise Invalid(
            f"The model answers a vector for each token ({shown}), not for each input: pool them inside the graph, the mean over "
            "attention_mask for instance.",
            pointer="/model",
        )
    raise Invalid(f"The model answers {shown}, which is no float vector for each input: it is no embedding model.", pointer="/model")


def example_body(signature: Signature, inputs: Mapping[str, Any] | None) -> dict[str, Any]:
    """A body for ``/v1/embeddings`` but for the model's name: of the author's example where it has one.

    :raises Invalid: for a graph that does not say that it makes vectors of texts or token ids.
    """
    tokens = _token_inputs(signature)
    spec = text_input(signature) if tokens is None else tokens[0]
    if spec.shape is None or signature.output_by_name[vector_output(signature)].shape is None:
        raise _unfit(signature)
    given = (inputs or {}).get(spec.name)
    while isinstance(given, list) and given and (tokens is None or isinstance(given[0], list)):
        given = given[0]
    return {"input": given or ("The food was delicious." if tokens is None else [1, 2, 3])}


def token_counter(signature: Signature) -> tuple[str, ...]:
    """The output that counts the tokens of each text, if the graph has one."""
    spec = signature.output_by_name.get(_COUNTER)
    return (_COUNTER,) if spec is not None and _is_tensor(spec) and spec.datatype.kind == "integer" else ()


def _token_inputs(signature: Signature) -> tuple[TensorSpec, dict[str, str]] | None:
    # A single input needs no name to be known by.
    several = len(signature.inputs) > 1
    roles = {spec.name: role for spec in signature.inputs if several and (role := _role(spec.name))}
    ids = [spec for spec in signature.inputs if spec.name not in roles]
    if len(ids) != 1 or ids[0].datatype.kind != "integer":
        return None
    fit = all(_is_tensor(spec) and _is_grid(spec) and spec.datatype.kind != "string" for spec in signature.inputs)
    return (ids[0], roles) if fit else None


def _role(name: str) -> str:
    return next((role for word, role in _ROLES.items() if word in name.lower()), "")


def _unfit(signature: Signature) -> Invalid:
    return Invalid(
        f"The model takes {signature.describe_inputs()}; for embeddings it takes one text or one row of token ids for each vector.",
        pointer="/model",
    )


def _is_tensor(spec: TensorSpec) -> bool:
    return not (spec.sequence or spec.optional)


def _is_column(spec: TensorSpec) -> bool:
    return (
        spec.shape is None or len(spec.shape) == 1 or (len(spec.shape) == 2 and (spec.shape[1] == 1 or not isinstance(spec.shape[1], int)))
    )


def _is_grid(spec: TensorSpec) -> bool:
    return spec.shape is None or len(spec.shape) == 2


def _is_vector(spec: TensorSpec) -> bool:
    return spec.shape is not None and (len(spec.shape) == 2 or (len(spec.shape) == 3 and spec.shape[1] == 1))
