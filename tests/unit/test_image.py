"""The images without a build of them: what they copy exists, their command runs, and their user is not root."""

import json
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from tests.parts.image import COMMAND, ECHO_ENTRYPOINT, ENTRYPOINT

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Containerfile").read_text()
CONTAINERFILES = [ROOT / "Containerfile", *sorted(ROOT.glob("examples/*/Containerfile"))]


def test_the_build_sees_every_file_that_it_copies() -> None:
    copied = [word for line in re.findall(r"^COPY (?!--from)(.*) \S+$", TEXT, re.MULTILINE) for word in line.split()]
    passed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert copied
    assert set(copied) <= set(passed)
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_the_command_of_the_image_stands_on_its_path_and_runs_what_the_image_runs(tmp_path: Path) -> None:
    source, target = re.findall(r"^COPY --from=build /src/(\S+) (\S+)$", TEXT, re.MULTILINE)[0]
    assert Path(target) == COMMAND
    command = ROOT / source
    assert command.stat().st_mode & 0o111 == 0o111, "anybody may run it, as the image's user does"
    interpreter, app = ENTRYPOINT
    text = command.read_text()
    assert text.startswith(f"#!{interpreter}\n")
    assert f'"{app}"' in text
    (tmp_path / "__main__.py").write_text((ROOT / "operator/lambdaagent/__main__.py").read_text())
    script = text.replace(f'"{app}"', repr(str(tmp_path)))
    done = subprocess.run([sys.executable, "-", "--version"], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{version('lambdaagent')}\n")


def test_the_documented_way_in_calls_that_command() -> None:
    guide = (ROOT / "docs/guides/events.md").read_text()
    assert f"deploy/lambdaagent-gateway -- {COMMAND.name} events dlq'" in guide


def test_the_way_into_a_new_cluster_builds_loads_and_names_the_same_images() -> None:
    readme = (ROOT / "README.md").read_text()
    built = re.findall(r"docker build (?:-f Containerfile )?-t (\S+) (?:-f (\S+) )?", readme)
    loaded = re.findall(r"kind load docker-image (.*)", readme)[0].split()
    assert [name for name, _ in built] == loaded
    assert [file for _, file in built if file and not (ROOT / file).exists()] == []
    repository, tag = re.findall(r"--set image\.repository=([^,\s]+),image\.tag=(\S+)", readme)[0]
    image = yaml.safe_load((ROOT / "examples/echo-python/agent.yaml").read_text())["spec"]["image"]
    assert loaded == [f"{repository}:{tag}", f"{image['repository']}:{image['tag']}"]


# Of its ConfigMap config-deployment, `registries-skipping-tag-resolving`; of others it asks a registry for the digest.
_NOT_ASKED_FOR = ("dev.local", "kind.local", "ko.local")


def test_no_image_that_is_only_on_a_node_has_a_name_that_knative_asks_a_registry_for() -> None:
    named = [yaml.safe_load((ROOT / "charts/lambdaagent/values.yaml").read_text())["image"]["repository"]]
    for path in ROOT.glob("examples/**/*.yaml"):
        for document in yaml.safe_load_all(path.read_text()):
            if document and document.get("kind") == "LambdaAgent" and "image" in document["spec"]:
                named.append(document["spec"]["image"]["repository"])
    assert len(named) > 15
    assert [name for name in named if not name.startswith(("registry.", "ghcr.io/", *_NOT_ASKED_FOR))] == []


def test_the_image_of_the_end_to_end_test_is_that_of_the_containerfile() -> None:
    for folder, entrypoint in ((ROOT, ENTRYPOINT), (ROOT / "examples/echo-python", ECHO_ENTRYPOINT)):
        said = json.loads(re.findall(r"^ENTRYPOINT (.*)$", (folder / "Containerfile").read_text(), re.MULTILINE)[-1])
        assert [Path(said[0]).name, *said[1:]] == [Path(entrypoint[0]).name, *entrypoint[1:]]


@pytest.mark.parametrize("path", CONTAINERFILES, ids=lambda path: path.parent.name)
def test_every_image_has_a_numeric_user_that_is_not_root(path: Path) -> None:
    user = re.findall(r"^USER (.*)$", path.read_text(), re.MULTILINE)[-1]
    assert re.fullmatch(r"[1-9][0-9]*:[1-9][0-9]*", user), "the kubelet cannot tell a name from root"


def test_the_image_holds_the_versions_that_were_tested() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^(\S+==\S+)", (ROOT / name).read_text(), re.MULTILINE))

    assert pins("requirements.runtime.lock") <= pins("requirements.lock")
