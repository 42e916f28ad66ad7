"""An issuer's discovery document names the URL of its keys, and so an address that the gateway calls."""

import orjson
import pytest

from lambdaagent.access.installation import Issuer
from lambdaagent.identity.fetching import FetchError, KeyFetcher
from lambdaagent.trust import SYSTEM

FAR, NEAR = "https://login.example.com", "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("issuer", "keys", "fetched"),
    [
        (FAR, f"{FAR}/keys", True),
        (NEAR, f"{NEAR}/keys", True),
        (FAR, f"{NEAR}/admin", False),
        (FAR, "file:///k", False),
    ],
    ids=["https", "both on loopback", "a far issuer names loopback", "a file"],
)
async def test_a_far_issuer_sends_the_gateway_nowhere_on_its_own_machine(
    monkeypatch: pytest.MonkeyPatch, issuer: str, keys: str, fetched: bool
) -> None:
    called: list[str] = []

    async def get(_: KeyFetcher, url: str) -> bytes:
        called.append(url)
        return orjson.dumps({"issuer": issuer, "jwks_uri": keys})

    monkeypatch.setattr(KeyFetcher, "_get", get)
    fetch = KeyFetcher(SYSTEM).of(Issuer(name="corp", issuer=issuer, audiences=["lambdaagent"]))
    if fetched:
        await fetch()
    else:
        with pytest.raises(FetchError, match="https"):
            await fetch()
    assert (keys in called) is fetched
