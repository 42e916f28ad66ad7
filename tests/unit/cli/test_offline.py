"""crd, validate and render as a user runs them: a process, its output, its exit code."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

GOOD = """\
apiVersion: lambda.knative.io/v1alpha1
kind: LambdaAgent
metadata: {name: good}
spec: {image: {repository: r}, eventing: {subscriptions: [{eventType: a.b}]}}
"""


def run(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    # A kubeconfig that must not be opened.
    env = os.environ | {"KUBECONFIG": "/dev/full"} | environment
    command = [sys.executable, "-m", "lambdaagent", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, env=env, timeout=60, check=False)


def test_the_crd_in_the_repository_is_the_generated_one() -> None:
    committed = Path(__file__).parents[3] / "crds" / "lambdaagents.yaml"
    assert run("crd").stdout == committed.read_text()


def test_json_and_yaml_hold_the_same_crd() -> None:
    assert json.loads(run("crd", "-o", "json").stdout) == yaml.safe_load(run("crd").stdout)


def test_validate_is_content_with_a_valid_file() -> None:
    done = run("validate", "-", stdin=GOOD)
    assert (done.returncode, done.stdout) == (0, "")
    assert "1 LambdaAgents are valid" in done.stderr


def test_validate_names_file_line_document_field_and_remedy(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(GOOD + "---\n" + GOOD.replace("repository", "repositry").replace("good", "other"))
    done = run("validate", str(bad))
    assert done.returncode == 1
    assert f"{bad}:9: document 2: spec.image.repositry: unknown field; did you mean 'repository'?" in done.stdout


def test_validate_in_json_is_for_programs() -> None:
    (finding,) = json.loads(
        run("validate", "-o", "json", "-", stdin=GOOD.replace("repository: r", "repository: 1")).stdout
    )
    assert (finding["severity"], finding["field"]) == ("error", "spec.image.repository")


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        pytest.param(
            GOOD.replace("eventType: a.b", 'eventType: "a.*"'),
            [("warning", 3, 1, "spec.eventing.subscriptions[0]", "WildcardUnsupported")],
            id="a field that does not do all it says",
        ),
        pytest.param(
            f"apiVersion: v1\nkind: Service\nmetadata: {{name: s}}\n---\n{GOOD}",
            [("warning", 1, 1, "", "")],
            id="a document of another kind",
        ),
        pytest.param(
            f"{GOOD.replace('a.b', 'a.*')}---\n{GOOD.replace('good', 'other').replace('repository', 'repositry')}",
            [
                ("error", 9, 2, "spec.image.repositry", ""),
                ("error", 9, 2, "spec.image.repository", ""),
                ("warning", 3, 1, "spec.eventing.subscriptions[0]", "WildcardUnsupported"),
            ],
            id="beside an error",
        ),
        pytest.param(GOOD, [], id="none"),
    ],
)
def test_validate_in_json_has_the_warnings_with_their_places(
    documents: str, expected: list[tuple[object, ...]]
) -> None:
    done = run("validate", "-o", "json", "-", stdin=documents)
    found = json.loads(done.stdout)
    keys = ("severity", "line", "document", "field")
    assert [(*(each[key] for key in keys), each.get("reason", "")) for each in found] == expected
    assert all(each["message"] and each["file"] == "(standard input)" for each in found)
    assert done.returncode == int(any(each["severity"] == "error" for each in found))


def test_a_warning_in_json_says_what_the_text_says() -> None:
    wrong = GOOD.replace("a.b", "a.*")
    [found] = json.loads(run("validate", "-o", "json", "-", stdin=wrong).stdout)
    assert (
        f"warning: {found['agent']}: {found['field']}: {found['message']}" in run("validate", "-", stdin=wrong).stderr
    )


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        pytest.param([], ["RabbitmqBrokerConfig", "Broker", "Service", "Trigger"], id="as the settings say"),
        pytest.param(["--serving", "kubernetes", "--eventing", "none"], ["Deployment", "Service"], id="plain"),
        pytest.param(["--eventing=rabbitmq"], ["Service"], id="a dispatcher"),
        pytest.param(
            ["--serving=kubernetes"],
            ["RabbitmqBrokerConfig", "Broker", "Deployment", "Service", "Trigger"],
            id="Knative's events alone",
        ),
    ],
)
def test_render_takes_what_a_cluster_has_from_the_command_line(options: list[str], kinds: list[str]) -> None:
    done = run("render", *options, "-", stdin=GOOD)
    assert [document["kind"] for document in yaml.safe_load_all(done.stdout)] == kinds


def test_the_command_line_wins_over_the_settings() -> None:
    done = run("render", "--serving=knative", "-", stdin=GOOD, LAMBDAAGENT_SERVING="kubernetes")
    assert "Deployment" not in done.stdout
    assert "kind: Trigger" in done.stdout


def test_validate_warns_of_what_the_named_cluster_does_not_do() -> None:
    limited = GOOD.replace("spec: {", "spec: {serving: {containerConcurrency: 3}, ")
    assert "plain Kubernetes" in run("validate", "--serving=kubernetes", "-", stdin=limited).stderr
    assert "plain Kubernetes" not in run("validate", "--serving=knative", "-", stdin=limited).stderr


def test_two_agents_of_one_name_are_an_error_that_names_both_places(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(GOOD)
    done = run("validate", str(tmp_path))
    assert done.returncode == 1
    assert "b.yaml:3" in done.stdout
    assert "a.yaml:3, document 1" in done.stdout


def test_another_group_is_skipped_with_a_warning() -> None:
    done = run("validate", "-", stdin=f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: n}}\n---\n{GOOD}")
    assert done.returncode == 0
    assert "Namespace/n is not a LambdaAgent; skipped" in done.stderr


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(("v1alpha1", "v2"), "unknown version", id="version"),
        pytest.param(("kind: LambdaAgent", "kind: LambdaFunction"), "unknown kind", id="kind"),
    ],
)
def test_an_unknown_kind_of_our_group_is_an_error(change: tuple[str, str], says: str) -> None:
    done = run("validate", "-", stdin=GOOD.replace(*change))
    assert done.returncode == 1
    assert says in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["validate", "nowhere.yaml"], id="no such file"),
        pytest.param(["validate"], id="no argument"),
        pytest.param(["render", "-o", "toml", "-"], id="unknown format"),
        pytest.param(["validate", "-o", "yaml", "-"], id="unknown form of findings"),
        pytest.param(["render", "--serving", "lambda", "-"], id="unknown serving"),
        pytest.param(["validate", "--eventing", "kafka", "-"], id="unknown eventing"),
        pytest.param(["frobnicate"], id="unknown command"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_why(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


def test_a_wrong_setting_is_named() -> None:
    done = run("render", "-", stdin=GOOD, LAMBDAAGENT_EVENT_KEYS="k:secret")
    assert done.returncode == 2
    assert "LAMBDAAGENT_EVENT_KEYS" in done.stderr
    assert "secret" not in done.stderr


def test_render_prints_only_documents_on_standard_output() -> None:
    done = run("render", "-", stdin=GOOD.replace("a.b", '"a.*"'))
    kinds = [document["kind"] for document in yaml.safe_load_all(done.stdout)]
    assert kinds == ["RabbitmqBrokerConfig", "Broker", "Service"]
    assert "RabbitMQ matches exact values" in done.stderr


def test_render_in_json_is_a_list() -> None:
    document = json.loads(run("render", "-o", "json", "-", stdin=GOOD).stdout)
    assert document["kind"] == "List"


def test_render_without_a_gateway_says_what_waits() -> None:
    done = run("render", "-", stdin=GOOD, LAMBDAAGENT_EVENTS_URL="", LAMBDAAGENT_GATEWAY_URL="")
    assert "only a cluster knows the address of Broker" in done.stderr
    assert "Service" not in [document["kind"] for document in yaml.safe_load_all(done.stdout)]


def test_a_broker_that_agents_share_is_printed_once() -> None:
    both = f"{GOOD}---\n{GOOD.replace('good', 'other')}"
    kinds = [document["kind"] for document in yaml.safe_load_all(run("render", "-", stdin=both).stdout)]
    assert kinds.count("Broker") == 1
    assert kinds.count("Trigger") == 2
