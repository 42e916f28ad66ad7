"""Context ids of containers: each owner has its own."""

from collections.abc import Callable
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdaagent.containers.context_ids import in_message, of_container

OWNERS = st.sampled_from(["anonymous", "corp:alice", "corp:bob", "agent:shop/echo", "key:ci"])
CONTEXTS = st.one_of(
    st.sampled_from(["c", "C", "", "\ud800", "1" * 36]),
    st.uuids().map(str),
    st.builds(lambda owner, text: of_container(text, owner=owner), OWNERS, st.sampled_from(["c", "d"])),
    st.text(max_size=40),
)


@given(OWNERS, OWNERS, CONTEXTS, CONTEXTS)
def test_two_owners_never_have_the_same_id(one: str, other: str, first: str, second: str) -> None:
    same = of_container(first, owner=one) == of_container(second, owner=other)
    assert same == ((one, first) == (other, second))


@given(CONTEXTS)
def test_the_id_of_a_known_owner_is_a_uuid(context: str) -> None:
    found = UUID(of_container(context, owner="corp:alice"))
    assert (found.version, found.variant) == (8, "specified in RFC 4122")


@pytest.mark.parametrize("form", ["{}", "{{{}}}", "urn:uuid:{}", " {} ", "{}\n"])
@pytest.mark.parametrize("shape", [str, str.upper, lambda text: text.replace("-", "")])
def test_an_anonymous_client_cannot_name_a_derived_id(form: str, shape: object) -> None:
    derived = of_container("c", owner="corp:alice")
    assert callable(shape)
    asked = form.format(shape(derived))
    assert UUID(of_container(asked, owner="anonymous")) != UUID(derived)


def _in_another_script(text: str) -> str:
    return "".join(chr(0xFF10 + int(each)) if each.isdecimal() else each for each in text)


def _in_words(text: str) -> str:
    """Returns the UUID in the form `{0x5cbd0a96,0xb8b6,0x8ceb,{0xb7,...}}` of .NET."""
    first, second, third, *rest = text.split("-")
    last = "".join(rest)
    pairs = ",".join(f"0x{last[at : at + 2]}" for at in range(0, len(last), 2))
    return f"{{0x{first},0x{second},0x{third},{{{pairs}}}}}"


@pytest.mark.parametrize("shape", [_in_another_script, _in_words, "f{}a".format, "({})".format])
def test_nor_in_a_form_that_a_lenient_parser_accepts(shape: Callable[[str], str]) -> None:
    """Python reads digits of every script, Go ignores one character on either side, .NET has a form in words."""
    asked = shape(of_container("c", owner="corp:alice"))
    assert of_container(asked, owner="anonymous") != asked


def test_an_anonymous_client_keeps_its_id() -> None:
    for each in ("c", "conversation 1", "6ba7b821-9dad-41d1-80b4-00c04fd430c8", "ü\0"):
        assert of_container(each, owner="anonymous") == each


def test_a_message_has_the_containers_id_only_if_it_had_one() -> None:
    assert in_message({"contextId": "c", "parts": []}, "x") == {"contextId": "x", "parts": []}
    assert in_message({"parts": []}, "x") == {"parts": []}


def test_replicas_of_all_versions_derive_the_same_id() -> None:
    assert of_container("c", owner="corp:alice") == "5cbd0a96-b8b6-8ceb-b7b1-9c9bf07468d5"
