"""Every field of the spec has an effect, causes a warning or is refused: a test for each field."""

from typing import Any

import pytest
from docs.generate import fields
from tests.cases.effects import Refused
from tests.cases.fields import ROWS, documents
from tests.cases.fields.rows import Row

from lambdaagent.api.validation import problems


def test_every_field_has_its_row() -> None:
    paths = [row.path for row in ROWS]
    assert sorted(set(paths)) == sorted(field.path for field in fields() if field.leaf)
    assert len(set(paths)) == len(paths)


def test_every_field_and_block_says_what_it_is() -> None:
    assert [field.path for field in fields() if not field.description] == []


@pytest.mark.parametrize("row", ROWS, ids=[row.path for row in ROWS])
def test_a_field_shows_where_the_reference_says(row: Row) -> None:
    without, with_it = documents(row)
    refused = any(isinstance(effect, Refused) for effect in row.effects)
    assert problems(without) == []
    assert bool(problems(with_it)) is refused
    assert row.effects
    for effect in row.effects:
        before, after = effect.look(without, row.path), effect.look(with_it, row.path)
        expected: Any = effect.expected(row.value)
        assert before != after, effect
        assert after == expected, effect
