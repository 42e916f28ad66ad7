"""How many streams there are, and that a caller who gets none learns of it."""

import pytest

from lambdaagent.gateway.http.sse import Streams, TooManyStreamsError


async def test_a_stream_that_ends_makes_room() -> None:
    streams = Streams(most=1)
    for _ in range(2):
        with streams.one("a"):
            assert streams.open == 1
            with pytest.raises(TooManyStreamsError, match="1 of them by this caller"), streams.one("a"):
                pass
            with pytest.raises(TooManyStreamsError, match="0 of them by this caller"), streams.one("b"):
                pass
    assert streams.open == 0
