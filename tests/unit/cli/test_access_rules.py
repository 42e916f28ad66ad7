"""`lambdaagent access` decides as the gateway does, from the files alone."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from lambdaagent.access.installation import parse
from lambdaagent.cli import access_rules, credentials
from lambdaagent.cli.access_rules import Asked, Where
from lambdaagent.errors import UsageError

HASH = "0" * 64


def write(path: Path, value: Any) -> str:
    path.write_text(yaml.safe_dump(value))
    return str(path)


def agent(home: Path, *skills: str, grants: list[dict[str, Any]]) -> str:
    listed = [{"id": each, "name": each, "description": each, "tags": ["t"]} for each in skills]
    spec = {
        "image": {"repository": "example.com/echo", "tag": "v1"},
        "a2a": {"enabled": True, "skills": listed, "access": {"grants": grants}},
    }
    document = {"apiVersion": "lambda.knative.io/v1alpha1", "kind": "LambdaAgent", "spec": spec}
    return write(home / "agent.yaml", {**document, "metadata": {"name": "echo", "namespace": "shop"}})


def rule(path: str, caller: str, *, access_file: str = "", skill: str = "", **more: Any) -> str:
    asked = Asked("", caller, more.get("groups", []), more.get("claims", []), more.get("action", "invoke"), skill)
    ((_, found),) = access_rules._decide(asked, Where([path], access_file, "shop"))
    return found.rule


def test_a_message_without_a_skill_needs_a_grant_for_all_skills(tmp_path: Path) -> None:
    limited = [{"principals": ["corp:alice"], "skills": ["say"]}]
    path = agent(tmp_path, "say", "sing", grants=limited)
    assert rule(path, "corp:alice") == "skills"
    assert rule(path, "corp:alice", skill="say") == "grants[0]"
    assert rule(path, "corp:alice", skill="sing") == "default"
    assert rule(path, "corp:alice", action="read") == "grants[0]"
    assert rule(agent(tmp_path, "say", grants=limited), "corp:alice") == "grants[0]"
    assert rule(agent(tmp_path, "sing", grants=limited), "corp:alice") == "default"
    both = [*limited, {"principals": ["corp:alice"], "actions": ["invoke"]}]
    assert rule(agent(tmp_path, "say", "sing", grants=both), "corp:alice") == "grants[0]"


def test_the_access_file_says_which_groups_the_owner_of_a_key_has(tmp_path: Path) -> None:
    path = agent(tmp_path, "say", grants=[{"groups": ["pipelines"]}])
    more = write(tmp_path / "keys.yaml", {"apiKeys": [{"id": "late", "sha256": HASH, "groups": ["pipelines"]}]})
    file = {
        "apiKeys": [{"id": "ci", "sha256": HASH, "groups": ["pipelines"]}, {"file": more}],
        "hmac": [{"id": "nightly", "keyFile": "/nowhere", "groups": ["pipelines"]}],
    }
    access_file = write(tmp_path / "access.yaml", file)
    for caller in ("key:ci", "key:late", "hmac:nightly"):
        assert rule(path, caller, access_file=access_file) == "grants[0]"
    assert rule(path, "key:other", access_file=access_file) == "default"
    assert (
        rule(path, "key:ci", access_file=write(tmp_path / "a.yaml", {**file, "admins": ["group:pipelines"]}))
        == "admins"
    )


def test_a_service_account_has_the_groups_that_the_cluster_gives_it(tmp_path: Path) -> None:
    for group in ("system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"):
        path = agent(tmp_path, "say", grants=[{"groups": [group]}])
        assert rule(path, "system:serviceaccount:shop:checkout") == "grants[0]"


def test_only_callers_of_issuers_have_claims(tmp_path: Path) -> None:
    path = agent(tmp_path, "say", grants=[{"claims": {"team": ["a"]}}])
    assert rule(path, "corp:alice", claims=["team=a"]) == "grants[0]"
    for caller in ("key:ci", "hmac:nightly", "agent:shop/echo", "system:serviceaccount:shop:checkout"):
        with pytest.raises(UsageError, match="--claim"):
            rule(path, caller, claims=["team=a"])


@pytest.mark.parametrize("id_", ["ci", "123", "no", "null", "0x1f"])
def test_the_entry_of_a_new_key_is_one_of_an_access_file(id_: str, capsys: pytest.CaptureFixture[str]) -> None:
    credentials.create_key(id_)
    said = capsys.readouterr().err
    (entry,) = parse(said[said.index("apiKeys:") :], file="access.yaml").api_keys
    assert getattr(entry, "id", None) == id_
