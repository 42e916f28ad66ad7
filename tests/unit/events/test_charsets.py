"""Texts and JSON by their charset; what is unknown or wrong is an error that names it."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.parts import cloudevent_bodies

from lambdaagent.events import charsets, http
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.errors import MalformedEventError

WORD = "grüße"


@pytest.mark.parametrize(
    ("label", "body"),
    [
        ("iso-8859-1", WORD.encode("latin-1")),
        ("LATIN1", WORD.encode("latin-1")),
        ('"windows-1252"', WORD.encode("cp1252")),
        ("utf-8", WORD.encode()),
        ("utf-16", WORD.encode("utf-16")),
        ("utf-16", WORD.encode("utf-16-be")),
        ("utf-16le", WORD.encode("utf-16-le")),
        ("utf-32", WORD.encode("utf-32")),
        ("utf-32", WORD.encode("utf-32-be")),
    ],
)
def test_a_text_is_read_by_its_charset(label: str, body: bytes) -> None:
    assert charsets.text(body, f"text/plain; format=flowed; charset={label}") == WORD
    assert charsets.json(b'"' + body + b'"' if body.isascii() else body, "text/plain") is not None
    assert charsets.beginning(body, f"text/plain; charset={label}") == WORD


@given(st.text(), st.sampled_from(["utf-8", "utf-16", "utf-32", "utf-16-le", "utf-32-be", "gb18030"]))
def test_json_is_utf8_afterwards(text: str, name: str) -> None:
    encoded = text.encode("utf-8", "replace").decode()
    document = f'["{encoded}"]'
    assert charsets.json(document.encode(name), f"application/json; charset={name}") == document.encode()


@pytest.mark.parametrize(
    ("mark", "name"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
@pytest.mark.parametrize("declared", ["application/json", "application/json; charset=utf-8"])
def test_a_byte_order_mark_decides_for_json(mark: bytes, name: str, declared: str) -> None:
    assert charsets.json(mark + f'"{WORD}"'.encode(name), declared) == f'"{WORD}"'.encode()


@pytest.mark.parametrize(
    "label", ["x-none", "zlib", "rot13", "idna", "punycode", "unicode_escape", "utf-7", "undefined"]
)
def test_what_is_no_charset_of_texts_is_refused_by_name(label: str) -> None:
    for read in (charsets.text, charsets.json):
        with pytest.raises(charsets.CharsetError, match=f"'{label}' is not supported"):
            read(b"x", f"text/plain; charset={label}")


def test_a_label_that_is_none_is_not_repeated() -> None:
    with pytest.raises(charsets.CharsetError, match="that it declares"):
        charsets.declared('text/plain; charset="s3 cr3t"')


@pytest.mark.parametrize("label", ["utf-8", "us-ascii", "utf-16"])
def test_bytes_that_are_not_in_their_charset_are_an_error(label: str) -> None:
    with pytest.raises(charsets.CharsetError, match="are not"):
        charsets.text(b"\xff\xfe\xff", f"text/plain; charset={label}")


@pytest.mark.parametrize(
    ("given_", "then"),
    [
        ("text/plain", "text/plain"),
        ("text/plain; charset=UTF-8", "text/plain; charset=UTF-8"),
        ('text/plain;charset="latin1"; format=flowed', "text/plain; charset=utf-8; format=flowed"),
        ("text/plain; charset=nobody-knows", "text/plain; charset=utf-8"),
        ("multipart/mixed; boundary=charset", "multipart/mixed; boundary=charset"),
    ],
)
def test_a_text_that_became_utf8_says_so(given_: str, then: str) -> None:
    assert charsets.as_utf8(given_) == then


def test_a_structured_event_is_read_by_its_charset() -> None:
    event = Event(id="1", source="/s", type="t", data=WORD.encode(), datacontenttype="text/plain")
    (_, body) = cloudevent_bodies.structured(event)
    text = body.decode()
    for name in ("utf-16", "iso-8859-1"):
        headers = {"content-type": f"application/cloudevents+json; charset={name}"}
        assert http.read(headers, text.encode(name)) == [event]
        batch = {"content-type": f"application/cloudevents-batch+json; charset={name}"}
        assert http.read(batch, f"[{text}]".encode(name)) == [event]
    with pytest.raises(MalformedEventError, match="'none-such' is not supported"):
        http.read({"content-type": "application/cloudevents+json; charset=none-such"}, body)


@pytest.mark.parametrize("kind", ["text/plain; charset=iso-8859-1", "application/json; charset=iso-8859-1"])
def test_data_and_the_charset_that_it_declares_agree_in_every_mode(kind: str) -> None:
    # As Latin-1 these bytes are two letters, and as UTF-8 another one.
    event = Event(id="1", source="/s", type="t", data=b'"\xc3\xa9"', datacontenttype=kind)
    for write in (http.binary, cloudevent_bodies.structured):
        headers, body = write(event)
        (read,) = http.read(dict(headers), body)
        assert charsets.text(read.data, read.datacontenttype or "") == '"Ã©"'
    said = b'{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"%b","data":"\xc3\xa9"}'
    (read,) = http.read({"content-type": http.STRUCTURED}, said % kind.encode())
    assert charsets.text(read.data, read.datacontenttype or "").strip('"') == "é"
