"""Operators of onnxruntime-extensions, tokenizers above all: registered for the graphs that need them, imported for no other."""

from app.errors import ModelRefused

# https://github.com/microsoft/onnxruntime-extensions/blob/main/docs/custom_ops.md
_DOMAINS = ("ai.onnx.contrib", "com.microsoft.extensions")


def are_missing(refusal: Exception) -> bool:
    """Whether ONNX Runtime refused a graph because it does not know an operator of these domains.

    What a graph declares (``opset_import``) does not tell: ONNX Runtime reads a graph that declares no such domain and uses one, and
    writes ``com.microsoft.extensions`` into every graph that it optimised while the operators were registered. The refusal costs a
    prepared graph 0.8 ms, because its weights lie in a file of their own, and all other models nothing.
    """
    return any(f"{domain}:" in str(refusal) for domain in _DOMAINS)


def library() -> str:
    """The path of the library of operators.

    :raises ModelRefused: when it is not installed.
    """
    try:
        from onnxruntime_extensions import get_library_path
    except ModuleNotFoundError as error:
        raise ModelRefused(
            "The graph uses operators of onnxruntime-extensions, which is not installed: install the extra 'text' "
            "(image: docker build --build-arg EXTRAS=text)."
        ) from error
    return str(get_library_path())
