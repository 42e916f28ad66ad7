"""However often a process ends, a run comes to the same end, and no step is recorded twice."""

import asyncio
from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.coordination.workflow_harness import CrashError, Effects, Json, Result, Steps, document, run

from lambdaagent.cancellation import cancel
from lambdaagent.coordination.workflow_machine import Machine


def call(**parameters: Any) -> Json:
    return {"call": "a2a", "with": {"server": "a/b", "method": "SendMessage", "parameters": parameters}}


SOUND = [
    {"set": {"n": '${ ((.n? // 0) | if type == "number" then . else 0 end) + 1 }', "x": 1}},
    {"set": "${ {n: 1, was: .} | {n} }", "output": {"as": ".n"}},
    call(),
    {"wait": {"milliseconds": 5}},
    {"set": {"n": 2}, "if": "$item == 1"},
    {"emit": {"event": {"with": {"type": "a.b", "data": "${ . }"}}}},
]
LEAVES = st.sampled_from(
    [
        *SOUND,
        call(fails=True),
        {"set": {"n": 2}, "export": {"as": "{seen: ($context.seen? // 0)}"}},
        {"raise": {"error": {"type": "https://e.example", "status": 400}}},
        {"set": {"n": 3}, "then": "exit"},
        {"set": {"n": 4}, "then": "end"},
        {"switch": [{"one": {"when": "true", "then": "exit"}}], "if": "false"},
    ]
)


def _lists(tasks: st.SearchStrategy[Json]) -> st.SearchStrategy[list[Json]]:
    return st.lists(tasks, min_size=1, max_size=3).map(lambda each: [{f"t{n}": task} for n, task in enumerate(each)])


