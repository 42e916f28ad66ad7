import re

import pytest
from tests.parts.gateway import CHANGED, manifest, skill

from lambdaagent.a2a import jsonrpc, rest
from lambdaagent.a2a.extension_methods import ExtensionMethod
from lambdaagent.a2a.operations import Operation
from lambdaagent.a2a.versions import Version
from lambdaagent.access.actions import OF_OPERATION
from lambdaagent.api.agent import parse
from lambdaagent.gateway.directory import Directory, Entry
from lambdaagent.gateway.routes import gateway_routes, openapi
from lambdaagent.gateway.routes.agent_routes import AGENT_ROUTES, find

IDS = {"id": "1", "taskId": "2"}


def entry() -> Entry:
    agent = parse(manifest(a2a={"enabled": True, "skills": [skill("say")], "endpoint": {"basePath": "/own"}}))
    directory = Directory()
    directory.upsert(agent, url="http://x", ready=True, last_modified=CHANGED)
    found = directory.get(agent.namespace, agent.name)
    assert found is not None
    return found


def test_every_row_below_an_agent_is_found_by_its_path() -> None:
    served = entry()
    filled = {"{basePath}": "/own", "{skillsPath}": "/own/skills/", "{skill}": "say", "...": "tasks"}
    for row in AGENT_ROUTES:
        path = row.path
        for name, value in filled.items():
            path = path.replace(name, value)
        found = find(served, path)
        assert found is not None
        assert found[0] is row


@pytest.mark.parametrize("path", ["/", "/owner", "/.well-known", "/.well-known/agent-card.json/x", "/healthz"])
def test_nothing_else_is_served_below_an_agent(path: str) -> None:
    assert find(entry(), path) is None


@pytest.mark.parametrize("version", list(Version))
def test_the_paths_of_the_document_are_those_that_are_matched(version: Version) -> None:
    for template, operations in rest.TEMPLATES[version].items():
        found = rest.match(f"/{rest.PREFIXES[version]}{template.format(**IDS)}")
        assert (found.version, found.operations) == (version, operations)


def test_every_operation_of_a_version_has_a_path_and_an_action() -> None:
    assert OF_OPERATION.keys() == set(Operation)
    for version in Version:
        paths = {each for operations in rest.TEMPLATES[version].values() for each in operations.values()}
        assert paths == set(Operation)
    assert [name for name, _, _ in openapi.methods()] == [*jsonrpc.METHODS, *ExtensionMethod]


def test_the_document_declares_each_parameter_and_names_each_operation_once() -> None:
    document = openapi.document(gateway_routes.table().routes, AGENT_ROUTES)
    names = []
    for path, operations in document["paths"].items():
        for operation in operations.values():
            names.append(operation["operationId"])
            assert [each["name"] for each in operation["parameters"]] == re.findall(r"\{(\w+)\}", path)
            assert "x-lambdaagent-action" in operation or "x-lambdaagent-methods" in operation
    assert len(names) == len(set(names))
