"""API keys: which are accepted, and that a refusal says the same of an unknown, a wrong and a revoked one."""

import re
import string
import zlib
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.parts.clocks import SetClock
from tests.parts.tokens import verifier

from lambdaagent.access.installation import ApiKey
from lambdaagent.identity import api_keys
from lambdaagent.identity.api_keys import KeyRing
from lambdaagent.identity.errors import CredentialError

NOW = 1_790_000_000.0  # 2026-09-21T14:13:20Z
KEY, OTHER = api_keys.create("ci"), api_keys.create("other")


def entry(key: str = KEY, id_: str = "ci", **more: Any) -> ApiKey:
    return ApiKey.model_validate({"id": id_, "sha256": api_keys.hash_of(key), **more})


def summed(checked: str) -> str:
    """Returns a key with the right checksum."""
    return f"{checked}_{zlib.crc32(checked.encode()):08x}"


def refused(ring: KeyRing, text: str, *, now: float = NOW) -> tuple[str, str]:
    with pytest.raises(CredentialError) as caught:
        ring.principal(text, now=now)
    message = str(caught.value)
    assert len(text) < 8 or text not in message
    assert not re.search("[0-9a-f]{8}", message)
    return caught.value.reason, message


def test_a_key_is_its_owner_with_the_groups_of_the_file() -> None:
    found = KeyRing([entry(groups=["builders"])]).principal(KEY, now=NOW)
    assert (found.name, found.source, found.groups, found.expires) == ("key:ci", "key", {"builders"}, None)
    assert found.claims == {} and found.actors == ()


def test_a_key_has_256_random_bits_and_a_beginning_that_scanners_find() -> None:
    assert re.fullmatch(r"la_ci_[0-9a-f]{64}_[0-9a-f]{8}", KEY)
    assert len({api_keys.create("ci") for _ in range(100)}) == 100
    assert api_keys.hash_of(KEY) == sha256(KEY.encode()).hexdigest()


@pytest.mark.parametrize("id_", ["a", "ci-1", "a" * 32, "0"])
def test_ids_of_the_access_file_and_of_keys_are_the_same(id_: str) -> None:
    key = api_keys.create(id_)
    assert KeyRing([entry(key, id_)]).principal(key, now=NOW).name == f"key:{id_}"


@pytest.mark.parametrize("id_", ["", "CI", "ci_1", "-ci", "ci-", "a" * 33, "ci\n", "c i", "é"])
def test_no_key_is_made_for_another_id(id_: str) -> None:
    with pytest.raises(ValueError, match="is not an id"):
        api_keys.create(id_)


ID, SECRET, SUM = KEY.split("_")[1:]
MALFORMED = [
    pytest.param("", id="nothing"),
    pytest.param("la_", id="the beginning"),
    pytest.param(f"la_ci_{SECRET}", id="no checksum"),
    pytest.param(f"la_ci_{SECRET}_", id="an empty checksum"),
    pytest.param(f"la_ci_{SECRET}_{int(SUM, 16) ^ 1:08x}", id="a wrong checksum"),
    pytest.param(f"la_ci_{SECRET}_{SUM[::-1]}x", id="a checksum that is none"),
    pytest.param(KEY[:-1], id="cut off"),
    pytest.param(f"{KEY}0", id="longer"),
    pytest.param(f"{KEY}\n", id="a line break at the end"),
    pytest.param(f"{KEY}\r\n", id="a line break of Windows at the end"),
    pytest.param(f" {KEY}", id="a space before"),
    pytest.param(f"{KEY} ", id="a space after"),
    pytest.param(f"{KEY}\0", id="a zero byte"),
    pytest.param(f"{KEY}{KEY}", id="two keys"),
    pytest.param(KEY.upper(), id="capitals"),
    pytest.param(KEY.replace("la_", "LA_", 1), id="the beginning in capitals"),
    pytest.param(summed(f"la_ci_{SECRET.upper()}"), id="a secret in capitals"),
    pytest.param(summed(f"la_ci_{SECRET[:-1]}"), id="a short secret"),
    pytest.param(summed(f"la_ci_{SECRET}0"), id="a long secret"),
    pytest.param(summed(f"la_ci__{SECRET}"), id="an empty part"),
    pytest.param(summed(f"la__{SECRET}"), id="no id"),
    pytest.param(summed(f"la_ci_1_{SECRET}"), id="an id with an underscore"),
    pytest.param(summed(f"la_{'c' * 33}_{SECRET}"), id="a long id"),
    pytest.param(summed(f"la_CI_{SECRET}"), id="an id in capitals"),
    pytest.param(summed(f"la_ci\n_{SECRET}"), id="a line break in the id"),
    pytest.param(summed(f"la_../ci_{SECRET}"), id="a path"),
    pytest.param(summed(f"la_\N{CYRILLIC SMALL LETTER ES}i_{SECRET}"), id="a letter that looks the same"),
    pytest.param(summed(f"la_ci_{SECRET[:-1]}\N{ARABIC-INDIC DIGIT FIVE}"), id="a digit of another script"),
    pytest.param(summed(f"la_ci_{SECRET[:-1]}\N{FULLWIDTH DIGIT FIVE}"), id="a wide digit"),
    pytest.param("la_" + "a" * 1_000_000, id="1 MB"),
]


