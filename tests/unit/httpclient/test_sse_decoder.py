"""The id of an event, by which a client continues a stream."""

from lambdaagent.httpclient.sse_decoder import SseDecoder


def test_the_id_is_that_of_the_event_that_was_yielded_last() -> None:
    decoder = SseDecoder(limit=1000)
    found = []
    for chunk in (b"data: none\n\nid: 1\nda", b"ta: a\n\nid:2\ndata: b\n\ndata: c\n\nid\ndata: d\n\nid: 3\nda"):
        found += [(data, decoder.last_event_id) for data in decoder.feed(chunk)]
    assert found == [("none", ""), ("a", "1"), ("b", "2"), ("c", "2"), ("d", "")]
