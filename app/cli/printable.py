"""Text of files and of their names, which a terminal would obey."""


def printable(text: str, *, keep: str = "") -> str:
    """The text with everything that is not for reading as JSON escapes it: a string of JSON stays one.

    :param keep: characters that are left as they are.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in keep else _escaped(one) for one in text)


def _escaped(one: str) -> str:
    units = one.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))