@pytest.mark.parametrize("text", MALFORMED)
def test_what_has_not_the_form_of_a_key_is_refused_without_a_look_up(text: str) -> None:
    ring = KeyRing([entry()])
    assert refused(ring, text)[0] == "malformed"


def test_a_byte_that_is_no_text_is_refused() -> None:
    assert refused(KeyRing([entry()]), "la_\udcff")[0] == "malformed"


def test_an_unknown_a_wrong_and_a_revoked_key_are_told_alike() -> None:
    ring = KeyRing([entry(), entry(OTHER, "other")])
    wrong = summed(f"la_ci_{'0' * 64}")
    unknown = api_keys.create("nobody")
    renamed = summed(f"la_other_{SECRET}")  # a good secret under the id of another key
    found = {refused(ring, text) for text in (wrong, unknown, renamed)}
    found.add(refused(KeyRing([entry(OTHER, "other")]), KEY))  # it was taken out of the file
    assert found == {("unknown-key", "The API key is not valid.")}


def test_the_hash_is_no_key() -> None:
    assert refused(KeyRing([entry()]), summed(f"la_ci_{api_keys.hash_of(KEY)}"))[0] == "unknown-key"


def test_a_hash_under_another_id_admits_nobody() -> None:
    ring = KeyRing([entry(KEY, "other")])
    assert refused(ring, KEY)[0] == "unknown-key"
    assert refused(ring, summed(f"la_other_{SECRET}"))[0] == "unknown-key"


def test_several_keys_of_one_id_are_valid_until_each_expires() -> None:
    new = api_keys.create("ci")
    ring = KeyRing([entry(expires="2026-09-21T14:13:20Z", groups=["old"]), entry(new, groups=["new"])])
    assert ring.groups("ci") == {"old", "new"}
    assert not ring.groups("other")
    assert ring.principal(KEY, now=NOW - 0.1).groups == {"old"}
    assert refused(ring, KEY, now=NOW) == ("expired", "The API key has expired.")
    for now in (NOW - 0.1, NOW, NOW + 1e9):
        assert ring.principal(new, now=now).groups == {"new"}
    assert refused(ring, summed(f"la_ci_{'0' * 64}"), now=NOW)[0] == "unknown-key"


@pytest.mark.parametrize("expires", ["2026-09-21T14:13:20Z", "2026-09-21T16:13:20+02:00", "2026-09-21T14:13:20.000Z"])
def test_a_time_of_expiry_has_a_zone(expires: str) -> None:
    ring = KeyRing([entry(expires=expires)])
    assert ring.principal(KEY, now=NOW - 1).expires == NOW
    assert refused(ring, KEY)[0] == "expired"


def test_a_key_that_expired_is_refused_though_the_same_key_is_listed_again() -> None:
    """The first entry decides: whoever adds a line does not revive what another line ended."""
    ring = KeyRing([entry(expires="2026-01-01T00:00:00Z"), entry()])
    assert refused(ring, KEY)[0] == "expired"


@settings(deadline=None)
@given(st.text(alphabet=string.ascii_lowercase + string.digits + "_-", max_size=100).map("la_".__add__) | st.text())
def test_no_other_text_is_a_key(text: str) -> None:
    assert refused(KeyRing([entry()]), text)[0] in ("malformed", "unknown-key")


@settings(deadline=None)
@given(st.integers(0, len(KEY) - 1), st.sampled_from("0123456789abcdefg_-\n"))
def test_no_key_passes_that_differs_by_a_character(at: int, letter: str) -> None:
    ring = KeyRing([entry()])
    for changed in (KEY[:at] + letter + KEY[at + 1 :], KEY[:at] + letter + KEY[at:], KEY[:at] + KEY[at + 1 :]):
        if changed != KEY:
            refused(ring, changed)


async def test_a_remembered_key_expires_in_time_and_a_new_file_forgets_it() -> None:
    time = SetClock(NOW - 10)
    by = verifier(time.clock, keys=[entry(expires="2026-09-21T14:13:20Z")])
    first = await by.principal(KEY)
    time.forward(9)
    assert await by.principal(KEY) is first
    time.forward(1)
    with pytest.raises(CredentialError, match="has expired"):
        await by.principal(KEY)
    with pytest.raises(CredentialError, match="not valid"):
        await verifier(time.clock, keys=[]).principal(KEY)


def test_an_expired_key_is_no_source_of_callers() -> None:
    """Whoever registered something with it gets nothing more."""
    ring = KeyRing([ApiKey(id="ci", sha256=api_keys.hash_of(api_keys.create("ci")), expires="2027-01-01T00:00:00Z")])
    expiry = 1_798_761_600.0
    assert ring.has("ci", now=expiry - 1)
    assert not ring.has("ci", now=expiry)
    assert not ring.has("other", now=expiry - 1)
