"""Overlays of `manifests/`, as kustomize builds them: a namespace and an image are changed everywhere or not at all."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from charts import generate
from tests.parts import fetch
from tests.parts.chart import PROCESSES, container, find, started_with
from tests.parts.documents import documents

from lambdaagent.api import naming
from lambdaagent.controller import own_image
from lambdaagent.kube import rights
from lambdaagent.settings import EventsSettings

NAME, TAG, DIGEST = "registry.example.com/team/agents", "1.2.3", f"sha256:{'5' * 64}"
RABBITMQ = {"components": ["../base/rabbitmq"]}
SHOP = {"namespace": "shop"}


def images(**changed: str) -> dict[str, Any]:
    return {"images": [{"name": "dev.local/lambdaagent"} | changed]}


def build(folder: Path, overlay: dict[str, Any]) -> str:
    shutil.copytree(generate.MANIFESTS, folder / "base")
    (folder / "overlay").mkdir()
    (folder / "overlay" / "kustomization.yaml").write_text(yaml.safe_dump({"resources": ["../base"]} | overlay))
    command = [str(fetch.go_part("kustomize")), "build", str(folder / "overlay")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("more", [{}, RABBITMQ], ids=["", "rabbitmq"])
def test_a_namespace_is_changed_everywhere(more: dict[str, Any], tmp_path: Path) -> None:
    built = build(tmp_path, SHOP | more)
    assert rights.NAMESPACE not in built
    (namespace,) = [each["metadata"]["name"] for each in documents(built) if each["kind"] == "Namespace"]
    assert namespace == "shop"
    subjects = [subject for each in documents(built) for subject in each.get("subjects", ())]
    assert len(subjects) == 4
    assert {subject["namespace"] for subject in subjects} == {"shop"}
    assert {each["metadata"].get("namespace", "shop") for each in documents(built)} == {"shop"}
    lease = find(documents(built), "Lease", naming.LEASE)
    assert lease["metadata"]["namespace"] == "shop"


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("overlay", [RABBITMQ, RABBITMQ | SHOP], ids=["as it is", "elsewhere"])
def test_every_process_looks_for_the_services_where_they_are(
    process: str, overlay: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A patch puts its own variables before those that are there.
    env = [{"name": "LAMBDAAGENT_LOG_LEVEL", "value": "debug"}]
    patch = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"lambdaagent-{process}"},
        "spec": {"template": {"spec": {"containers": [{"name": process, "env": env}]}}},
    }
    target = {"kind": "Deployment", "name": f"lambdaagent-{process}"}
    found = documents(build(tmp_path, overlay | {"patches": [{"patch": yaml.safe_dump(patch), "target": target}]}))
    started_with(found, process, monkeypatch)
    settings = EventsSettings()
    for name, url in (("gateway", settings.gateway_url), ("events", settings.events_url)):
        service = find(found, "Service", f"lambdaagent-{name}")["metadata"]
        assert url == f"http://{service['name']}.{service['namespace']}.svc.cluster.local"


@pytest.mark.parametrize("more", [{}, RABBITMQ, RABBITMQ | SHOP], ids=["", "rabbitmq", "elsewhere"])
@pytest.mark.parametrize(
    ("changed", "image"),
    [
        ({"newName": NAME}, f"{NAME}:dev"),
        ({"newName": NAME, "newTag": TAG}, f"{NAME}:{TAG}"),
        ({"newName": NAME, "digest": DIGEST}, f"{NAME}@{DIGEST}"),
    ],
    ids=["a name", "a tag", "a digest"],
)
def test_an_image_is_changed_everywhere(
    changed: dict[str, str], image: str, more: dict[str, Any], tmp_path: Path
) -> None:
    built = build(tmp_path, images(**changed) | more)
    assert "dev.local" not in built
    found = documents(built)
    there = [process for process in PROCESSES if more or process != "dispatcher"]
    assert [container(found, process)["image"] for process in there] == [image] * len(there)


def test_a_tag_alone_is_changed_everywhere(tmp_path: Path) -> None:
    built = build(tmp_path, images(newTag=TAG) | RABBITMQ)
    assert "lambdaagent:dev" not in built
    assert built.count(f"dev.local/lambdaagent:{TAG}") == len(PROCESSES)


def test_the_operator_finds_the_image_of_sidecars_in_its_own_pod(tmp_path: Path) -> None:
    unit = container(documents(build(tmp_path, images(newName=NAME))), "operator")
    assert unit["name"] == own_image.CONTAINER
    env = {entry["name"]: entry.get("valueFrom") for entry in unit["env"]}
    assert env["POD_NAME"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert env["POD_NAMESPACE"] == {"fieldRef": {"fieldPath": "metadata.namespace"}}
