"""Key sets as issuers publish them: which keys verify which algorithms, and which sets are none."""

import asyncio
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from tests.parts.clocks import SetClock
from tests.parts.issuer import ec_key, jwk, rsa_key
from tests.parts.tokens import KeySet, segment

from lambdaagent.identity.errors import CredentialError, IdentityUnavailableError
from lambdaagent.identity.jwks import Jwks, parse

GOOD, OTHER, RSA = ec_key(41), ec_key(42), rsa_key(41)
P521 = ec.generate_private_key(ec.SECP521R1())
K256 = ec.generate_private_key(ec.SECP256K1())
ED = ed25519.Ed25519PrivateKey.generate()


def okp(key: Any, kid: str) -> dict[str, Any]:
    return {**OKPAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid}


async def key(published: list[Any], kid: str | None, algorithm: str) -> Any:
    found = await Jwks(KeySet(published), clock=SetClock().clock, name="corp").key(kid, algorithm)
    return found.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


async def has(published: list[Any], kid: str | None, algorithm: str) -> bool:
    try:
        return bool(await key(published, kid, algorithm))
    except CredentialError as error:
        assert error.reason == "unknown-key"
        return False


def der(private: Any) -> bytes:
    found: bytes = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return found


async def test_a_key_is_found_by_its_id() -> None:
    published = [jwk(OTHER, "other"), jwk(GOOD, "good"), jwk(RSA, "rsa")]
    assert await key(published, "good", "ES256") == der(GOOD)
    assert await key(published, "rsa", "RS256") == der(RSA)
    assert await key(published, None, "PS384") == der(RSA)  # the only one that fits
    assert not await has(published, None, "ES256")  # two fit
    assert not await has(published, "Good", "ES256")


async def test_the_first_of_two_keys_with_one_id_is_the_key() -> None:
    """RFC 7517 section 4.5 forbids it but for keys of different kinds."""
    published = [jwk(RSA, "a"), jwk(GOOD, "a"), jwk(OTHER, "a")]
    assert await key(published, "a", "RS256") == der(RSA)
    assert await key(published, "a", "ES256") == der(GOOD)


ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


@pytest.mark.parametrize(
    ("published", "fitting"),
    [
        pytest.param(jwk(RSA, "a"), ALGORITHMS[:6], id="an RSA key"),
        pytest.param(jwk(GOOD, "a"), ["ES256"], id="P-256"),
        pytest.param(jwk(P521, "a"), ["ES512"], id="P-521"),
        pytest.param(okp(ED, "a"), ["EdDSA"], id="Ed25519"),
        pytest.param(jwk(RSA, "a", alg="PS256"), ["PS256"], id="an RSA key of one algorithm"),
        pytest.param(jwk(GOOD, "a", alg="ES384"), [], id="an algorithm of another curve"),
        pytest.param(jwk(GOOD, "a", alg="HS256"), [], id="an EC key for HS256"),
        pytest.param(jwk(GOOD, "a", alg="none"), [], id="an EC key for none"),
        pytest.param(jwk(RSA, "a", alg="RSA-OAEP"), [], id="an algorithm of encryption"),
        pytest.param(jwk(RSA, "a", alg=["RS256"]), [], id="a list of algorithms"),
        pytest.param(jwk(GOOD, "a", use="enc"), [], id="a key of encryption"),
        pytest.param(jwk(GOOD, "a", use=["sig"]), [], id="a list of uses"),
        pytest.param(jwk(GOOD, "a", key_ops=["verify"]), ["ES256"], id="a key that verifies"),
        pytest.param(jwk(GOOD, "a", key_ops=["sign"]), [], id="a key that only signs"),
        pytest.param(jwk(GOOD, "a", key_ops="verify"), [], id="a text of operations"),
        pytest.param(jwk(K256, "a"), [], id="the curve of coins"),
        pytest.param({"kty": "oct", "kid": "a", "k": segment(b"s" * 32), "alg": "HS256"}, [], id="a shared key"),
        pytest.param({"kty": "oct", "kid": "a", "k": segment(b"s" * 32)}, [], id="a shared key without an algorithm"),
    ],
)
async def test_a_key_verifies_the_algorithms_of_its_kind_alone(published: Any, fitting: list[str]) -> None:
    for algorithm in (*ALGORITHMS, "HS256", "none"):
        assert await has([published, jwk(OTHER, "other")], "a", algorithm) is (algorithm in fitting), algorithm


