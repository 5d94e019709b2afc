"""Text of a data set as a database and a terminal take it: printable, without padding, on one line."""


def printable(text: str) -> str:
    """A text as a database and a terminal take it."""
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else " " for letter in text)
    return text.strip()


def person_name(name: str) -> str:
    """A person's name on one line, whatever its character set: only the first of its writings."""
    return " ".join(printable(name.split("=")[0].replace("^", " ")).split())
