"""The card of a container fills in what the LambdaAgent leaves out, and is bounded before it is kept anywhere."""

from typing import Any

import orjson
import pytest

from lambdaagent.a2a import cards, container_card, extension_methods
from lambdaagent.api.agent import LambdaAgent, parse
from lambdaagent.api.container_card import ContainerCard
from lambdaagent.api.skills import Skill

Json = dict[str, Any]
CARD: Json = {
    "name": "theirs",
    "description": "Converts.",
    "version": "9.1",
    "defaultInputModes": ["text/plain"],
    "defaultOutputModes": ["application/json"],
    "capabilities": {"streaming": True, "extensions": [{"uri": "urn:x", "required": True, "params": {"k": [1]}}]},
    "skills": [
        {"id": "convert_money", "name": "Convert", "description": "Money.", "tags": ["m"], "examples": ["1 EUR?"]},
        {"id": "say", "name": "Say", "description": "Says.", "tags": ["s"], "inputModes": ["a/b"]},
    ],
}


def agent(card: Any, **a2a: Any) -> LambdaAgent:
    spec = {"image": {"repository": "r", "tag": "t"}, "a2a": {"enabled": True, "protocol": "a2a", **a2a}}
    kept = container_card.kept(card, revision="r1")
    status = {"a2aStatus": {"containerCard": kept}}
    return parse({"metadata": {"name": "agent", "namespace": "shop"}, "spec": spec, "status": status})


def card_of(agent: LambdaAgent) -> Json:
    return cards.card(container_card.with_card(agent), shape=cards.Shape.V1, url="http://x")


def test_what_the_agent_leaves_out_comes_from_its_container() -> None:
    card = card_of(agent(CARD))
    assert (card["name"], card["description"], card["version"]) == ("agent", "Converts.", "9.1")
    theirs = {"uri": "urn:x", "required": True, "params": {"k": [1]}}
    assert card["capabilities"]["extensions"] == [theirs, extension_methods.declaration()]
    assert [skill["id"] for skill in card["skills"]] == ["convert_money", "say"]
    assert card["skills"][0]["inputModes"] == ["text/plain"]
    assert card["skills"][0]["outputModes"] == ["application/json"]
    assert card["skills"][1]["inputModes"] == ["a/b"]
    assert (card["defaultInputModes"], card["defaultOutputModes"]) == (["text/plain"], ["application/json"])


@pytest.mark.parametrize(
    ("theirs", "own", "shown"), [(CARD, "", "9.1"), (CARD, "2", "1"), ({"name": "theirs", "skills": []}, "", "1")]
)
def test_the_version_that_serves_is_the_container_s_where_the_agent_names_none(
    theirs: Json, own: str, shown: str
) -> None:
    made = agent(theirs, version=own)
    assert made.status.a2a_status is not None
    served = made.status.a2a_status.model_copy(update={"version": "1"})
    status = made.status.model_copy(update={"a2a_status": served})
    assert card_of(made.model_copy(update={"status": status}))["version"] == shown


def test_what_the_agent_says_itself_counts() -> None:
    own = {"id": "say", "name": "My say", "tags": ["mine"]}
    extensions = [{"uri": "urn:own"}]
    card = card_of(agent(CARD, description="Mine.", version="1", skills=[own], extensions=extensions))
    assert (card["description"], card["version"]) == ("Mine.", "1")
    assert card["capabilities"]["extensions"] == [{"uri": "urn:own"}, extension_methods.declaration()]
    assert card["defaultInputModes"] == ["a/b"]
    (skill,) = card["skills"]
    assert (skill["name"], skill["tags"], skill["description"], skill["inputModes"]) == (
        "My say",
        ["mine"],
        "Says.",
        ["a/b"],
    )


def test_defaults_that_the_api_server_stored_are_not_what_the_agent_says() -> None:
    stored = Skill(id="say", name="Say").model_dump(by_alias=True, mode="json", exclude_none=True)
    assert stored["inputModes"], "the API has a default"
    (skill,) = card_of(agent(CARD, skills=[stored]))["skills"]
    assert (skill["description"], skill["tags"], skill["inputModes"]) == ("Says.", ["s"], ["a/b"])