async def test_a_key_that_is_published_with_its_private_part_only_verifies() -> None:
    for made, private, algorithm in (
        (ECAlgorithm, GOOD, "ES256"),
        (RSAAlgorithm, RSA, "RS256"),
        (OKPAlgorithm, ED, "EdDSA"),
    ):
        published = {**made.to_jwk(private, as_dict=True), "kid": "a"}
        published.pop("key_ops", None)
        assert "d" in published
        found = await Jwks(KeySet([published]), clock=SetClock().clock, name="corp").key("a", algorithm)
        assert not hasattr(found, "sign") and hasattr(found, "verify")


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(None, id="null"),
        pytest.param("key", id="a text"),
        pytest.param([], id="a list"),
        pytest.param({}, id="an empty object"),
        pytest.param({"kty": "EC"}, id="no numbers"),
        pytest.param({"kty": ["EC"]}, id="a list of kinds"),
        pytest.param({"kty": "ML-DSA", "alg": "ML-DSA-44", "kid": "x"}, id="a kind of the future"),
        pytest.param({**jwk(OTHER, "x"), "x": 5}, id="a number as a number"),
        pytest.param({**jwk(OTHER, "x"), "x": "!"}, id="no base64"),
        pytest.param({**jwk(OTHER, "x"), "x": "AAAA"}, id="a short number"),
        pytest.param({**jwk(OTHER, "x"), "y": jwk(GOOD, "x")["y"]}, id="a point that is not on the curve"),
        pytest.param({**jwk(OTHER, "x"), "crv": "P-999"}, id="an unknown curve"),
        pytest.param({**jwk(OTHER, "x"), "crv": "P-521"}, id="another curve"),
        pytest.param({**jwk(RSA, "x"), "e": "AA"}, id="an exponent of 0"),
        pytest.param({**jwk(RSA, "x"), "e": "AQ"}, id="an exponent of 1"),
        pytest.param({**jwk(RSA, "x"), "n": "AA"}, id="a modulus of 0"),
        pytest.param({**jwk(RSA, "x"), "n": segment(b"\xff" * 3000)}, id="a modulus of 24,000 bits"),
        pytest.param({**jwk(RSA, "x"), "n": {"a": 1}}, id="an object as a number"),
        pytest.param({"kty": "OKP", "crv": "X25519", "x": segment(b"\1" * 32), "kid": "x"}, id="a key of exchange"),
        pytest.param({"kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "x"}, id="a short key"),
        pytest.param(jwk(rsa.generate_private_key(public_exponent=65537, key_size=1024), "x"), id="a short RSA key"),
    ],
)
async def test_a_key_that_cannot_be_used_leaves_the_others_usable(odd: Any) -> None:
    published = [odd, jwk(GOOD, "good")]
    assert await key(published, "good", "ES256") == der(GOOD)
    for algorithm in ALGORITHMS:
        assert not await has(published, "x", algorithm)


@pytest.mark.parametrize("kid", [None, 5, ["a"], {"a": "a"}])
async def test_a_key_whose_id_is_no_text_has_none(kid: Any) -> None:
    published = [{**jwk(GOOD, "a"), "kid": kid}]
    assert await has(published, None, "ES256")
    assert not await has(published, "a", "ES256")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html>", id="a page"),
        pytest.param(b"null", id="null"),
        pytest.param(orjson.dumps([jwk(GOOD, "a")]), id="a list"),
        pytest.param(orjson.dumps(jwk(GOOD, "a")), id="a key"),
        pytest.param(b'{"keys":{}}', id="an object of keys"),
        pytest.param(b'{"keys":"a"}', id="a text of keys"),
        pytest.param(b'{"keys":' + b"[" * 5000 + b"]" * 5000 + b"}", id="deep"),
        pytest.param(orjson.dumps({"keys": [jwk(GOOD, str(n)) for n in range(101)]}), id="101 keys"),
        pytest.param(b'{"keys":[' + b"0," * 600_000 + b"0]}", id="very many values"),
    ],
)
def test_a_text_that_is_no_key_set_is_an_error(text: bytes) -> None:
    with pytest.raises(ValueError):
        parse(text)


def test_a_set_of_a_hundred_keys_is_read() -> None:
    assert len(parse(orjson.dumps({"keys": [jwk(GOOD, str(n)) for n in range(100)]}))) == 100


