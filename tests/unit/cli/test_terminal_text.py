"""What of others' text reaches a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdaagent.cli.terminal_text import TerminalText, clean


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\n\ttext é 世 👩‍💻", "plain\n\ttext é 世 👩‍💻"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0\x1b\\image", "image"),
        ("a\x1bcb", "ab"),
        ("over\rwritten\x08\x7f", "overwritten"),
        ("line\r\nline", "line\nline"),
        ("bell\x07\x00", "bell"),
        ("abc\u202edef\u2066", "abcdef"),
        ("cut \x1b[3", "cut "),
    ],
)
def test_text_keeps_lines_and_loses_what_a_terminal_obeys(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_a_sequence_that_comes_in_pieces_is_removed() -> None:
    whole = "one \x1b[1;31mtwo\x1b]0;title\x1b\\ three"
    for place in range(len(whole)):
        text = TerminalText()
        assert text.feed(whole[:place]) + text.feed(whole[place:]) == "one two three", place


def test_a_string_that_does_not_end_holds_little_back() -> None:
    text = TerminalText()
    text.feed("\x1b]")
    assert "visible" in "".join(text.feed("visible" * 1000) for _ in range(2))


@given(st.lists(st.text(alphabet="\x1b\x9b[]0;m\x07\\\n ab\u202e\x85")))
def test_no_control_character_is_left(pieces: list[str]) -> None:
    text = TerminalText()
    shown = "".join(text.feed(each) for each in pieces)
    assert all(each == "\n" or each.isprintable() for each in shown)
