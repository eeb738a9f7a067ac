"""Content-Type and Accept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.codecs import DIALECTS, media_types, reader_of, writer_of
from app.errors import NotAcceptable, UnsupportedContentType

OFFERS = ("application/json", "text/csv", "application/x-npy")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("*", "application/json"),
        ("text/csv", "text/csv"),
        ("Text/CSV", "text/csv"),
        ("text/*", "text/csv"),
        ("text/csv;q=0.5, application/json;q=0.4", "text/csv"),
        ("text/csv;q=0.5, application/json;q=0.5", "application/json"),
        ("application/json;q=0, */*", "text/csv"),
        ("application/json;q=nonsense, text/csv", "text/csv"),
        ("text/html, */*;q=0.1", "application/json"),
        ("application/*;q=0.2, text/csv;q=0.1", "application/json"),
        ("text/html", None),
        ("*/*;q=0", None),
        (",,;;", None),
    ],
)
def test_choice(accept: str | None, chosen: str | None) -> None:
    """The offer that is liked best is chosen; the most specific range that matches it says how much it is liked."""
    assert chosen == media_types.choose(accept, OFFERS)


@pytest.mark.parametrize(
    ("content_type", "parsed"),
    [
        ("application/json", ("application/json", {})),
        ("Application/JSON; Charset=UTF-8", ("application/json", {"charset": "UTF-8"})),
        ('text/csv; header="present" ; x', ("text/csv", {"header": "present", "x": ""})),
        (
            "application/vnd.sagemaker-triton.binary+json;json-header-size=12",
            ("application/vnd.sagemaker-triton.binary+json", {"json-header-size": "12"}),
        ),
        ("", ("", {})),
        (";", ("", {})),
    ],
)
def test_content_type(content_type: str, parsed: tuple[str, dict[str, str]]) -> None:
    """A content type is its media type in lower case, and its parameters."""
    assert parsed == media_types.parse(content_type)


@given(st.text(max_size=60))
def test_any_header(text: str) -> None:
    """No header breaks the parsers."""
    media_types.parse(text)
    assert media_types.choose(text, OFFERS) in {*OFFERS, None}
    assert media_types.accepts(text, OFFERS[1]) or not media_types.accepts(text, OFFERS[1])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_row_of_the_table_leads_to_a_codec(dialect: str) -> None:
    """Each media type of the table has a file that reads it, or that writes it."""
    for media_type in DIALECTS[dialect].readers:
        assert callable(reader_of(dialect, media_type)[0].decode)
    for media_type in DIALECTS[dialect].writers:
        writer, chosen = writer_of(dialect, media_type)
        assert media_type == chosen
        assert callable(writer.encode)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_refusals_name_what_is_taken(dialect: str) -> None:
    """What no file reads or writes is refused with everything that is."""
    with pytest.raises(UnsupportedContentType) as unread:
        reader_of(dialect, "application/pdf")
    with pytest.raises(NotAcceptable) as unwritten:
        writer_of(dialect, "application/pdf")

    assert all(media_type in unread.value.detail for media_type in DIALECTS[dialect].readers)
    assert all(media_type in unwritten.value.detail for media_type in DIALECTS[dialect].writers)
