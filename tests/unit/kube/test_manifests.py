from pathlib import Path

import pytest

from lambdaagent.errors import UsageError
from lambdaagent.kube import manifests


def made(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_the_files_of_a_directory_are_sorted_and_hidden_and_fetched_ones_are_left_out(tmp_path: Path) -> None:
    made(tmp_path, "b.yaml", "a.yml", "deep/er/c.json", "notes.txt", ".lambdaagent/x.yaml", ".hidden.yaml")
    made(tmp_path, "node_modules/p/x.yaml", "deep/.git/x.yaml", "venv/x.json", "deep/__pycache__/x.yaml")
    found = manifests.files([str(tmp_path)])
    names = [".hidden.yaml", "a.yml", "b.yaml", "deep/er/c.json"]
    assert [path.relative_to(tmp_path).as_posix() for path in found] == names


def test_a_path_that_is_named_is_read_wherever_it_is(tmp_path: Path) -> None:
    made(tmp_path, ".hidden/a.yaml", "node_modules/a.yaml")
    paths = [str(tmp_path / ".hidden"), str(tmp_path / "node_modules/a.yaml")]
    assert len(manifests.files(paths)) == 2


def test_a_directory_with_nothing_of_its_own_is_an_error(tmp_path: Path) -> None:
    made(tmp_path, "node_modules/a.yaml")
    with pytest.raises(UsageError, match="name a file or another directory"):
        manifests.files([str(tmp_path)])
