"""`lambdaagent key revoke` removes entries and nothing else."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from lambdaagent.access.installation import parse
from lambdaagent.cli.main import app
from lambdaagent.cli.revoking import revoke
from lambdaagent.errors import UsageError
from lambdaagent.identity import api_keys

KEYS = [api_keys.create(id_) for id_ in ("ci", "ci", "jobs")]
TEXT = f"""# who calls us
admins: ["corp:root"]  # and nobody else
apiKeys:
# the first
- id: ci
  sha256: {api_keys.hash_of(KEYS[0])}
  groups: [build]   # a comment
- {{id: ci, sha256: {api_keys.hash_of(KEYS[1])}}}

- sha256: {api_keys.hash_of(KEYS[2])}
  id: jobs
# at the end
audit: {{sink: none}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "access.yaml"
    path.write_text(TEXT)
    path.chmod(0o640)
    return path


def ids(file: Path) -> list[str]:
    return [each["id"] for each in yaml.safe_load(file.read_text())["apiKeys"]]


def test_all_keys_of_an_id(file: Path) -> None:
    revoke(str(file), id_="ci", key="")
    found = file.read_text()
    assert ids(file) == ["jobs"]
    for comment in ("# who calls us", "# and nobody else", "# at the end"):
        assert comment in found
    parse(found, file="f")
    assert file.stat().st_mode & 0o777 == 0o640
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(("place", "left"), [(0, ["ci", "jobs"]), (1, ["ci", "jobs"]), (2, ["ci", "ci"])])
def test_one_key(file: Path, place: int, left: list[str]) -> None:
    revoke(str(file), id_="", key=KEYS[place])
    assert ids(file) == left
    assert api_keys.hash_of(KEYS[place]) not in file.read_text()


def test_the_last_key(file: Path) -> None:
    revoke(str(file), id_="ci", key="")
    revoke(str(file), id_="jobs", key="")
    assert parse(file.read_text(), file="f").api_keys == []
    assert "# at the end" in file.read_text()


@pytest.mark.parametrize(
    "text", ["apiKeys: [{id: ci, sha256: x}]", '{"apiKeys": [{"id": "ci"}]}', "apiKeys: &a\n- *a\n"]
)
def test_a_form_that_cannot_be_changed_line_by_line_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "access.yaml"
    path.write_text(text)
    with pytest.raises(UsageError):
        revoke(str(path), id_="ci", key="")
    assert path.read_text() == text


@pytest.mark.parametrize(
    "arguments",
    [["--id", "other"], [], ["--id", "ci", "--key-file", "-"], ["--key-file", "/no/such/file"], ["--key-file", "-"]],
)
def test_what_is_not_there_or_not_clear_is_an_error_that_shows_no_key(file: Path, arguments: list[str]) -> None:
    given_ = api_keys.create("unknown")
    found = CliRunner().invoke(app, ["key", "revoke", str(file), *arguments], input=given_)
    assert found.exit_code != 0
    assert given_ not in found.output + str(found.exception)
    assert file.read_text() == TEXT


def test_the_key_is_read_from_a_file_or_standard_input(file: Path, tmp_path: Path) -> None:
    (tmp_path / "leaked").write_text(KEYS[0] + "\n")
    for arguments in (["--key-file", str(tmp_path / "leaked")], ["--key-file", "-"]):
        done = CliRunner().invoke(app, ["key", "revoke", str(file), *arguments], input=KEYS[2])
        assert done.exit_code == 0, done.output
    assert ids(file) == ["ci"]


@given(
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=6),
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from(["", "# c\n", "\n", "  # c\n\n"]),
    st.sampled_from(["", "\n", "# e\n", "limits: {}\n", "\n# e\nadmins:\n- x\n"]),
    st.integers(0, 4),
)
def test_whatever_the_file_looks_like(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], gone: str, between: str, after: str, indent: int
) -> None:
    path = tmp_path_factory.mktemp("keys") / "access.yaml"
    margin = " " * indent
    entries = between.join(f"{margin}- id: {name}\n{margin}  sha256: {'0' * 64}\n" for name in names)
    path.write_text(f"audit: {{}}\napiKeys:\n{entries}{after}")
    before = yaml.safe_load(path.read_text())
    if gone not in names:
        with pytest.raises(UsageError):
            revoke(str(path), id_=gone, key="")
        return
    revoke(str(path), id_=gone, key="")
    found = yaml.safe_load(path.read_text())
    assert found == before | {"apiKeys": [each for each in before["apiKeys"] if each["id"] != gone]}
    assert path.read_text().endswith(after)
