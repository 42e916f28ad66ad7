"""The files that the access file names: keys of callers, and keys of HMAC tokens."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.parts.clocks import SetClock
from tests.parts.issuer import ec_key, rsa_key
from tests.parts.keys import pem

from lambdaagent.a2a.signing import Signer
from lambdaagent.access.installation import AccessFileError, Installation
from lambdaagent.identity import api_keys, jwts
from lambdaagent.identity.fetching import KeyFetcher
from lambdaagent.identity.verifier import Sources, Verifier, sources
from lambdaagent.trust import SYSTEM

NOW = 1_790_000_000.0
KEY = api_keys.create("ci")
ENTRY = {"id": "ci", "sha256": api_keys.hash_of(KEY)}


def read(installation: dict[str, Any], *, before: Sources | None = None, signer: Signer | None = None) -> Sources:
    return sources(
        Installation.model_validate(installation),
        fetcher=KeyFetcher(SYSTEM),
        clock=SetClock(NOW).clock,
        reviews=None,
        signer=signer,
        before=before.issuers if before is not None else (),
    )


def refusal(installation: dict[str, Any]) -> str:
    with pytest.raises(AccessFileError) as caught:
        read(installation)
    return str(caught.value)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "secret"


def test_keys_of_a_file_are_those_of_the_access_file_too(file: Path) -> None:
    file.write_text(yaml.safe_dump({"apiKeys": [{**ENTRY, "groups": ["filed"]}]}))
    other = api_keys.create("other")
    found = read({"apiKeys": [{"id": "other", "sha256": api_keys.hash_of(other)}, {"file": str(file)}]}).keys
    assert found.principal(KEY, now=NOW).groups == {"filed"}
    assert found.principal(other, now=NOW).name == "key:other"


async def test_an_hmac_key_is_the_files_content_without_its_line_break(file: Path) -> None:
    file.write_bytes(b"k" * 32 + b"\n")
    found = read({"hmac": [{"id": "batch", "keyFile": str(file)}]})
    token = jwts.hmac_token("batch", b"k" * 32, now=NOW, seconds=60)
    assert (await Verifier(found, SetClock(NOW).clock).principal(token)).name == "hmac:batch"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(None, "cannot be read: No such file", id="absent"),
        pytest.param(b"", "0 bytes", id="empty"),
        pytest.param(b" \n" * 40, "0 bytes", id="spaces"),
        pytest.param(b"k" * 31 + b"\n", "31 bytes", id="short"),
        pytest.param(b"k" * (1024 * 1024 + 1), "over the limit", id="huge"),
    ],
)
def test_an_hmac_key_that_is_none_is_refused_by_its_files_name(file: Path, content: bytes | None, why: str) -> None:
    if content is not None:
        file.write_bytes(content)
    found = refusal({"hmac": [{"id": "batch", "keyFile": str(file)}]})
    assert str(file) in found and why in found and "kkk" not in found


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(None, " cannot be read: No such file", id="absent"),
        pytest.param(b"\xff\xfe", " is not UTF-8", id="no text"),
        pytest.param(b"x" * (1024 * 1024 + 1), " is over the limit", id="huge"),
        pytest.param(b"- id: ci", ":1: (document): is a list", id="a list"),
        pytest.param(b"apiKeys: [", ":1: (document): is not YAML", id="no YAML"),
        pytest.param(b"apiKeys:\n- id: ci\n  sha256: x\n", ":3: apiKeys[0].sha256: ", id="no hash"),
        pytest.param(b"admins: ['key:ci']", ":1: admins: unknown field", id="another file"),
    ],
)
def test_a_file_of_keys_that_is_none_is_refused_by_its_name(file: Path, content: bytes | None, why: str) -> None:
    if content is not None:
        file.write_bytes(content)
    assert refusal({"apiKeys": [{"file": str(file)}]}).startswith(f"{file}{why}")


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    assert "Is a directory" in refusal({"apiKeys": [{"file": str(tmp_path)}]})


def test_an_issuer_that_did_not_change_keeps_its_keys() -> None:
    corp = {"name": "corp", "issuer": "https://a.example.com", "audiences": ["a"]}
    other = {"name": "other", "issuer": "https://b.example.com", "audiences": ["a"]}
    before = read({"issuers": [corp, other]})
    after = read({"issuers": [{**other, "audiences": ["b"]}, corp]}, before=before)
    kept = {issuer.name: jwks for issuer, jwks in before.issuers}
    found = {issuer.name: jwks for issuer, jwks in after.issuers}
    assert found["corp"] is kept["corp"]
    assert found["other"] is not kept["other"]


async def test_statements_are_accepted_with_an_ec_key() -> None:
    assert read({}).assertions is None
    assert read({}, signer=Signer.from_pem(pem(rsa_key(31)))).assertions is None
    signer = Signer.from_pem(pem(ec_key(31)))
    found = read({}, signer=signer).assertions
    assert found is not None and await found.key(signer.kid) == signer.verifying_key