def test_modes_that_are_enforced_are_the_agent_s_own() -> None:
    stored = Skill(id="say", name="Say").model_dump(by_alias=True, mode="json", exclude_none=True)
    enforcing = container_card.with_card(agent(CARD, skills=[stored], enforceModes=True))
    assert enforcing.spec.a2a is not None
    assert enforcing.spec.a2a.skills[0].input_modes == Skill(id="say", name="Say").input_modes


def test_other_protocols_and_cards_that_were_not_read_add_nothing() -> None:
    for unread in (agent(CARD, protocol="http"), agent("no card")):
        card = card_of(unread)
        assert (card["skills"], card["version"]) == ([], "t")


HOSTILE = [
    None,
    [],
    "x",
    {},
    {"skills": None, "capabilities": [], "version": 5, "description": {"a": 1}},
    {"skills": [None, 1, {}, {"id": 5}, {"id": ""}, {"id": "a", "tags": "x", "examples": [1, None]}]},
    {"skills": [{"id": "a"}, {"id": "a", "name": "again"}]},
    {"skills": [{"id": f"s{n}", "description": "x" * 100_000, "tags": ["y" * 9_000] * 99} for n in range(1_000)]},
    {"capabilities": {"extensions": [{"uri": "urn:a,b"}, {"uri": "urn:\r\nX: y"}, {"uri": 5}, {}] * 50}},
    {"capabilities": {"extensions": [{"uri": f"urn:{n}", "params": {"k": "v" * 9_000}} for n in range(99)]}},
    {"description": "\ud800 and \0", "version": "\udfff"},
]


@pytest.mark.parametrize("card", HOSTILE, ids=range(len(HOSTILE)))
def test_whatever_a_container_says_is_kept_within_bounds(card: Any) -> None:
    kept = container_card.kept(card, revision="r")
    assert len(orjson.dumps(kept)) < 140_000
    ContainerCard.model_validate(kept)
    shown = card_of(agent(card))
    assert len({skill["id"] for skill in shown["skills"]}) == len(shown["skills"])
    for extension in shown["capabilities"].get("extensions", ()):
        assert extension["uri"].isprintable()
        assert "," not in extension["uri"]


def tools(*given: Json) -> Json:
    return container_card.kept_tools(map(container_card.skill_of_tool, given), revision="r1")


def test_the_tools_of_a_container_are_its_skills() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    kept = tools(
        {"name": "say_it", "description": "Says.", "inputSchema": schema, "annotations": {"title": "Say it"}, "x": 1},
        {"name": "plain"},
        {"name": "plain", "description": "again"},
    )
    said = {"inputModes": ["json", "text"], "outputModes": ["json", "text"]}
    assert kept["skills"] == [
        {"id": "say_it", "name": "Say it", "description": "Says.", "inputSchema": schema, **said},
        {"id": "plain", "name": "plain", **said},
    ]
    spec = {"image": {"repository": "r"}, "a2a": {"enabled": True, "protocol": "mcp"}}
    status = {"a2aStatus": {"containerCard": kept}}
    made = parse({"metadata": {"name": "agent", "namespace": "shop"}, "spec": spec, "status": status})
    assert [skill["id"] for skill in card_of(made)["skills"]] == ["say_it", "plain"]


def test_a_tool_that_is_too_large_for_status_loses_its_schema_and_not_its_place() -> None:
    huge = {"type": "object", "description": "x" * 9000}
    deep: Any = {}
    for _ in range(300):
        deep = {"a": deep}
    kept = tools(
        {"name": "a", "inputSchema": huge}, {"name": "b", "inputSchema": deep}, {"name": "c", "inputSchema": 3},
        {"name": "n" * 2000}, {"name": ""}, {},
    )  # fmt: skip
    assert [skill["id"] for skill in kept["skills"]] == ["a", "b", "c"]
    assert not any("inputSchema" in skill for skill in kept["skills"])
    many = tools(*({"name": f"t{number}", "description": "x" * 5000} for number in range(500)))
    assert len(many["skills"]) < 128
    assert len(orjson.dumps(many)) < 70_000
    ContainerCard.model_validate(many)
