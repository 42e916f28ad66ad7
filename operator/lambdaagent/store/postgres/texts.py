"""Replaces NUL, which PostgreSQL's text type cannot hold and clients may send, by its control picture U+2400."""


def text(value: object) -> object:
    return value.replace("\0", "\u2400") if isinstance(value, str) and "\0" in value else value
