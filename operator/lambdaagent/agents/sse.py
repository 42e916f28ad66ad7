"""Server-sent events, read as they come (WHATWG HTML, 9.2.6). One event is bounded, the stream is not."""

import codecs
from collections.abc import Iterator


class Decoder:
    """Takes bytes in any pieces; comments and other fields than data are passed over."""

    def __init__(self, *, limit: int, charset: str = "utf-8") -> None:
        self._limit = limit
        self._decoder = codecs.getincrementaldecoder(charset)("replace")
        self._rest = ""
        self._data: list[str] = []
        self._size = 0
        self._begun = False

    def feed(self, chunk: bytes, *, last: bool = False) -> Iterator[str]:
        """The data of each event that is complete now. Raises ValueError where one is longer than the limit."""
        text = self._rest + self._decoder.decode(chunk, last)
        if not self._begun and text:
            text, self._begun = text.removeprefix("\ufeff"), True
        if text.endswith("\r") and not last:
            text, held = text[:-1], "\r"  # a line feed may follow
        else:
            held = ""
        *lines, rest = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = rest + held
        for line in lines:
            if not line:
                yield from self._event()
            elif line == "data" or line.startswith("data:"):
                self._data.append(line[5:].removeprefix(" "))
                self._size += len(line)
            if self._size > self._limit:
                raise ValueError(f"an event of its stream is longer than {self._limit} characters")
        if len(self._rest) > self._limit:
            raise ValueError(f"a line of its stream is longer than {self._limit} characters")

    def end(self) -> Iterator[str]:
        """A stream cut before its last blank line still said what it said."""
        yield from self.feed(b"\n", last=True)
        yield from self._event()

    def _event(self) -> Iterator[str]:
        if self._data:
            yield "\n".join(self._data)
        self._data, self._size = [], 0
