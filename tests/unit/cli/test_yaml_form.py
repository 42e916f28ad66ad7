"""YAML for people: readable, and without what a terminal obeys."""

import pytest
import yaml

from lambdaagent.cli.yaml_form import dump


@pytest.mark.parametrize("text", ["plain", "two\nlines\n", "\x1b[31m", "\x9b31m", "a\u202eb\nc", "Grüße", "\x85", ""])
def test_text_is_read_back_as_it_was(text: str) -> None:
    written = dump({text: text})
    assert yaml.safe_load(written) == {text: text}
    assert all(each == "\n" or each.isprintable() for each in written)


def test_lines_are_a_block() -> None:
    assert dump({"a": "one\ntwo\n"}) == "a: |\n  one\n  two\n"
