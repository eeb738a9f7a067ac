"""Objects that records refer to: which may be read, and how much of them."""

import time
from typing import NamedTuple

import pytest

from app.errors import BodyTooLarge, Invalid, Unreadable
from app.triggers.references import References
from app.triggers.requests import Reference

DEADLINE = time.monotonic() + 60


class Kept(NamedTuple):
    """An object in memory."""

    body: bytes

    @property
    def size(self) -> int:
        return len(self.body)

    def read(self, start: int, length: int) -> bytes:
        return self.body[start : start + length]


OBJECTS = {
    ("in", "a/b c.csv", ""): Kept(b"1,2"),
    ("in", "a/b c.csv", "v1"): Kept(b"1"),
    ("in", "none", ""): Kept(b""),
    ("in", "big", ""): Kept(b"1234"),
}
REFERENCES = References(lambda *named: OBJECTS.get(named), buckets=["in", "other"], max_bytes=3)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [(Reference("s3://in/a/b c.csv"), b"1,2"), (Reference("s3://in/a/b c.csv", "v1"), b"1"), (Reference("s3://in/none"), b"")],
)
def test_what_may_be_read(reference: Reference, expected: bytes) -> None:
    """An object of an allowed bucket is read whole, by its version where one is named."""
    assert expected == REFERENCES.fetch(reference, DEADLINE)


@pytest.mark.parametrize(
    ("uri", "kind", "words"),
    [
        ("s3://secret/a", Invalid, "INPUT_BUCKETS"),
        ("s3://in.evil/a", Invalid, "INPUT_BUCKETS"),
        ("s3://in/gone", Unreadable, "no object of that key"),
        ("s3://in/big", BodyTooLarge, "has 4 bytes, but at most 3"),
    ],
)
def test_what_may_not_be_read(uri: str, kind: type[Exception], words: str) -> None:
    """Another bucket, an object that is not there and one that is too large are refused by name, and no other bucket is named."""
    with pytest.raises(kind, match=words) as failure:
        REFERENCES.fetch(Reference(uri), DEADLINE)

    assert "other" not in str(failure.value)
