from typing import Any

import pytest
from tests.parts.a2a_schemas import check_v03, check_v1
from tests.parts.cards import RICH, URL, agent

from lambdaagent.a2a import cards, extension_methods
from lambdaagent.a2a.cards import Shape
from lambdaagent.a2a.versions import Version
from lambdaagent.api.agent import parse


@pytest.mark.parametrize(
    "a2a", [pytest.param({}, id="least"), pytest.param(RICH, id="rich"), pytest.param({"skills": []}, id="no skills")]
)
def test_the_1_0_card_is_what_the_schema_says_and_no_more(a2a: dict[str, Any]) -> None:
    card = cards.card(agent(**a2a), shape=Shape.V1, url=URL)
    check_v1("AgentCard", card)
    required = (
        "name",
        "description",
        "supportedInterfaces",
        "version",
        "capabilities",
        "defaultInputModes",
        "defaultOutputModes",
        "skills",
    )
    assert all(card[name] not in (None, "", {}) for name in required)


@pytest.mark.parametrize("shape", [Shape.V03, Shape.HYBRID, Shape.LEGACY])
@pytest.mark.parametrize("a2a", [pytest.param({}, id="least"), pytest.param(RICH, id="rich")])
def test_0_3_clients_can_read_the_other_three(shape: Shape, a2a: dict[str, Any]) -> None:
    check_v03("AgentCard", cards.card(agent(**a2a), shape=shape, url=URL))


def test_interfaces_are_listed_1_0_first_whatever_the_order_of_the_resource() -> None:
    card = cards.card(agent(protocolVersions=["0.3", "1.0"]), shape=Shape.HYBRID, url=URL)
    assert [(each["protocolVersion"], each["protocolBinding"]) for each in card["supportedInterfaces"]] == [
        ("1.0", "JSONRPC"),
        ("1.0", "HTTP+JSON"),
        ("0.3", "JSONRPC"),
        ("0.3", "HTTP+JSON"),
    ]
    assert card["url"] == URL
    assert [each["transport"] for each in card["additionalInterfaces"]] == ["JSONRPC", "HTTP+JSON"]
    assert "extendedAgentCard" not in card["capabilities"]


def test_capabilities_are_offered_unless_the_resource_says_no() -> None:
    card = cards.card(agent(), shape=Shape.V1, url=URL)
    own = [extension_methods.declaration()]
    assert card["capabilities"] == {"streaming": True, "pushNotifications": True, "extensions": own}
    card = cards.card(agent(capabilities={"streaming": False}), shape=Shape.V1, url=URL)
    assert card["capabilities"] == {"streaming": False, "pushNotifications": True, "extensions": own}


@pytest.mark.parametrize("shape", list(Shape))
def test_every_card_declares_the_extension_of_the_gateway_once(shape: Shape) -> None:
    theirs = [{"uri": "urn:a", "required": True}, {"uri": extension_methods.URI, "description": "Mine"}]
    card = cards.card(agent(extensions=theirs), shape=shape, url=URL)
    assert card["capabilities"]["extensions"] == [theirs[0], extension_methods.declaration()]


def test_the_legacy_card_keeps_modes_as_written_and_the_others_say_media_types() -> None:
    legacy = cards.card(agent(), shape=Shape.LEGACY, url=URL)
    assert legacy["skills"][0]["inputModes"] == ["text", "json", "image/png"]
    assert {"name", "description", "url", "version", "capabilities", "skills"} <= legacy.keys()
    new = cards.card(agent(), shape=Shape.V1, url=URL)
    assert new["skills"][0]["inputModes"] == ["text/plain", "application/json", "image/png"]
    assert new["defaultInputModes"] == ["text/plain", "application/json", "image/png"]
    assert new["defaultOutputModes"] == ["text/plain", "application/json"]


def test_the_description_falls_back_to_the_skills_and_then_to_the_name() -> None:
    assert cards.description(agent()) == "Adds to the cart."
    assert cards.description(agent(description="Mine")) == "Mine"
    assert "shop/cart" in cards.description(agent(skills=[]))


@pytest.mark.parametrize(
    ("image", "a2a", "expected"),
    [
        pytest.param({}, {}, "v7", id="the tag"),
        pytest.param({"digest": "sha256:" + "ab" * 32}, {}, "v7", id="the tag beside a digest"),
        pytest.param({}, {"version": "9"}, "9", id="as the user says"),
    ],
)
def test_the_version(image: dict[str, Any], a2a: dict[str, Any], expected: str) -> None:
    assert cards.version(agent(image, **a2a)) == expected


def test_the_version_of_an_image_with_a_digest_alone_is_its_beginning() -> None:
    image = {"repository": "r", "digest": "sha256:" + "ab" * 32}
    # The API server stores the default of the tag.
    for stored in (image, image | {"tag": "latest"}):
        assert cards.version(parse({"metadata": {"name": "c"}, "spec": {"image": stored}})) == "ab" * 6


@pytest.mark.parametrize(
    ("said", "offered", "shape"),
    [
        pytest.param(Version.V1, [Version.V1, Version.V03], Shape.V1, id="1.0"),
        pytest.param(Version.V03, [Version.V1, Version.V03], Shape.V03, id="0.3"),
        pytest.param(None, [Version.V1, Version.V03], Shape.HYBRID, id="nothing said, both offered"),
        pytest.param(None, [Version.V1], Shape.V1, id="nothing said, 1.0 alone"),
    ],
)
def test_the_card_is_chosen_by_what_the_client_says(said: Version | None, offered: list[Version], shape: Shape) -> None:
    assert cards.choose(said, offered=offered) is shape
