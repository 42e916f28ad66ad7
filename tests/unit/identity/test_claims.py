"""Tokens of issuers that an attacker would try, and those that must pass.

Each is built as the token that passes is built and differs from it in one thing, so that it fails by this thing alone.
Most are signed with the issuer's own key: the library accepts their signature.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt.algorithms import OKPAlgorithm
from tests.parts.clocks import SetClock
from tests.parts.issuer import AUDIENCE, ec_key, jwk, rsa_key
from tests.parts.tokens import KeySet, compact, issuer, segment, signature, verifier

from lambdaagent.access.principal import Principal
from lambdaagent.identity import claims as checked
from lambdaagent.identity import jwts
from lambdaagent.identity.errors import CredentialError
from lambdaagent.identity.verifier import Verifier

NOW = 1_790_000_000
DAY = 24 * 3600
URL, OTHER_URL = "https://id.example.com", "https://id.example.org"
KEY, OTHER, STRANGE, ENCRYPTING, BOUND = (ec_key(number) for number in range(1, 6))
RSA, RSA_PS, RSA_ENC = (rsa_key(number) for number in range(1, 4))
P384 = ec.generate_private_key(ec.SECP384R1())
ED = ed25519.Ed25519PrivateKey.generate()
WEAK = rsa.generate_private_key(public_exponent=65537, key_size=1024)
HEADER = {"alg": "ES256", "kid": "one"}
PUBLISHED = [
    jwk(KEY, "one"),
    jwk(RSA, "rsa"),
    jwk(RSA_PS, "ps", alg="PS256"),
    jwk(ENCRYPTING, "enc", use="enc"),
    jwk(RSA_ENC, "ops", key_ops=["encrypt"]),
    jwk(P384, "p384"),
    jwk(WEAK, "weak"),
    {**OKPAlgorithm.to_jwk(ED.public_key(), as_dict=True), "kid": "ed"},
    {"kty": "oct", "kid": "shared", "k": segment(b"s" * 32), "alg": "HS256"},
]
ALL = ["RS256", "PS256", "ES256", "ES384", "EdDSA"]


def claims(**changes: Any) -> dict[str, Any]:
    """Returns the claims of alice; one that is changed to None is left out."""
    found = {"iss": URL, "sub": "alice", "aud": AUDIENCE, "iat": NOW, "exp": NOW + 300, **changes}
    return {name: value for name, value in found.items() if value is not None}


def raw(changed: str, **changes: Any) -> bytes:
    """Returns the claims of alice, with `changed` after them as it is."""
    return orjson.dumps(claims(**changes))[:-1] + b"," + changed.encode("utf-8", "surrogatepass") + b"}"


def token(payload: bytes | dict[str, Any], header: dict[str, Any] | None = None, key: Any = KEY) -> str:
    return compact({**HEADER, **(header or {})}, payload, key)


def made(**fields: Any) -> Verifier:
    """Returns a verifier that knows two issuers; both call one of their keys `one`."""
    return verifier(
        SetClock(NOW).clock,
        (issuer("corp", URL, **{"algorithms": ALL, **fields}), KeySet(PUBLISHED)),
        (issuer("other", OTHER_URL), KeySet([jwk(OTHER, "one"), jwk(STRANGE, "strange")])),
        hmac_keys={"batch": b"h" * 32},
    )


async def refused(credential: str, *, by: Verifier | None = None) -> str:
    """Returns the reason. The message for the caller has no part of the credential."""
    with pytest.raises(CredentialError) as caught:
        await (by or made()).principal(credential)
    parts = [part for part in credential.split(".") if len(part) > 7]
    assert not any(part in str(caught.value) for part in parts)
    return caught.value.reason


async def test_the_token_that_all_others_are_made_from_passes() -> None:
    found = await made().principal(token(claims(groups=["staff"], team="search", mfa=True, level=3)))
    assert (found.name, found.source, found.groups) == ("corp:alice", "corp", {"corp:staff"})
    assert found.expires == NOW + 300
    assert {name: found.claims[name] for name in ("team", "mfa", "level", "aud")} == {
        "team": {"search"},
        "mfa": {"true"},
        "level": {"3"},
        "aud": {AUDIENCE},
    }


@pytest.mark.parametrize(
    ("payload", "header"),
    [
        pytest.param(claims(aud=["x", AUDIENCE]), {}, id="a list of audiences"),
        pytest.param(claims(iat=None), {}, id="no time of issue"),
        pytest.param(claims(exp=NOW - 29, iat=NOW - 100), {}, id="expired within the difference of clocks"),
        pytest.param(claims(iat=NOW + 30, nbf=NOW + 30), {}, id="issued within the difference of clocks"),
        pytest.param(claims(exp=NOW + 300.5), {}, id="a fraction of a second"),
        pytest.param(claims(iat=NOW - 100, exp=NOW - 100 + DAY), {}, id="valid for a day"),
        pytest.param(claims(nonce="[[[" * 3), {}, id="some brackets in a text"),
        pytest.param(claims(sub="ÄÖ 日本"), {}, id="letters of the world"),
        pytest.param(claims(sub="s" * 256), {}, id="a subject of 256 characters"),
        *(
            pytest.param(claims(), {"typ": typ}, id=typ)
            for typ in ("JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt")
        ),
    ],
)
async def test_a_token_of_a_careful_issuer_passes(payload: dict[str, Any], header: dict[str, Any]) -> None:
    assert (await made().principal(token(payload, header))).name == f"corp:{payload['sub']}"


@pytest.mark.parametrize(
    ("kid", "algorithm", "key"),
    [
        ("rsa", "RS256", RSA),
        ("rsa", "PS256", RSA),
        ("ps", "PS256", RSA_PS),
        ("p384", "ES384", P384),
        ("ed", "EdDSA", ED),
    ],
)
async def test_a_token_of_each_algorithm_passes(kid: str, algorithm: str, key: Any) -> None:
    given_ = compact({"alg": algorithm, "kid": kid}, claims(), key, algorithm)
    assert (await made().principal(given_)).name == "corp:alice"
    # The issuer's list of algorithms decides, not that of its keys.
    assert await refused(given_, by=made(algorithms=["ES512"])) == "wrong-algorithm"


TIMES = [
    pytest.param(claims(exp=NOW - 30), "expired", id="expired"),
    pytest.param(claims(exp=0), "expired", id="expired in 1970"),
    pytest.param(claims(exp=-1), "expired", id="expired before"),
    pytest.param(claims(exp=None), "no-expiry", id="no expiry"),
    pytest.param(raw('"exp":null', exp=None), "no-expiry", id="an expiry of null"),
    pytest.param(claims(exp=str(NOW + 300)), "malformed", id="an expiry as a text"),
    pytest.param(claims(exp=True), "malformed", id="an expiry of true"),
    pytest.param(claims(exp=[NOW + 300]), "malformed", id="an expiry in a list"),
    pytest.param(claims(exp={"at": NOW + 300}), "malformed", id="an expiry in an object"),
    pytest.param(raw('"exp":NaN', exp=None), "malformed", id="NaN"),
    pytest.param(raw('"exp":Infinity', exp=None), "malformed", id="infinity"),
    pytest.param(raw('"exp":1e400', exp=None), "malformed", id="1e400"),
    pytest.param(raw(f'"exp":1{"0" * 400}', exp=None), "malformed", id="10^400"),
    pytest.param(raw(f'"exp":1{"0" * 5000}', exp=None), "malformed", id="10^5000"),
    pytest.param(claims(exp=2**53), "malformed", id="2^53"),
    pytest.param(claims(exp=(NOW + 300) * 1000), "too-long", id="milliseconds"),
    pytest.param(claims(iat=NOW + 31), "not-yet-valid", id="issued in the future"),
    pytest.param(claims(nbf=NOW + 31), "not-yet-valid", id="valid in the future"),
    pytest.param(claims(iat=str(NOW)), "malformed", id="a time of issue as a text"),
    pytest.param(claims(iat=False), "malformed", id="a time of issue of false"),
    pytest.param(claims(nbf=str(NOW)), "malformed", id="a beginning as a text"),
    pytest.param(raw('"nbf":NaN'), "malformed", id="a beginning of NaN"),
    pytest.param(claims(exp=NOW + DAY + 31), "too-long", id="valid for more than a day"),
    pytest.param(claims(iat=None, exp=NOW + DAY + 31), "too-long", id="valid for more than a day from now"),
    pytest.param(claims(iat=NOW - 10 * DAY), "too-long", id="issued long ago"),
    pytest.param(claims(iat=-1e15), "too-long", id="issued before the stars"),
]
WHOM = [
    pytest.param(claims(aud="other"), "wrong-audience", id="another audience"),
    pytest.param(claims(aud=None), "wrong-audience", id="no audience"),
    pytest.param(claims(aud=[]), "wrong-audience", id="no audience in a list"),
    pytest.param(claims(aud=["other", "lambda"]), "wrong-audience", id="other audiences"),
    pytest.param(claims(aud=[[AUDIENCE]]), "wrong-audience", id="a list in a list"),
    pytest.param(claims(aud={AUDIENCE: 1}), "wrong-audience", id="an object with the audience"),
    pytest.param(claims(aud=[{"a": AUDIENCE}]), "wrong-audience", id="a list of objects"),
    pytest.param(claims(aud=5), "wrong-audience", id="a number as audience"),
    pytest.param(claims(aud=AUDIENCE.upper()), "wrong-audience", id="the audience in capitals"),
    pytest.param(claims(aud=f"{AUDIENCE} "), "wrong-audience", id="the audience and a space"),
    pytest.param(claims(aud=f"{AUDIENCE},other"), "wrong-audience", id="audiences as a text"),
    pytest.param(claims(iss=None), "wrong-issuer", id="no issuer"),
    pytest.param(claims(iss="https://evil.example"), "wrong-issuer", id="another issuer"),
    pytest.param(claims(iss=f"{URL}/"), "wrong-issuer", id="the issuer and a slash"),
    pytest.param(claims(iss=URL.upper()), "wrong-issuer", id="the issuer in capitals"),
    pytest.param(claims(iss="corp"), "wrong-issuer", id="the issuer's name in the file"),
    pytest.param(claims(iss=[URL]), "wrong-issuer", id="the issuer in a list"),
    pytest.param(claims(iss={URL: URL}), "wrong-issuer", id="the issuer in an object"),
    pytest.param(claims(iss=0), "wrong-issuer", id="a number as issuer"),
    pytest.param(claims(sub=None), "malformed", id="no subject"),
    pytest.param(claims(sub=""), "malformed", id="an empty subject"),
    pytest.param(claims(sub="   "), "malformed", id="spaces as subject"),
    pytest.param(claims(sub=7), "malformed", id="a number as subject"),
    pytest.param(claims(sub=True), "malformed", id="true as subject"),
    pytest.param(claims(sub=["alice"]), "malformed", id="a list of subjects"),
    pytest.param(claims(sub={"name": "alice"}), "malformed", id="an object as subject"),
    pytest.param(claims(sub="s" * 257), "malformed", id="a long subject"),
    pytest.param(claims(sub="alice\n"), "malformed", id="a line break in the subject"),
    pytest.param(claims(sub="alice\0"), "malformed", id="a zero byte in the subject"),
    pytest.param(claims(sub="alice\x1b[2J"), "malformed", id="an escape sequence in the subject"),
    pytest.param(claims(sub="alice\u202e"), "malformed", id="a subject that is shown backwards"),
    pytest.param(claims(sub="ali\u200bce"), "malformed", id="a space without width in the subject"),
    pytest.param(claims(sub="\ufeffalice"), "malformed", id="a byte order mark in the subject"),
    pytest.param(raw('"sub":"\\ud800"', sub=None), "malformed", id="half a character as subject"),
]
TWICE = [
    pytest.param(raw('"sub":"root"'), id="the subject"),
    pytest.param(raw('"s\\u0075b":"root"'), id="the subject, once escaped"),
    pytest.param(raw('"sub":"alice"'), id="the subject with the same value"),
    pytest.param(raw(f'"iss":"{URL}"', iss="https://evil.example"), id="the issuer"),
    pytest.param(raw(f'"aud":"{AUDIENCE}"', aud="other"), id="the audience"),
    pytest.param(raw(f'"exp":{NOW + 300}', exp=NOW - 300), id="the expiry"),
    pytest.param(raw('"groups":["admins"]', groups=["staff"]), id="the groups"),
    pytest.param(raw('"realm":{"roles":["a"],"roles":["b"]}'), id="a claim within another"),
]
NO_OBJECT = [
    pytest.param(b"", id="nothing"),
    pytest.param(b"null", id="null"),
    pytest.param(b'"alice"', id="a text"),
    pytest.param(b"[" + orjson.dumps(claims()) + b"]", id="a list"),
    pytest.param(orjson.dumps(claims()) + b"{}", id="two objects"),
    pytest.param(orjson.dumps(claims()) + b"\0", id="a zero byte at the end"),
    pytest.param(orjson.dumps(claims())[:-1], id="half an object"),
    pytest.param(orjson.dumps(claims())[:-1] + b",}", id="a comma too many"),
    pytest.param(b"/**/" + orjson.dumps(claims()), id="a comment"),
    pytest.param(json.dumps(claims()).encode("utf-16"), id="UTF-16"),
    pytest.param(json.dumps(claims()).encode("utf-16-le"), id="UTF-16 without a mark"),
    pytest.param(json.dumps(claims()).encode("utf-32"), id="UTF-32"),
    pytest.param(b"\xef\xbb\xbf" + orjson.dumps(claims()), id="a byte order mark"),
    pytest.param(raw('"name":"x"').replace(b'"x"', b'"\xff"'), id="no UTF-8"),
    pytest.param(raw('"name":"\ud800"'), id="half a character as bytes"),
    pytest.param(raw(f'"a":{"[" * 16}{"]" * 16}'), id="17 levels"),
    pytest.param(raw(f'"a":{"[" * 5000}{"]" * 5000}'), id="5000 levels"),
    pytest.param(raw('"a":' + '{"a":' * 1000 + "1" + "}" * 1000), id="1000 objects in each other"),
    pytest.param(raw(f'"a":[{"0," * 5000}0]'), id="5000 values"),
    pytest.param(segment(claims()).encode(), id="base64 twice"),
    pytest.param(token(claims()).encode(), id="a token in the token"),
]


@pytest.mark.parametrize(("payload", "reason"), [*TIMES, *WHOM])
async def test_a_claim_that_is_not_as_it_must_be_is_refused(payload: bytes | dict[str, Any], reason: str) -> None:
    assert await refused(token(payload)) == reason


@pytest.mark.parametrize("payload", TWICE)
async def test_a_claim_that_occurs_twice_is_refused(payload: bytes) -> None:
    assert await refused(token(payload)) == "malformed"


@pytest.mark.parametrize("payload", NO_OBJECT)
async def test_a_payload_that_is_not_one_small_object_is_refused(payload: bytes) -> None:
    assert await refused(token(payload)) == "malformed"


PUBLIC = KEY.public_key()
PEM = PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
DER = PUBLIC.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
POINT = PUBLIC.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
RSA_PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("algorithm", "signed_with"),
    [
        *((alg, ("none", None)) for alg in ("none", "None", "NONE", "nOnE", "none ", "")),
        *((alg, ("ES256", KEY)) for alg in ("none", "es256", "ES256 ", "ES256K", "ES521", "ES256\0", "RS1", "dir")),
        *((alg, ("ES256", KEY)) for alg in (None, True, 256, ["ES256"], {"name": "ES256"})),
        *(("HS256", ("HS256", each)) for each in (PEM, PEM.strip(), DER, POINT, RSA_PEM, b"", b"s" * 32, b"h" * 32)),
        *(("HS256", ("HS256", orjson.dumps(each))) for each in (PUBLISHED[0], {"keys": PUBLISHED})),
        ("HS384", ("HS256", PEM)),
        ("HS512", ("HS256", PEM)),
        ("RS384", ("RS384", RSA)),
        ("PS512", ("PS512", RSA)),
        ("ES512", ("ES256", KEY)),
    ],
)
@pytest.mark.parametrize("kid", ["one", "rsa", "shared", "batch"])
async def test_an_algorithm_that_the_issuer_has_not_is_refused(algorithm: Any, signed_with: Any, kid: str) -> None:
    by, key = signed_with
    assert await refused(compact({"alg": algorithm, "kid": kid}, claims(), key, by)) == "wrong-algorithm"


async def test_a_header_without_an_algorithm_is_refused() -> None:
    assert await refused(compact({"kid": "one"}, claims(), KEY)) == "wrong-algorithm"


@pytest.mark.parametrize(
    ("header", "key", "signed_with", "reason"),
    [
        pytest.param({"alg": "RS256", "kid": "one"}, RSA, "RS256", "unknown-key", id="RS256 with the id of an EC key"),
        pytest.param({"alg": "ES256", "kid": "rsa"}, KEY, "ES256", "unknown-key", id="ES256 with the id of an RSA key"),
        pytest.param({"alg": "ES384", "kid": "one"}, KEY, "ES256", "unknown-key", id="another curve"),
        pytest.param({"alg": "ES256", "kid": "p384"}, KEY, "ES256", "unknown-key", id="a key of another curve"),
        pytest.param({"alg": "EdDSA", "kid": "one"}, ED, "EdDSA", "unknown-key", id="EdDSA with the id of an EC key"),
        pytest.param({"alg": "RS256", "kid": "ps"}, RSA_PS, "RS256", "unknown-key", id="an algorithm not of the key"),
        pytest.param({"kid": "enc"}, ENCRYPTING, "ES256", "unknown-key", id="a key for encryption"),
        pytest.param({"alg": "RS256", "kid": "ops"}, RSA_ENC, "RS256", "unknown-key", id="a key that only encrypts"),
        pytest.param({"alg": "RS256", "kid": "weak"}, WEAK, "RS256", "unknown-key", id="a short key"),
        pytest.param({"kid": "strange"}, STRANGE, "ES256", "unknown-key", id="a key of another issuer"),
        pytest.param({}, OTHER, "ES256", "bad-signature", id="a key of another issuer with the same id"),
        pytest.param({"kid": "two"}, KEY, "ES256", "unknown-key", id="an unknown id"),
        pytest.param({"kid": ""}, KEY, "ES256", "unknown-key", id="an empty id"),
        pytest.param({"kid": "ONE"}, KEY, "ES256", "unknown-key", id="an id in capitals"),
        pytest.param({"alg": "RS256", "kid": "rsa"}, RSA, "PS256", "bad-signature", id="PS256 named RS256"),
    ],
)
async def test_a_key_is_that_of_the_issuer_the_algorithm_and_the_id(
    header: dict[str, Any], key: Any, signed_with: str, reason: str
) -> None:
    assert await refused(compact({**HEADER, **header}, claims(), key, signed_with)) == reason


async def test_a_token_without_a_key_id_passes_if_one_key_fits() -> None:
    assert (await made().principal(compact({"alg": "EdDSA"}, claims(), ED, "EdDSA"))).name == "corp:alice"
    assert await refused(compact({"alg": "RS256"}, claims(), RSA, "RS256"), by=_two_keys()) == "unknown-key"


def _two_keys() -> Verifier:
    found = KeySet([jwk(RSA, "rsa"), jwk(RSA_PS, "another")])
    return verifier(SetClock(NOW).clock, (issuer("corp", URL), found))


@pytest.mark.parametrize(
    "kid",
    [
        pytest.param({"one": "one"}, id="an object"),
        pytest.param(["one"], id="a list"),
        pytest.param(1, id="a number"),
        pytest.param(True, id="true"),
        pytest.param(None, id="null"),
    ],
)
async def test_a_key_id_is_a_text(kid: Any) -> None:
    assert await refused(token(claims(), {"kid": kid})) == "malformed"


@pytest.mark.parametrize(
    "kid",
    [
        "/dev/null", "../../../../etc/passwd", "file:///dev/null", "one\0", "one' OR '1'='1", "' UNION SELECT 'x",
        "one ", "$(id)", "|id", "{{7*7}}", "*", "k" * 9_000, "\N{FULLWIDTH LATIN SMALL LETTER O}ne", "one\r\nX-Evil: 1",
    ],
)  # fmt: skip
@pytest.mark.parametrize("key", [b"", b"\0"])
async def test_a_key_id_leads_to_no_file_and_no_query(kid: str, key: bytes) -> None:
    assert await refused(token(claims(), {"kid": kid})) == "unknown-key"
    # A verifier that took an empty file for the key would accept this.
    assert await refused(compact({"alg": "HS256", "kid": kid}, claims(), key, "HS256")) == "wrong-algorithm"
    own = compact({"alg": "HS256", "kid": kid}, claims(iss="lambdaagent"), key, "HS256")
    assert await refused(own) == "unknown-key"


@asynccontextmanager
async def canary() -> AsyncIterator[str]:
    """Yields a URL; at the end asserts that nobody connected to it, and that a connection would have been seen."""
    seen: list[str] = []

    async def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(str(writer.get_extra_info("peername")))
        writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/keys"
        await asyncio.sleep(0)
        before = list(seen)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()
    assert (before, len(seen)) == ([], 1)


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c", "x5t"])
async def test_a_key_that_the_token_holds_or_names_is_neither_used_nor_fetched(name: str) -> None:
    async with canary() as url:
        value: Any = {"jwk": jwk(STRANGE, "mine"), "x5c": [segment(DER)], "x5t": "abc"}.get(name, url)
        assert await refused(token(claims(), {name: value}, STRANGE)) == "bad-signature"
        assert await refused(token(claims(), {name: value, "kid": "mine"}, STRANGE)) == "unknown-key"
        assert await refused(compact({"alg": "ES256", name: value}, claims(), STRANGE)) == "bad-signature"
        assert (await made().principal(token(claims(), {name: value}))).name == "corp:alice"


async def test_nothing_is_fetched_from_where_a_token_says() -> None:
    async with canary() as url:
        assert await refused(token(claims(), {"kid": url}, STRANGE)) == "unknown-key"
        issuing = url.removesuffix("/keys")
        assert await refused(token(claims(iss=issuing), {"jku": url}, STRANGE)) == "wrong-issuer"
        assert await refused(token(claims(jwks_uri=url, jku=url), {}, STRANGE)) == "bad-signature"


@pytest.mark.parametrize(
    "typ",
    [
        "logout+jwt", "dpop+jwt", "secevent+jwt", "JOSE", "JOSE+JSON", "lambdaagent-identity+jwt",
        "oauth-authz-req+jwt", "token-introspection+jwt", "", "JWT ", "at+jwt;x=1", "jwt,at+jwt", 1, True, None,
        ["JWT"], {"JWT": 1},
    ],
)  # fmt: skip
async def test_a_token_of_another_type_is_refused(typ: Any) -> None:
    assert await refused(token(claims(), {"typ": typ})) == "wrong-type"


@pytest.mark.parametrize(
    "header",
    [
        pytest.param({"crit": ["exp"], "exp": 1}, id="an unknown extension"),
        pytest.param({"crit": ["http://example.com/x"], "http://example.com/x": True}, id="a private extension"),
        pytest.param({"crit": []}, id="no extension"),
        pytest.param({"crit": "exp"}, id="a text"),
        pytest.param({"crit": [1]}, id="a number"),
        pytest.param({"crit": None}, id="null"),
        pytest.param({"crit": ["b64"]}, id="an extension that is not there"),
        pytest.param({"b64": False}, id="an extension that is not critical"),
        pytest.param({"crit": ["b64"], "b64": False}, id="a payload that is not encoded"),
    ],
)
async def test_a_critical_extension_is_refused(header: dict[str, Any]) -> None:
    assert await refused(token(claims(), header)) == "malformed"
    head, _, end = token(claims(), header).split(".")
    assert await refused(f"{head}..{end}") == "malformed"


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(b'{"alg":"none","kid":"one","alg":"ES256"}', id="the algorithm"),
        pytest.param(b'{"alg":"ES256","kid":"two","kid":"one"}', id="the key's id"),
        pytest.param(b'{"alg":"ES256","kid":"one","typ":"dpop+jwt","typ":"JWT"}', id="the type"),
        pytest.param(b'{"alg":"ES256","kid":"one","crit":["x"],"cr\\u0069t":["b64"],"b64":true}', id="extensions"),
    ],
)
async def test_a_header_that_occurs_twice_is_refused(header: bytes) -> None:
    assert await refused(compact(header, claims(), KEY)) == "malformed"


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"null", id="null"),
        pytest.param(b'["ES256"]', id="a list"),
        pytest.param(orjson.dumps(HEADER) + b"x", id="more than an object"),
        pytest.param(orjson.dumps(HEADER).decode().encode("utf-16"), id="UTF-16"),
        pytest.param(b"\xff" + orjson.dumps(HEADER), id="no UTF-8"),
        pytest.param(orjson.dumps(HEADER)[:-1] + b',"a":' + b"[" * 3000 + b"]" * 3000 + b"}", id="deep"),
        pytest.param(orjson.dumps(HEADER)[:-1] + b',"a":' + b"[" * 17 + b"]" * 17 + b"}", id="rather deep"),
        pytest.param(orjson.dumps(HEADER)[:-1] + b',"a":' + b"9" * 5000 + b"}", id="a number of 5000 digits"),
        pytest.param(orjson.dumps(HEADER)[:-1] + b',"a":NaN}', id="NaN"),
    ],
)
async def test_a_header_that_is_not_one_small_object_is_refused(header: bytes) -> None:
    assert await refused(compact(header, claims(), KEY)) == "malformed"


GOOD = token(claims())
HEAD, BODY, SIGNED = GOOD.split(".")


def _padded(text: str) -> str:
    found = text + "=" * (-len(text) % 4)
    assert found != text
    return found


def _signed_with_padding() -> str:
    """Returns a token of an issuer that pads: its signature is over the padded parts."""
    signed = f"{_padded(segment({**HEADER, 'a': 12}))}.{_padded(segment(claims(jti='abc')))}"
    return f"{signed}.{segment(signature('ES256', KEY, signed.encode()))}"


@pytest.mark.parametrize(
    "credential",
    [
        pytest.param("", id="nothing"),
        pytest.param("token", id="a word"),
        pytest.param(".", id="a dot"),
        pytest.param("..", id="two dots"),
        pytest.param("...", id="three dots"),
        pytest.param(f"{HEAD}.{BODY}", id="two parts"),
        pytest.param(f"{GOOD}.", id="a dot at the end"),
        pytest.param(f".{GOOD}", id="a dot at the beginning"),
        pytest.param(f"{HEAD}..{SIGNED}", id="a detached payload"),
        pytest.param(f"{GOOD}.{SIGNED}", id="four parts"),
        pytest.param(".".join([segment({"alg": "dir", "enc": "A256GCM"}), "", segment(b"iv"), BODY, SIGNED]), id="JWE"),
        pytest.param(f"{HEAD}.{BODY}.{SIGNED}.{BODY}.{SIGNED}", id="five parts"),
        pytest.param(json.dumps({"protected": HEAD, "payload": BODY, "signature": SIGNED}), id="flattened JSON"),
        pytest.param(
            json.dumps({"payload": BODY, "signatures": [{"protected": HEAD, "signature": SIGNED}]}), id="JSON"
        ),
        pytest.param(_signed_with_padding(), id="padding of header and payload"),
        pytest.param(f"{HEAD}.{BODY}.{_padded(SIGNED)}", id="padding of the signature"),
        pytest.param(f"{HEAD}=.{BODY}=.{SIGNED}=", id="padding anywhere"),
        pytest.param(f" {GOOD}", id="a space before"),
        pytest.param(f"{GOOD} ", id="a space after"),
        pytest.param(f"{GOOD}\n", id="a line break after"),
        pytest.param(f"{GOOD}\0", id="a zero byte after"),
        pytest.param(f"{HEAD}\n.{BODY}.{SIGNED}", id="a line break within"),
        pytest.param(f"{HEAD}.{BODY[:9]} {BODY[9:]}.{SIGNED}", id="a space within"),
        pytest.param(f"Bearer {GOOD}", id="the scheme"),
        pytest.param(f"{GOOD},{GOOD}", id="two tokens"),
        pytest.param(f"{GOOD} {GOOD}", id="two tokens with a space"),
        pytest.param(f"{HEAD}.{BODY}.{SIGNED[:-1]}\N{LATIN SMALL LETTER E WITH ACUTE}", id="a letter not of ASCII"),
        pytest.param(f"{HEAD}.{BODY}.\N{FULLWIDTH LATIN CAPITAL LETTER A}{SIGNED[1:]}", id="a wide letter"),
        pytest.param(f"{GOOD}\udcff", id="a byte that is no text"),
        pytest.param("\N{ROMAN NUMERAL ONE}" * 4000, id="many bytes in few characters"),
        pytest.param("a" * 1_000_000, id="1 MB"),
        pytest.param("a." * 500_000, id="1 MB of dots"),
        pytest.param(f"{HEAD}.{'A' * 1_000_000}.{SIGNED}", id="1 MB of payload"),
        pytest.param(token(claims(name="n" * 16_000)), id="over 16 KiB"),
    ],
)
async def test_what_is_not_one_compact_token_is_refused(credential: str) -> None:
    assert await refused(credential) == "malformed"


@pytest.mark.parametrize(
    "signed",
    [
        pytest.param(b"", id="none"),
        pytest.param(b"\0" * 64, id="zeros"),
        pytest.param(b"\xff" * 64, id="ones"),
        pytest.param(b"\0" * 63 + b"\1", id="small numbers"),
        pytest.param(encode_dss_signature(1, 1), id="another form"),
        pytest.param(b"\0" * 65, id="too long"),
        pytest.param(b"\0" * 6_000, id="far too long"),
    ],
)
async def test_a_signature_that_is_none_is_refused(signed: bytes) -> None:
    assert await refused(f"{HEAD}.{BODY}.{segment(signed)}") == "bad-signature"


async def test_no_other_claims_pass_with_the_signature_of_a_good_token() -> None:
    assert (await made().principal(GOOD)).name == "corp:alice"
    assert await refused(f"{HEAD}.{segment(claims(sub='root'))}.{SIGNED}") == "bad-signature"
    assert await refused(f"{segment({**HEADER, 'typ': 'JWT'})}.{BODY}.{SIGNED}") == "bad-signature"


async def test_a_long_token_is_read_up_to_the_limit() -> None:
    """16 KiB, of which base64 takes a quarter."""
    long = token(claims(name="n" * 11_900))
    assert 15 * 1024 < len(long) <= 16 * 1024
    assert (await made().principal(long)).name == "corp:alice"


_READER = made()


@settings(deadline=None)
@given(st.data())
async def test_no_token_passes_that_differs_by_a_character(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(GOOD) - 1))
    alphabet = st.sampled_from("ABCabcxyz019-_=.+/ \n\0é")
    what = data.draw(st.sampled_from(("replace", "insert", "delete", "swap")))
    match what:
        case "replace":
            changed = GOOD[:at] + data.draw(alphabet) + GOOD[at + 1 :]
        case "insert":
            changed = GOOD[:at] + data.draw(alphabet) + GOOD[at:]
        case "delete":
            changed = GOOD[:at] + GOOD[at + 1 :]
        case _:
            changed = GOOD[:at] + GOOD[at + 1 : at + 2] + GOOD[at] + GOOD[at + 2 :]
    if changed == GOOD:
        return
    with pytest.raises(CredentialError):
        await _READER.principal(changed)


@settings(deadline=None)
@given(st.text() | st.from_regex(r"\A[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\Z"))
async def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(CredentialError):
        await _READER.principal(text)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["iss", "sub", "aud", "exp", "iat", "nbf", "groups", "act", "x"]), _JSON))
async def test_whatever_an_issuer_signs_is_a_principal_of_its_own_or_refused(changes: dict[str, Any]) -> None:
    payload = json.dumps({**claims(), **changes}).encode()
    try:
        found = await _READER.principal(compact(HEADER, payload, KEY))
    except CredentialError:
        return
    assert found.name.startswith("corp:") and found.name.isprintable() and found.source == "corp"
    assert all(group.startswith("corp:") and group.isprintable() for group in found.groups)


@pytest.mark.parametrize("subject", ["system:masters", "serviceaccount:shop:a", "system:serviceaccount:shop:checkout"])
async def test_no_issuer_gives_a_name_of_the_cluster(subject: str) -> None:
    found = await made().principal(token(claims(sub=subject, groups=["system:masters"])))
    assert found.name == f"corp:{subject}"
    assert found.groups == {"corp:system:masters"}
    assert not any(name.startswith("system:") for name in (found.name, *found.groups))


GROUPS = [
    pytest.param("groups", {"groups": ["a", "b"]}, {"a", "b"}, id="a list"),
    pytest.param("groups", {"groups": "a"}, {"a"}, id="a text"),
    pytest.param("groups", {"groups": "a b,c"}, {"a b,c"}, id="a text is one group"),
    pytest.param("groups", {"groups": ["a", 1, None, {}, ["b"], True]}, {"a"}, id="what is no text is left out"),
    pytest.param("groups", {"groups": ["", "x" * 257, "a\n", "a\u202e"]}, set(), id="what cannot be shown is left out"),
    pytest.param("groups", {"groups": {"a": True}}, set(), id="an object"),
    pytest.param("groups", {}, set(), id="none"),
    pytest.param("realm_access.roles", {"realm_access": {"roles": ["a"]}}, {"a"}, id="within another claim"),
    pytest.param("realm_access.roles", {"realm_access": ["roles"]}, set(), id="within a list"),
    pytest.param("realm_access.roles", {"realm_access": {"roles": {"x": 1}}}, set(), id="an object within"),
    pytest.param("realm_access.roles", {"realm_access": None}, set(), id="within nothing"),
    pytest.param("https://x.example/groups", {"https://x.example/groups": ["a"]}, {"a"}, id="a name with dots"),
    pytest.param("a.b.c", {"a": {"b": {"c": "x"}}}, {"x"}, id="three levels"),
]


@pytest.mark.parametrize(("path", "given_", "groups"), GROUPS)
async def test_groups_are_where_the_access_file_says(path: str, given_: dict[str, Any], groups: set[str]) -> None:
    found = await made(groupsClaim=path).principal(token({**claims(), **given_}))
    assert found.groups == {f"corp:{group}" for group in groups}


async def test_the_subject_is_the_claim_that_the_access_file_names() -> None:
    by_mail = made(subjectClaim="email")
    assert (await by_mail.principal(token(claims(email="a@example.com")))).name == "corp:a@example.com"
    assert await refused(token(claims()), by=made(subjectClaim="email")) == "malformed"


async def test_a_token_is_remembered_for_a_minute_and_not_beyond_its_expiry() -> None:
    time = SetClock(NOW)
    keys = KeySet([jwk(KEY, "one")])
    by = verifier(time.clock, (issuer("corp", URL), keys))
    short, long = token(claims(exp=NOW + 20)), token(claims(jti="2"))
    first = await by.principal(short)
    assert await by.principal(short) is first
    await by.principal(long)
    keys.keys = [jwk(OTHER, "two")]
    time.forward(21)
    again = await by.principal(short)  # within the difference of clocks, and so verified again
    assert again is not first and again == first
    time.forward(30)
    assert await refused(short, by=by) == "expired"
    time.forward(600)
    assert await refused(long, by=by) == "expired"


async def test_refused_tokens_are_not_remembered_as_good_ones() -> None:
    time = SetClock(NOW)
    by = verifier(time.clock, (issuer("corp", URL), KeySet([jwk(KEY, "one")])))
    early = token(claims(nbf=NOW + 60))
    assert await refused(early, by=by) == "not-yet-valid"
    time.forward(40)
    assert (await by.principal(early)).name == "corp:alice"


def test_values_of_claims_for_rules_are_texts() -> None:
    found = checked.flat({"a": "x", "b": ["x", "y", 1], "c": True, "d": 10**300, "e": 1.5, "f": {"g": "x"}, "h": None})
    assert found == {"a": {"x"}, "b": {"x", "y"}, "c": {"true"}, "d": {str(10**300)[:256]}}


def test_many_claims_are_compared_up_to_a_bound() -> None:
    assert len(checked.flat({f"c{n}": "x" for n in range(200)})) == 64


async def test_reading_a_token_verifies_nothing() -> None:
    """`lambdaagent token inspect` shows it; nobody else uses what is read only."""
    found = jwts.read(token(claims(), key=STRANGE))
    assert found.claims["sub"] == "alice"
    assert not isinstance(found, Principal)


@pytest.mark.parametrize("given_", [None, "https://evil.example", [URL], f"{URL}/", 0])
def test_claims_of_another_issuer_are_refused_though_somebody_asks_for_them(given_: Any) -> None:
    """The issuer also selects who verifies the token; this check does not rely on that."""
    with pytest.raises(CredentialError, match="of another issuer"):
        checked.require_valid(claims(iss=given_), issuer=URL, audiences=[AUDIENCE], now=NOW)
    assert checked.require_valid(claims(), issuer=URL, audiences=[AUDIENCE], now=NOW) == NOW + 300
