"""Many answers of one row each in the project's own JSON, cut out of the text of all rows: what orjson writes of one it writes of many."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any, cast

import numpy as np

from app.codecs.call import ModelTag
from app.codecs.json_output import dumps, jsonable
from app.tensors import Signature, Value


def bodies(names: Sequence[str], signature: Signature, tag: ModelTag, outputs: Mapping[str, Value], count: int) -> list[bytes] | None:
    """The bytes that :func:`app.codecs.predict_json.encode` makes of each row in the form ``columns``; None where rows are more than numbers.

    :param outputs: those of all rows, ``[count]`` or ``[count, k]``.
    """
    between = dumps({"model": {"name": tag.name, "version": tag.version, "digest": tag.digest}})[:-1] + b',"outputs":{'
    texts: list[Iterable[bytes]] = []
    for name in names:
        value, before = outputs[name], between + dumps(name) + b":"
        if name in signature.constant_outputs:
            between = before + dumps(jsonable(name, value, signature.nan_output)) + b","
            continue
        rows = _rows(value, count)
        if rows is None:
            return None
        brackets = 1 if np.ndim(cast(Any, value)) == 1 else 2
        texts += [repeat(before + b"[" * brackets), rows]
        between = b"]" * brackets + b","
    end = between[:-1] + b"}}"
    return [b"".join(parts) for parts in zip(*texts, repeat(end), strict=False)] if texts else None


def _rows(value: Value, count: int) -> list[bytes] | None:
    if (
        not isinstance(value, np.ndarray)
        or value.dtype.kind not in "fiu"
        or value.ndim not in {1, 2}
        or not value.size
        or len(value) != count
    ):
        return None
    if value.dtype.kind == "f" and not np.isfinite(cast(Any, value)).all():
        return None
    text = dumps(np.ascontiguousarray(value))
    return text[1:-1].split(b",") if value.ndim == 1 else text[2:-2].split(b"],[")
