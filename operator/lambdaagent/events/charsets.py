"""Decodes texts by the charset that their content type declares, and converts JSON to UTF-8 from any charset.

Only charsets of this list are decoded: Python's other codecs decode what is not text, or take time that grows faster
than the text. A byte order mark decides for JSON (RFC 8259 forbids writing one and allows reading it).
"""

import codecs
import re

UTF8 = "utf-8"
_PARAMETER = re.compile(r';\s*charset\s*=\s*(?:"([^"]*)"|([^;\s"]+))', re.IGNORECASE)
_LABEL = re.compile(r"[A-Za-z0-9._:-]{1,40}")
_KNOWN = frozenset(
    (
        *("utf-8", "ascii", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"),
        *(f"iso8859-{part}" for part in range(1, 17) if part != 12),
        *(f"cp125{number}" for number in range(9)),
        *("koi8-r", "koi8-u", "mac-roman", "cp437", "cp850", "cp866", "cp874", "tis-620"),
        *("shift_jis", "cp932", "euc_jp", "iso2022_jp", "gb2312", "gbk", "gb18030"),
        *("big5", "big5hkscs", "euc_kr", "cp949"),
    )
)
# The longest first: the mark of UTF-32 (LE) begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, UTF8),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_FIRST = frozenset(mark[:1] for mark, _ in _MARKS)
# Without a mark these are big-endian (RFC 2781 4.3); Python's codec would use the machine's order.
_UNMARKED = {"utf-16": "utf-16-be", "utf-32": "utf-32-be"}


class CharsetError(ValueError):
    """The charset is not supported, or the bytes are not valid in it."""


def declared(content_type: str) -> str | None:
    """Return the codec of the charset that a content type names; None if it names none. Raises CharsetError."""
    if ";" not in content_type or (found := _PARAMETER.search(content_type)) is None:
        return None
    label = found[1] if found[1] is not None else found[2]
    try:
        name = codecs.lookup(label).name if _LABEL.fullmatch(label) else ""
    except LookupError:
        name = ""
    if name not in _KNOWN:
        shown = repr(label) if _LABEL.fullmatch(label) else "that it declares"
        raise CharsetError(f"the charset {shown} is not supported; use utf-8")
    return name


def text(body: bytes, content_type: str) -> str:
    """Decode a text by the declared charset, else as UTF-8. Raises CharsetError."""
    name = declared(content_type) or UTF8
    if name in _UNMARKED and _mark(body) is None:
        name = _UNMARKED[name]
    return _decoded(body, name)


def json(body: bytes, content_type: str = "") -> bytes:
    """Return a JSON text as UTF-8 without a byte order mark. Raises CharsetError."""
    if (mark := _mark(body)) is not None:
        bom, name = mark
        body = body[len(bom) :]
    elif ";" not in content_type or (name := declared(content_type) or UTF8) in (UTF8, "ascii"):
        return body
    return body if name == UTF8 else _decoded(body, _UNMARKED.get(name, name)).encode()


def beginning(body: bytes, content_type: str) -> str:
    """Decode a part of a text for display, with replacement characters for what is invalid."""
    try:
        name = declared(content_type) or UTF8
    except CharsetError:
        name = UTF8
    return body.decode(_UNMARKED.get(name, name) if _mark(body) is None else name, "replace").removeprefix("\ufeff")


def as_utf8(content_type: str) -> str:
    """Return the content type of a text that is now UTF-8: a charset that it names is replaced."""
    if ";" not in content_type or _PARAMETER.search(content_type) is None:
        return content_type
    try:
        if declared(content_type) == UTF8:
            return content_type
    except CharsetError:
        pass  # The charset is unknown, and the text is UTF-8 all the same.
    return _PARAMETER.sub("; charset=utf-8", content_type)


def _mark(body: bytes) -> tuple[bytes, str] | None:
    if body[:1] not in _FIRST:
        return None
    return next((mark for mark in _MARKS if body.startswith(mark[0])), None)


def _decoded(body: bytes, name: str) -> str:
    try:
        return body.decode(name)
    except UnicodeDecodeError:
        raise CharsetError(f"its bytes are not {name}, the charset that it declares") from None
