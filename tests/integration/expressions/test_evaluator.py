"""Expressions are jq's, and none can hold, exhaust or leave its process."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lambdaagent.cancellation import cancel
from lambdaagent.expressions.evaluator import Evaluator, ExpressionError, ExpressionLimits


@pytest.fixture
async def evaluator() -> AsyncIterator[Evaluator]:
    made = Evaluator(ExpressionLimits(seconds=0.8, processes=2))
    async with made.running():
        yield made


async def test_expressions_share_an_input_and_variables(evaluator: Evaluator) -> None:
    found = await evaluator.evaluate(
        [".a + 1", "$context.x", "empty", "$item, 2"], {"a": 1}, {"context": {"x": "y"}, "item": 7}, holder="ann"
    )
    assert found == [2, "y", None, 7]
    assert await evaluator.evaluate([".[0] # a comment", "halt"], ["x"], {}, holder="ann") == ["x", None]


@pytest.mark.parametrize(
    "expression",
    [
        "def f: f; f",
        "[range(1e12)]",
        "last(repeat(1))",
        "def f: [f]; f",
        "reduce range(1e9) as $i (0; . + 1)",
        '"x" * 1e9',
    ],
)
async def test_what_never_ends_or_grows_ends_with_a_reason(evaluator: Evaluator, expression: str) -> None:
    with pytest.raises(ExpressionError, match=r"did not end|too much memory|characters|crash|too long"):
        await evaluator.evaluate([f"({expression}) | length"], 1, {}, holder="ann")
    assert await evaluator.evaluate(["1"], None, {}, holder="ann") == [1]


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        (".a |", "syntax error"),
        ("$secrets", "not defined"),
        ('import "os" as $x {search: "/etc"}; 1', "syntax error"),
        ('include "a"; 1', "syntax error"),
        ("input", "break"),
        ('error("mine")', "mine"),
        (". / 0", "divided|zero"),
    ],
)
async def test_an_expression_that_fails_says_why(evaluator: Evaluator, expression: str, why: str) -> None:
    with pytest.raises(ExpressionError, match=why) as failed:
        await evaluator.evaluate(["1", expression], 1, {}, holder="ann")
    assert failed.value.at == 1


async def test_an_answer_that_does_not_come_is_given_up() -> None:
    """A process that does not run costs its processor nothing, so the time on the wall counts, too."""
    made = Evaluator(ExpressionLimits(patience=0.5, processes=1))
    async with made.running():
        assert await made.evaluate(["1"], None, {}, holder="ann") == [1]
        [process] = made._all
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(ExpressionError, match="did not end"):
            await made.evaluate(["1"], None, {}, holder="ann")
        assert await made.evaluate(["2"], None, {}, holder="ann") == [2]
        assert process.returncode == -signal.SIGKILL


async def test_the_environment_is_empty_and_files_stay_closed(evaluator: Evaluator, tmp_path: Path) -> None:
    os.environ["LAMBDAAGENT_TEST_SECRET"] = "s3cret"
    try:
        found = await evaluator.evaluate(["env", "$ENV", "input_filename", "[get_search_list]"], 1, {}, holder="ann")
    finally:
        del os.environ["LAMBDAAGENT_TEST_SECRET"]
    assert "s3cret" not in str(found)
    assert found[2] is None


async def test_many_at_once_share_the_processes_and_the_loop_stays_free(evaluator: Evaluator) -> None:
    found = await asyncio.gather(*(evaluator.evaluate([". * 2"], each, {}, holder="ann") for each in range(200)))
    assert found == [[each * 2] for each in range(200)]


async def test_a_cancelled_evaluation_leaves_no_answer_to_the_next(evaluator: Evaluator) -> None:
    for _ in range(3):
        task = asyncio.create_task(evaluator.evaluate(["[range(300000)] | length"], 1, {}, holder="ann"))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await evaluator.evaluate(['"mine"'], 1, {}, holder="ann") == ["mine"]


async def test_one_whose_expressions_are_long_keeps_no_other_waiting(evaluator: Evaluator) -> None:
    long = [
        asyncio.create_task(evaluator.evaluate(["def f: f; f"], number, {}, holder="mallory")) for number in range(50)
    ]
    await asyncio.sleep(0)
    for number in range(20):
        assert await evaluator.evaluate([". * 2"], number, {}, holder="ann") == [number * 2]
    assert sum(each.done() for each in long) < 40
    await cancel(*long)
    assert await evaluator.evaluate(["1"], None, {}, holder="mallory") == [1]
