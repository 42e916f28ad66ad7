"""What the API refuses by the Python rules; tests/integration/api runs the same table against the CRD."""

import pytest
from tests.cases.rules import ACCEPTED, REFUSED, Rule, document

from lambdaagent.api.validation import problems


@pytest.mark.parametrize("rule", REFUSED, ids=[rule.id for rule in REFUSED])
def test_names_the_field_that_is_wrong(rule: Rule) -> None:
    found = problems(document(rule))
    assert [problem.field for problem in found if problem.field.startswith(rule.field)], found


@pytest.mark.parametrize("rule", ACCEPTED, ids=[rule.id for rule in ACCEPTED])
def test_takes_what_only_looks_odd(rule: Rule) -> None:
    assert problems(document(rule)) == []


def test_a_broken_pattern_is_said_in_words() -> None:
    (problem,) = problems(document(Rule("tagged", {"image": {"repository": "example.com/agent:v1"}}, "")))
    assert str(problem) == (
        "spec.image.repository: 'example.com/agent:v1' is refused: should be an image name in small letters,"
        " without scheme, tag and digest"
    )


def test_a_valid_document_has_no_problems() -> None:
    assert problems(document(Rule("valid", {}, ""))) == []


def test_all_problems_are_named_at_once() -> None:
    spec = {
        "image": {"repositry": "x", "port": "8080"},
        "ai": {"provider": "openai"},
        "scaling": {"minReplicas": 4, "maxReplicas": 1},
        "evnting": {},
    }
    fields = {problem.field for problem in problems(document(Rule("many", spec, "", name="Not Good")))}
    assert fields == {
        "metadata.name",
        "spec.image.repositry",
        "spec.image.repository",
        "spec.image.port",
        "spec.ai.apiKeySecretRef",
        "spec.scaling",
        "spec.evnting",
    }


@pytest.mark.parametrize(
    ("field", "nearest"),
    [
        pytest.param("evnting", "eventing", id="a typo"),
        pytest.param("serviceaccountname", "serviceAccountName", id="wrong case"),
        pytest.param("a2A", "a2a", id="alias in the wrong case"),
    ],
)
def test_an_unknown_field_comes_with_the_nearest_name(field: str, nearest: str) -> None:
    (problem,) = problems(document(Rule("typo", {field: {}}, "")))
    assert problem.message == "unknown field"
    assert nearest in problem.hint


def test_unknown_fields_pass_where_not_strict() -> None:
    assert problems(document(Rule("newer", {"fromTheFuture": 1}, "")), strict=False) == []


@pytest.mark.parametrize("spec", [None, [], "text", 3], ids=["null", "list", "text", "number"])
def test_a_spec_that_is_no_mapping_is_a_problem(spec: object) -> None:
    found = problems({"metadata": {"name": "a"}, "spec": spec})
    assert [problem.field for problem in found] == ["spec"]


def test_metadata_that_is_no_mapping_is_a_problem() -> None:
    assert problems({"metadata": "x", "spec": {"image": {"repository": "r"}}})[0].field == "metadata.name"


def test_a_variable_is_measured_in_bytes() -> None:
    # The rule of the CRD counts letters.
    found = problems(document(Rule("", {"env": [{"name": "A", "value": "\u00e9" * 65535}]}, "")))
    assert [problem.field for problem in found] == ["spec.env[0].value"]
    assert "131070 bytes" in found[0].message
