"""No two things of a catalogue share an identifier, and an identifier leads back to its agent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdaagent.coordination.catalog_names import BadIdentifierError, CatalogNames

LABELS = st.from_regex(r"[a-z0-9](?:[-a-z0-9]{0,10}[a-z0-9])?", fullmatch=True)
KEYS = st.tuples(LABELS, LABELS)
NAMES = st.sampled_from([CatalogNames(), CatalogNames("example.com")])
PEERS = st.builds(
    lambda host, path: f"https://{host}{path}",
    st.sampled_from(["example.com", "local", "peer.example.com"]),
    st.sampled_from(["", "/ard", "/shop", "/api/v1", "/api/v1/ard"]),
)


@given(NAMES, KEYS)
def test_an_identifier_leads_back(names: CatalogNames, key: tuple[str, str]) -> None:
    assert names.agent_of(names.agent(key)) == key


@given(NAMES, KEYS, KEYS, PEERS)
def test_nothing_else_has_the_identifier_of_an_agent(
    names: CatalogNames, key: tuple[str, str], after: tuple[str, str], peer: str
) -> None:
    others = [names.registry, names.rest(after), names.peer(peer)]
    assert names.agent(key) not in others
    assert [names.agent_of(each) for each in others] == [None] * 3
    assert names.rest(after) not in (names.registry, names.peer(peer))


def test_without_a_publisher_there_is_no_urn_of_air() -> None:
    names = CatalogNames()
    found = [names.agent(("shop", "echo")), names.registry, names.rest(("a", "b")), names.peer("https://p.example/ard")]
    assert not any(each.startswith("urn:air:") for each in found)


def test_a_peer_has_the_name_that_it_gives_itself_if_its_publisher_is_its_host() -> None:
    mine, theirs = CatalogNames("example.com"), CatalogNames("peer.example.com")
    assert mine.peer("https://peer.example.com:8443/ard") == theirs.registry
    assert mine.peer("https://peer.example.com/api/v1") == "urn:air:peer.example.com:registry.api.v1"


@pytest.mark.parametrize("names", [CatalogNames(), CatalogNames("example.com")])
@pytest.mark.parametrize("text", ["", "x", "not-a-valid-ard-urn", "urn:air:", "urn:air:a.b", "urn:air:a.b:c d", "🐍"])
def test_what_is_no_identifier_is_refused(names: CatalogNames, text: str) -> None:
    with pytest.raises(BadIdentifierError, match="is no identifier"):
        names.agent_of(text)


@pytest.mark.parametrize("text", ["urn:air:other.com:shop:echo", "urn:air:example.com:shop", "urn:air:example.com:A:b"])
def test_an_identifier_of_others_names_no_agent_here(text: str) -> None:
    assert CatalogNames("example.com").agent_of(text) is None
