"""Places in a page that a command writes: between two comments that name it."""

import re


def written_into(page: str, mark: str, text: str) -> str:
    """The page with a text in the place of a mark.

    :raises ValueError: where the page has no such place.
    """
    place = re.compile(rf"(<!-- begin {mark}: [^\n]*-->\n).*?(<!-- end {mark} -->)", re.DOTALL)
    found, count = place.subn(lambda match: f"{match[1]}\n{text}\n\n{match[2]}", page)
    if count != 1:
        raise ValueError(f"the page has {count} places for {mark}; it takes one: <!-- begin {mark}: … --> and <!-- end {mark} -->")
    return found
