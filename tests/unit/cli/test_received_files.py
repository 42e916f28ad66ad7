"""Files of an answer, whose names an agent chooses."""

from pathlib import Path

import pytest

from lambdaagent.cli.agents.received_files import ReceivedFiles, safe_name
from lambdaagent.errors import LambdaAgentError, UsageError


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("C:\\Windows\\cmd.exe", "cmd.exe"),
        (".bashrc", "bashrc"),
        ("..", "file"),
        ("", "file"),
        ("a\x1b[31m\nb", "a_[31m_b"),
        ("-rf", "-rf"),
        ("Übersicht 世.txt", "Übersicht 世.txt"),
        ("x" * 300 + ".txt", "x" * 116 + ".txt"),
        ("世" * 300, "世" * 40),
    ],
)
def test_a_name_is_neither_a_path_nor_hidden(given: str, safe: str) -> None:
    assert safe_name(given) == safe


def test_no_file_is_replaced_and_no_link_is_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    folder = tmp_path / "made" / "folder"
    files = ReceivedFiles(str(folder))
    (folder / "a.tar.gz").symlink_to(outside)
    assert files.write("a.tar.gz", b"1") == folder / "a-1.tar.gz"
    assert files.write("../a.tar.gz", b"2") == folder / "a-2.tar.gz"
    assert not outside.exists()
    assert (folder / "a-2.tar.gz").read_bytes() == b"2"


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"--output .*file"):
        ReceivedFiles(str(tmp_path / "file"))
    files = ReceivedFiles(str(tmp_path / "gone"))
    (tmp_path / "gone").rmdir()
    with pytest.raises(LambdaAgentError, match="cannot be written"):
        files.write("a", b"")
