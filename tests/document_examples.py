"""The examples of a document: its blocks of code, and what they print."""

import re
from typing import NamedTuple


class Example(NamedTuple):
    """A block of code, and what stands below it; None where it prints nothing."""

    language: str
    code: str
    shown: str | None


def examples_of(document: str) -> dict[str, list[Example]]:
    """The blocks of each section that has any."""
    found: dict[str, list[Example]] = {}
    for section in re.split(r"^## ", document, flags=re.MULTILINE)[1:]:
        name, _, text = section.partition("\n")
        for language, block in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            if language in {"sh", "python"}:
                found.setdefault(name, []).append(Example(language, block, None))
            elif language in {"json", "text"}:
                assert found[name][-1].shown is None
                found[name][-1] = found[name][-1]._replace(shown=block)
            else:
                # What goes over the wire is shown, and nobody runs it.
                assert "http" == language
    return found