@pytest.mark.parametrize("published", [[], [jwk(GOOD, "one", use="enc")], [{"kty": "oct", "k": "AA"}]])
async def test_an_issuer_that_takes_all_its_keys_back_is_believed(published: list[Any]) -> None:
    """Whoever lost its keys removes them first and makes new ones afterwards."""
    time, keys = SetClock(), KeySet([jwk(GOOD, "one")])
    jwks = Jwks(keys, clock=time.clock, name="corp")
    assert await jwks.key("one", "ES256")
    keys.keys = published
    time.forward(301)
    await jwks.key("one", "ES256")  # the known key, while the set is fetched again
    await _fetched(jwks)
    with pytest.raises(CredentialError, match="does not publish"):
        await jwks.key("one", "ES256")
    keys.keys = [jwk(OTHER, "two")]
    time.forward(30)
    assert await jwks.key("two", "ES256")
    assert keys.fetched == 3


async def _fetched(jwks: Jwks) -> None:
    while jwks._fetching is not None:
        await asyncio.sleep(0)


class Held(KeySet):
    """Fetches that end when the test says so."""

    def __init__(self, keys: list[dict[str, Any]]) -> None:
        super().__init__(keys)
        self.opened = asyncio.Event()

    async def __call__(self) -> bytes:
        found = await super().__call__()
        await self.opened.wait()
        return found


async def test_requests_that_come_during_the_first_fetch_wait_for_it() -> None:
    keys = Held([jwk(GOOD, "one")])
    jwks = Jwks(keys, clock=SetClock().clock, name="corp")
    requests = [asyncio.create_task(jwks.key("one", "ES256")) for _ in range(100)]
    await asyncio.sleep(0)
    late = asyncio.create_task(jwks.key("one", "ES256"))
    await asyncio.sleep(0)
    requests[0].cancel()  # a client that goes away takes no other with it
    await asyncio.sleep(0)
    assert keys.fetched == 1
    keys.opened.set()
    found = await asyncio.gather(*requests[1:], late)
    assert len(found) == 100 and keys.fetched == 1
    assert requests[0].cancelled()


async def test_requests_during_a_first_fetch_that_fails_are_told_to_come_again() -> None:
    keys = Held([])
    keys.keys = ["no key"]  # type: ignore[list-item]
    time = SetClock()
    jwks = Jwks(keys, clock=time.clock, name="corp")
    requests = [asyncio.create_task(jwks.key("one", "ES256")) for _ in range(10)]
    await asyncio.sleep(0)
    keys.error = ValueError("broken")
    keys.opened.set()
    found = await asyncio.gather(*requests, return_exceptions=True)
    assert keys.fetched == 1
    assert {type(each) for each in found} <= {IdentityUnavailableError, CredentialError}


async def test_known_keys_serve_while_a_fetch_is_slow() -> None:
    time, keys = SetClock(), Held([jwk(GOOD, "one")])
    keys.opened.set()
    jwks = Jwks(keys, clock=time.clock, name="corp")
    await jwks.key("one", "ES256")
    keys.opened.clear()
    time.forward(301)
    for _ in range(5):
        time.forward(31)
        assert await jwks.key("one", "ES256")  # does not wait
        await asyncio.sleep(0)
    assert keys.fetched == 2
    await jwks.close()


async def test_after_a_quiet_time_the_fetch_is_awaited_because_a_key_may_have_been_withdrawn() -> None:
    time, keys = SetClock(), Held([jwk(GOOD, "one")])
    keys.opened.set()
    jwks = Jwks(keys, clock=time.clock, name="corp")
    await jwks.key("one", "ES256")
    keys.opened.clear()
    time.forward(601)
    request = asyncio.create_task(jwks.key("one", "ES256"))
    await asyncio.sleep(0.01)
    assert not request.done()
    keys.opened.set()
    assert await request
    await jwks.close()


async def test_closing_ends_a_fetch() -> None:
    keys = Held([])
    jwks = Jwks(keys, clock=SetClock().clock, name="corp")
    request = asyncio.create_task(jwks.key("one", "ES256"))
    await asyncio.sleep(0)
    await jwks.close()
    with pytest.raises(asyncio.CancelledError):
        await request
    await jwks.close()


async def test_the_last_good_keys_serve_for_a_day_and_not_longer() -> None:
    time, keys = SetClock(), KeySet([jwk(GOOD, "one")])
    jwks = Jwks(keys, clock=time.clock, name="corp")
    await jwks.key("one", "ES256")
    keys.error = ValueError("broken")
    time.forward(24 * 3600 - 1)
    assert await jwks.key("one", "ES256")
    time.forward(2)
    with pytest.raises(IdentityUnavailableError):
        await jwks.key("one", "ES256")
