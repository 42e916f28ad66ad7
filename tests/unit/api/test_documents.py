import pytest

from lambdaagent.api.documents import read

GOOD = "apiVersion: v1\nkind: A\nmetadata:\n  name: one\nspec:\n  deep:\n    - x: 1\n"


def test_a_path_is_found_on_its_line() -> None:
    (document,), problems = read(GOOD, file="f")
    assert problems == []
    assert document.line(("spec", "deep", 0, "x")) == 7
    assert document.line(("spec", "missing")) == 5


def test_documents_are_counted_and_empty_ones_skipped() -> None:
    documents, _ = read(f"{GOOD}---\n---\n{GOOD}", file="f")
    assert [document.index for document in documents] == [1, 3]


def test_a_list_is_taken_apart() -> None:
    documents, _ = read("kind: List\napiVersion: v1\nitems:\n- kind: A\n- kind: B\n", file="f")
    assert [document.obj["kind"] for document in documents] == ["A", "B"]
    assert documents[1].line(("kind",)) == 5


def test_dates_stay_strings_as_in_kubernetes() -> None:
    (document,), _ = read("value: 2026-01-01\n", file="f")
    assert document.obj == {"value": "2026-01-01"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("a: 1\na: 2\n", "occurs twice", id="key twice"),
        pytest.param("? [a]\n: 1\n", "a key is neither a word", id="a list for a key"),
        pytest.param("{{a: 1}: 1}\n", "a key is neither a word", id="an object for a key"),
        pytest.param("a: [1\nb: 2\n", "not YAML", id="unclosed bracket"),
        pytest.param("a: *nowhere\n", "undefined alias", id="alias of nothing"),
        pytest.param("- a\n- b\n", "not an object", id="a list"),
        pytest.param("just text\n", "not an object", id="a word"),
        pytest.param("a: \x00\n", "not YAML", id="control character"),
        pytest.param("a: !!python/object/apply:os.system [ls]\n", "not YAML", id="a tag that would run code"),
    ],
)
def test_broken_text_is_a_finding_with_its_place(text: str, says: str) -> None:
    documents, (finding,) = read(text, file="bad.yaml")
    assert documents == []
    assert says in str(finding)
    assert str(finding).startswith("bad.yaml:")
