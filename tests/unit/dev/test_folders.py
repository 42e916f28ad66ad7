"""The data folder of `lambdaagent dev`: errors name what is wrong, and other commands find its address there."""

from pathlib import Path

import pytest

from lambdaagent.dev import folders
from lambdaagent.errors import UsageError


@pytest.mark.parametrize(
    ("name", "says"),
    [
        pytest.param("file", "File exists", id="a file"),
        pytest.param("file/below", "Not a directory", id="below a file"),
        pytest.param("x" * 300, "File name too long", id="too long"),
        pytest.param("/proc/nowhere", "No such file", id="where nothing can be made"),
    ],
)
def test_a_folder_that_will_not_do_is_named_with_its_cause(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError) as refused:
        folders.prepare(tmp_path / name)
    assert f"--data {tmp_path / name}" in str(refused.value)
    assert says in str(refused.value)


def test_a_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    folders.prepare(tmp_path / "a" / "b")
    folders.prepare(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_the_address_is_kept_and_a_folder_without_one_has_none(tmp_path: Path) -> None:
    assert folders.address(tmp_path) == ""
    folders.keep_address(tmp_path, "http://127.0.0.1:1")
    assert folders.address(tmp_path) == "http://127.0.0.1:1"
    with pytest.raises(UsageError, match="cannot be written to"):
        folders.keep_address(tmp_path / "gone", "x")


def test_the_folder_here_counts_only_where_nothing_else_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert folders.default(unless="") is None
    folders.prepare(folders.DEFAULT)
    folders.database(folders.DEFAULT).touch()
    assert folders.default(unless="") == folders.DEFAULT
    assert folders.default(unless="amqp://somewhere") is None
