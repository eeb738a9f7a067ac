"""What a caller who took a wrong path may have meant: only looked for once something was wrong."""

from collections.abc import Callable, Iterable

# Extensions of Triton that its clients can call, and that this server does not have.
_NOT_OFFERED = {
    "/v2/systemsharedmemory": "Shared memory is not offered: client and server do not share a machine; send tensors in the body.",
    "/v2/cudasharedmemory": "Shared memory is not offered: client and server do not share a machine; send tensors in the body.",
    "/v2/trace": "Tracing settings are not offered; Server-Timing and the log tell what each request took.",
    "/v2/logging": "Logging settings are not offered over HTTP; LOG_LEVEL sets them.",
}


def for_path(path: str, patterns: Iterable[str], exists: Callable[[str], object]) -> str:
    """A sentence for a path that nothing is at; empty where there is nothing to say.

    :param patterns: the paths of the route table.
    :param exists: whether anything is at a path.
    """
    stem = path.rstrip("/")
    if stem != path and exists(stem):
        return f" Did you mean {stem[:200]}?"
    # a model's trace settings are below the model
    start = "/v2/trace" if path.startswith("/v2/models/") and path.endswith("/trace/setting") else path
    offered = next((text for prefix, text in _NOT_OFFERED.items() if start.startswith(prefix)), "")
    if offered:
        return f" {offered}"
    if path.startswith("/v1/models/") and path.endswith("/predict") and exists(wanted := path.removesuffix("/predict") + ":predict"):
        return f" Did you mean {wanted[:200]}?"
    verb = path.rpartition(":")[2]
    if path.startswith("/v1/models/") and ":" in path and verb != "predict":
        # what TensorFlow Serving says of such a path, which its users search for
        return f" Malformed request: ':{verb[:32]}' is not offered; :predict is."
    return _nearest(path, list(patterns))


def for_method(method: str, path: str, exists: Callable[[str], object]) -> str:
    """A sentence for a path that takes other methods."""
    if method == "POST" and path.startswith("/v1/models/") and exists(f"{path}:predict"):
        return f" Malformed request: POST {path[:200]}. Did you mean {path[:200]}:predict?"
    return ""


def _nearest(path: str, patterns: list[str]) -> str:
    from difflib import get_close_matches

    plain = [pattern for pattern in patterns if "{" not in pattern]
    guess = get_close_matches(path[:200], plain, 1, 0.8)
    if guess:
        return f" Did you mean {guess[0]}?"
    parts = path.split("/")[:12]
    shaped = [pattern for pattern in patterns if "{" in pattern and pattern.count("/") == len(parts) - 1]
    # the caller's own segments stand where a path takes any
    filled = ["/".join(got if want[:1] == "{" else want for want, got in zip(p.split("/"), parts, strict=True)) for p in shaped]
    guess = get_close_matches(path[:200], filled, 1, 0.8)
    return f" Did you mean {guess[0][:200]}?" if guess and guess[0] != path and guess[0].isprintable() else ""
