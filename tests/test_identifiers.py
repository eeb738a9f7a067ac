"""Ids of requests."""

import uuid

import pytest

from app import identifiers


def test_new_ids_are_version_4_uuids() -> None:
    """A new id is a random UUID, as other servers make them."""
    ids = {identifiers.new_id() for _ in range(100)}

    assert 100 == len(ids)
    assert all(str(uuid.UUID(text)) == text and uuid.UUID(text).version == 4 for text in ids)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("a", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("", False),
        ("a b", False),
        ("a\nb", False),
        ("é", False),
        (7, False),
        ("00-4bf9/2f=3+@:._", True),
    ],
)
def test_plain_ids(text: object, plain: bool) -> None:
    """A caller's id is taken if nothing in it can end a line or a header."""
    assert plain == identifiers.is_plain_id(text)
