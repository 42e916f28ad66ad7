"""Decodes server-sent events as they arrive (WHATWG HTML, 9.2.6). An event is limited in size, the stream is not.

Hazard: a line may arrive in very many pieces. Each piece is scanned once, and they are joined only when the line ends.
"""

import codecs
from collections.abc import Iterator


class SseDecoder:
    """Accepts bytes in pieces of any size; comments and fields other than data and id are ignored.

    `last_event_id` is that of the event that was yielded last, from which a client continues a broken stream.
    """

    def __init__(self, *, limit: int, charset: str = "utf-8") -> None:
        self._limit = limit
        self._decoder = codecs.getincrementaldecoder(charset)("replace")
        self._rest: list[str] = []  # pieces of a line that has not ended
        self._held = ""  # a carriage return, after which a line feed may follow
        self._length = 0
        self._data: list[str] = []
        self._size = 0
        self._begun = False
        self._id = ""
        self.last_event_id = ""

    def feed(self, chunk: bytes, *, last: bool = False) -> Iterator[str]:
        """Yield the data of each event that is now complete.

        Raises ValueError if an event or a line exceeds the limit.
        """
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
            elif line == "id" or (line.startswith("id:") and "\0" not in line):
                self._id = line[3:].removeprefix(" ")
            if self._size > self._limit:
                raise ValueError(f"an event of its stream is longer than {self._limit} characters")
        if self._length > self._limit:
            raise ValueError(f"a line of its stream is longer than {self._limit} characters")

    def end(self) -> Iterator[str]:
        """Yield the last event, even if the stream was cut before its final blank line."""
        yield from self.feed(b"\n", last=True)
        yield from self._event()

    def _event(self) -> Iterator[str]:
        if self._data:
            self.last_event_id = self._id
            yield "\n".join(self._data)
        self._data, self._size = [], 0
