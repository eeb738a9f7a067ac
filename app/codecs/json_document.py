"""A JSON body as Python values, with its large arrays of numbers left as :class:`NumberArray`."""

import os
from typing import Any

from app.codecs import number_array
from app.codecs.json_text import MAX_DEPTH, checked, too_deep
from app.codecs.number_array import NumberArray
from app.errors import NestedTooDeeply, UnreadableJson

# Stands for a run that was cut out; random, so that no caller can write it.
_MARK = f"\x7f{os.urandom(12).hex()}:"
_MARK_BYTES = _MARK.encode()


def loads(body: bytes) -> Any:
    """Parse a body; large numeric arrays come back as :class:`NumberArray`.

    :raises UnreadableJson: with the offset of the first byte that is wrong, never with the body's content.
    :raises NestedTooDeeply: over 64 levels.
    :raises Invalid: an object that has the same key twice, which parsers are free to read either way (RFC 8259, section 4).
    """
    if len(body) < number_array.CUT_FROM:
        return checked(body)
    runs: list[NumberArray] = []
    rest = b"".join(number_array.cut(body, _MARK_BYTES, runs))
    if not runs:
        return checked(body)
    try:
        document = checked(rest)
    except (UnreadableJson, NestedTooDeeply):
        # Offsets must be those of the body that was sent.
        return checked(body)
    return _restored(document, runs)


def _restored(value: Any, runs: list[NumberArray], depth: int = 0) -> Any:
    if type(value) is str and value.startswith(_MARK):
        run = runs[int(value[len(_MARK) :])]
        if depth + len(run.shape) > MAX_DEPTH:
            raise too_deep()
        return run
    if type(value) is dict:
        return {key: _restored(item, runs, depth + 1) for key, item in value.items()}
    # A list longer than there can be strings holds no mark of ours.
    if type(value) is list and len(value) <= number_array.MOST_STRINGS:
        return [_restored(item, runs, depth + 1) for item in value]
    return value
