"""Make text of a data set printable, without padding and on one line, for databases and terminals."""


def printable(text: str) -> str:
    """Replace characters that cannot be printed by spaces, and strip the text."""
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else " " for letter in text)
    return text.strip()


def person_name(name: str) -> str:
    """Return a person's name on one line: the first of its representations (PS3.5 6.2.1.1)."""
    return " ".join(printable(name.split("=")[0].replace("^", " ")).split())