def _nested(tasks: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    some = _lists(tasks)
    retry = {"retry": {"delay": {"seconds": 1}, "limit": {"attempt": {"count": 2}}}}
    return st.one_of(
        some.map(lambda do: {"do": do}),
        some.map(lambda do: {"for": {"in": "[1, 2]"}, "do": do}),
        some.map(lambda do: {"for": {"in": "[1, 2, 3]"}, "while": "$index < 2", "do": do}),
        # How far the others are when one branch fails is a matter of chance, so here none does.
        _lists(st.sampled_from(SOUND)).map(lambda do: {"fork": {"branches": do}}),
        st.tuples(some, some).map(lambda two: {"try": two[0], "catch": {"do": two[1]}}),
        some.map(lambda do: {"try": do, "catch": {"errors": {"with": {"status": 503}}, **retry}}),
        some.map(lambda do: {"try": do, "catch": {}, "timeout": {"after": {"hours": 1}}}),
    )


def _with_item(do: list[Json]) -> Json:
    """Every expression may use `$item`."""
    return document([{"all": {"for": {"in": "[1]"}, "do": do}}])


DOCUMENTS = _lists(st.recursive(LEAVES, _nested, max_leaves=6)).map(_with_item)


async def crashing(made: Json, crashes: list[tuple[int, bool]]) -> tuple[Result, Effects, Steps]:
    effects, known = Effects(), dict[str, Json]()
    for at, written in crashes:
        steps = Steps(known, crash_at=at, written=written)
        try:
            return await run(made, {"n": 0}, steps=steps, effects=effects), effects, steps
        except CrashError:
            continue
    steps = Steps(known)
    return await run(made, {"n": 0}, steps=steps, effects=effects), effects, steps


@settings(max_examples=150, deadline=None)
@given(made=DOCUMENTS, crashes=st.lists(st.tuples(st.integers(1, 6), st.booleans()), max_size=6))
async def test_a_run_that_is_killed_at_any_records_ends_as_if_it_was_not(
    made: Json, crashes: list[tuple[int, bool]]
) -> None:
    whole, _, all_ = await crashing(made, [])
    ended, effects, steps = await crashing(made, crashes)
    assert ended == whole
    assert steps.known.keys() == all_.known.keys()
    unwritten = sum(not written for _, written in crashes)
    assert sum(effects.done.values()) <= len(effects.done) + unwritten  # each lost record costs one repetition at most


async def test_every_crash_between_two_steps_of_everything() -> None:
    do = [
        {"ask": call()},
        {"loop": {"for": {"in": "[1, 2]"}, "do": [{"ask": call()}, {"rest": {"wait": {"seconds": 5}}}]}},
        {"both": {"fork": {"branches": [{"a": call()}, {"b": {"do": [{"c": call()}, {"d": call()}]}}]}}},
        {"race": {"fork": {"compete": True, "branches": [{"a": call()}, {"b": call()}]}}},
        {"guard": {"try": [{"bad": call(fails=True)}], "catch": {
            "retry": {"delay": {"seconds": 2}, "limit": {"attempt": {"count": 2}}}, "do": [{"after": call()}]}}},
        {"keep": {"set": {"x": 1}, "export": {"as": "{kept: 7}"}}},
        {"tell": {"set": {"kept": "${ $context.kept }"}}},
    ]  # fmt: skip
    made = document(do)
    steps = Steps()
    whole = await run(made, steps=steps)
    assert whole == Result(output={"kept": 7})
    for at in range(1, steps.count + 1):
        ended, effects, _ = await crashing(made, [(at, True)])
        assert ended == whole, at
        assert set(effects.done.values()) == {1}, at
    ended, effects, _ = await crashing(made, [(1, True)] * (steps.count + 1))
    assert (ended, set(effects.done.values())) == (whole, {1})


async def test_a_wait_is_over_when_its_time_has_passed_elsewhere() -> None:
    made = document([{"rest": {"wait": "PT10S"}}, {"put": {"set": {"x": 1}}}])
    effects, known = Effects(), dict[str, Json]()
    with pytest.raises(CrashError):
        await run(made, steps=Steps(known, crash_at=2, written=True), effects=effects)  # the wait has begun
    effects.time += 4
    assert (await run(made, steps=Steps(known), effects=effects)).output == {"x": 1}
    assert effects.slept == [6.0]


async def test_retries_wait_longer_each_time_and_end() -> None:
    retry = {"delay": {"seconds": 1}, "backoff": {"exponential": {}}, "limit": {"attempt": {"count": 3}},
             "jitter": {"from": {"seconds": 0}, "to": {"seconds": 2}}}  # fmt: skip
    effects = Effects()
    made = document([{"guard": {"try": [{"bad": call(fails=True)}], "catch": {"as": "why", "retry": retry}}}])
    failed = await run(made, effects=effects)
    assert failed.error is not None
    assert (failed.error["status"], failed.error["instance"]) == (503, "/do/0/guard/try/0/bad")
    assert effects.slept == [2.0, 3.0, 5.0]
    assert [each for each, _ in effects.events].count("task.retried") == 3


async def test_a_timeout_is_an_error_that_can_be_caught() -> None:
    class Hanging(Effects):
        async def call(self, kind: str, given: Json, value: Any, key: str) -> Any:
            await asyncio.Event().wait()

    slow = {**call(), "timeout": {"after": {"milliseconds": 20}}}
    catch = {"errors": {"with": {"status": 408}}, "as": "why", "do": [{"put": {"set": {"late": "${ $why.type }"}}}]}
    found = await run(document([{"guard": {"try": [{"slow": slow}], "catch": catch}}]), effects=Hanging())
    assert found.output == {"late": "https://serverlessworkflow.io/spec/1.0.0/errors/timeout"}


class Blocked(Effects):
    """Waits do not end, and calls neither."""

    async def until(self, at: float) -> None:
        await asyncio.Event().wait()

    async def listen(self, how: str, filters: Any) -> Any:
        await asyncio.Event().wait()

    async def call(self, kind: str, given: Json, value: Any, key: str) -> Any:
        if given["parameters"].get("fails"):
            return await super().call(kind, given, value, key)
        return await asyncio.Event().wait()


HEAR = {"listen": {"to": {"one": {"with": {"type": "t"}}}}}
REST = {"wait": {"seconds": 50}}


@pytest.mark.parametrize(
    ("do", "until"),
    [
        pytest.param([REST], 1_050.0, id="a wait"),
        pytest.param([HEAR], inf, id="an event"),
        pytest.param([HEAR | {"timeout": {"after": {"seconds": 20}}}], 1_020.0, id="an event with a timeout"),
        pytest.param([call()], None, id="a call"),
        pytest.param([{"fork": {"branches": [{"a": REST}, {"b": HEAR}]}}], 1_050.0, id="two that wait"),
        pytest.param([{"fork": {"branches": [{"a": REST}, {"b": call()}]}}], None, id="one that waits"),
        pytest.param(
            [{"fork": {"branches": [{"a": REST}, {"b": {"set": {"x": 1}}}]}}], 1_050.0, id="one that waits, one ended"
        ),
        pytest.param(
            [{"fork": {"branches": [{"a": {"do": [{"c": {"fork": {"branches": [{"d": REST}, {"e": HEAR}]}}}]}},
                                    {"b": call()}]}}],
            None, id="inside another",
        ),
        pytest.param(
            [{"fork": {"compete": True, "branches": [{"a": {"set": {"x": 1}}}, {"b": call()}]}}, REST], 1_050.0,
            id="after a race",
        ),
        pytest.param(
            [{"try": [{"bad": call(fails=True)}],
              "catch": {"retry": {"delay": {"seconds": 7}, "limit": {"attempt": {"count": 2}}}}}], 1_007.0,
            id="a retry",
        ),
        pytest.param(
            [{"try": [{"f": {"fork": {"branches": [{"a": REST}, {"b": call(fails=True)}]}}}],
              "catch": {"do": [{"rest": REST}]}}], 1_050.0, id="after a fork that failed",
        ),
    ],
)  # fmt: skip
async def test_it_says_until_when_it_only_waits(do: list[Json], until: float | None) -> None:
    machine = Machine(
        document=document([{f"t{number}": task} for number, task in enumerate(do)]),
        run_id="r", input={}, started_at=1_000.0, steps=Steps(), effects=Blocked(),
    )  # fmt: skip
    assert machine.idle_until() is None
    running = asyncio.create_task(machine.run())
    for _ in range(60):
        await asyncio.sleep(0)
    assert not running.done()
    assert machine.idle_until() == until
    await cancel(running)
