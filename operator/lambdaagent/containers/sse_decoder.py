"""Server-sent events, read as they come (WHATWG HTML, 9.2.6). One event is bounded, the stream is not.

Hazard: a line may come in very many pieces. They are looked at once each and joined when the line ends, not every time.
"""

import codecs
from collections.abc import Iterator


class SseDecoder:
    """Takes bytes in any pieces; comments and other fields than data are passed over."""

    def __init__(self, *, limit: int, charset: str = "utf-8") -> None:
        self._limit = limit
        self._decoder = codecs.getincrementaldecoder(charset)("replace")
        self._rest: list[str] = []  # of a line that has not ended
        self._held = ""  # a carriage return, after which a line feed may follow
        self._length = 0
        self._data: list[str] = []
        self._size = 0
        self._begun = False

    def feed(self, chunk: bytes, *, last: bool = False) -> Iterator[str]:
        """The data of each event that is complete now. Raises ValueError where one is longer than the limit."""
        text, self._held = self._held + self._decoder.decode(chunk, last), ""
        if not self._begun and text:
            text, self._begun = text.removeprefix("\ufeff"), True
        if text.endswith("\r") and not last:
            text, self._held = text[:-1], "\r"
        first, *lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest.append(first)
        self._length += len(first)
        if lines:
            lines.insert(0, "".join(self._rest))
            rest = lines.pop()
            self._rest, self._length = [rest], len(rest)
        for line in lines:
            if not line:
                yield from self._event()
            elif line == "data" or line.startswith("data:"):
                self._data.append(line[5:].removeprefix(" "))
                self._size += len(line)
            if self._size > self._limit:
                raise ValueError(f"an event of its stream is longer than {self._limit} characters")
        if self._length > self._limit:
            raise ValueError(f"a line of its stream is longer than {self._limit} characters")

    def end(self) -> Iterator[str]:
        """A stream cut before its last blank line still said what it said."""
        yield from self.feed(b"\n", last=True)
        yield from self._event()

    def _event(self) -> Iterator[str]:
        if self._data:
            yield "\n".join(self._data)
        self._data, self._size = [], 0
