"""Webhooks: each sender's signature, by the senders' own examples, and what is not proven."""

import base64
import hmac
from hashlib import sha256
from typing import Any

import orjson
import pytest
from multidict import CIMultiDict

from lambdaagent.coordination.hook import BadSignatureError, Delivery, read

NOW = 1_531_420_618.0


def github(secret: str, body: bytes, **more: str) -> CIMultiDict[str]:
    signature = "sha256=" + hmac.new(secret.encode(), body, sha256).hexdigest()
    return CIMultiDict({"X-Hub-Signature-256": signature, "X-GitHub-Event": "push", "X-GitHub-Delivery": "d-1"} | more)


def slack(secret: str, body: bytes, *, at: float = NOW, **more: str) -> CIMultiDict[str]:
    signature = "v0=" + hmac.new(secret.encode(), b"v0:%d:" % at + body, sha256).hexdigest()
    return CIMultiDict({"X-Slack-Signature": signature, "X-Slack-Request-Timestamp": str(int(at))} | more)


def standard(secret: str, body: bytes, *, at: float = NOW) -> CIMultiDict[str]:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = base64.b64encode(hmac.new(key, b"msg_1.%d." % at + body, sha256).digest()).decode()
    return CIMultiDict(
        {"webhook-id": "msg_1", "webhook-timestamp": str(int(at)), "webhook-signature": f"v1,other v1,{signature}"}
    )


SECRET = "whsec_" + base64.b64encode(b"a-secret-of-24-bytes-....").decode()
SENDERS: dict[str, Any] = {"github": github, "slack": slack, "generic": standard}


def test_githubs_own_example_is_accepted() -> None:
    body = b"Hello, World!"
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    made = github("It's a Secret to Everybody", body)
    assert made["X-Hub-Signature-256"] == signature


def test_slacks_own_example_is_accepted() -> None:
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name="
        b"foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2F"
        b"hooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id="
        b"398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    headers = {
        "X-Slack-Request-Timestamp": "1531420618",
        "X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    found = read(
        "slack", "8f742231b10e8888abcd99yyyzzz85a5", CIMultiDict(headers), body.replace(b"&text=&", b"&text=&"), now=NOW
    )
    assert found.event == "/webhook-collect"


@pytest.mark.parametrize("kind", SENDERS)
def test_what_is_signed_is_read_and_nothing_else(kind: str) -> None:
    body = orjson.dumps({"type": "made", "event_id": "Ev1", "x": 1})
    headers = SENDERS[kind](SECRET, body)
    found = read(kind, SECRET, headers, body, now=NOW)
    assert found.payload == {"type": "made", "event_id": "Ev1", "x": 1}
    assert found.id in ("d-1", "Ev1", "msg_1")
    for other_body, other_secret, other_headers in (
        (body + b" ", SECRET, headers),
        (body, SECRET[:-4] + "AAAA", headers),
        (body, SECRET, CIMultiDict()),
        (body, SECRET, CIMultiDict({name: value[:-1] for name, value in headers.items()})),
        (body, SECRET, CIMultiDict(dict.fromkeys(headers, "ü"))),
    ):
        with pytest.raises(BadSignatureError):
            read(kind, other_secret, other_headers, other_body, now=NOW)


@pytest.mark.parametrize("kind", ["slack", "generic"])
@pytest.mark.parametrize("late", [301.0, -301.0])
def test_an_old_request_is_not_repeated(kind: str, late: float) -> None:
    body = b"{}"
    with pytest.raises(BadSignatureError, match="five minutes"):
        read(kind, SECRET, SENDERS[kind](SECRET, body), body, now=NOW + late)


def test_what_a_sender_asks_at_first_is_answered() -> None:
    body = b'{"type": "url_verification", "challenge": "abc"}'
    assert read("slack", SECRET, slack(SECRET, body), body, now=NOW).challenge == "abc"
    ping = read("github", SECRET, github(SECRET, b"{}", **{"X-GitHub-Event": "ping"}), b"{}", now=NOW)
    assert isinstance(ping, Delivery)
    assert ping.challenge == ""


@pytest.mark.parametrize("name", ["X-GitHub-Delivery", "X-GitHub-Event", "webhook-id"])
@pytest.mark.parametrize("value", ["\udcff", "\x7f", "ä", "m" * 256])
def test_a_header_that_no_sender_writes_is_refused(name: str, value: str) -> None:
    kind = "generic" if name == "webhook-id" else "github"
    headers = SENDERS[kind](SECRET, b"{}")
    headers[name] = value
    with pytest.raises(BadSignatureError, match=name):
        read(kind, SECRET, headers, b"{}", now=NOW)


def test_an_interaction_of_slack_is_known_by_its_trigger() -> None:
    body = b"payload=%7B%22type%22%3A%22block_actions%22%2C%22trigger_id%22%3A%22t.1%22%7D"
    headers = slack("a-secret-of-slack", body, **{"Content-Type": "application/x-www-form-urlencoded"})
    assert read("slack", "a-secret-of-slack", headers, body, now=NOW).id == "t.1"
