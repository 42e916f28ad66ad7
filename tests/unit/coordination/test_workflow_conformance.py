"""The scenarios of the specification's conformance kit (ctk/features) that fall in the subset, in words of their own.

Left out are its scenarios of OpenAPI and of basic authentication, which are not of the subset. Two files of the kit
have the syntax of an alpha version (`branch`, a `do` that is an object); their scenarios are here in that of 1.0.
"""

from textwrap import dedent
from typing import Any

import pytest
from tests.unit.coordination.workflow_harness import Effects, Result, run

from lambdaagent.coordination import workflow_text
from lambdaagent.coordination.workflow_document import check
from lambdaagent.coordination.workflow_errors import fault
from lambdaagent.coordination.workflow_expressions import interpolated

HEAD = "document: {dsl: '1.0.3', namespace: default, name: kit, version: '1.0.0'}\n"
COLORS = """
- red:
    set: {colors: '${ .colors + ["red"] }'}
    THEN
- green:
    set: {colors: '${ .colors + ["green"] }'}
    THEN
- blue:
    set: {colors: '${ .colors + ["blue"] }'}
    THEN
"""


async def ran(do: str, given: Any = None, *, effects: Effects | None = None) -> Result:
    text = HEAD + "do:\n" + dedent(do).strip("\n")
    located = workflow_text.read(text.encode())
    faults, _ = check(located.value)
    assert faults == [], faults
    return await run(located.value, given, effects=effects)


def colors(then: str = "") -> str:
    return COLORS.replace("    THEN\n", f"    then: {then}\n" if then else "")


def pets(given: Any, value: Any) -> Any:
    """Answers `/pet/{id}` as a shop of pets would."""
    endpoint = given["endpoint"]
    path = interpolated(endpoint if isinstance(endpoint, str) else endpoint["uri"], value, quote=str) or ""
    name = path.rpartition("/")[2]
    if not name.isdigit():
        raise fault("communication", "no such pet", status=404)
    content = {"id": int(name), "name": "Rex", "status": "sold"}
    if given.get("output") == "response":
        return {
            "request": {"method": "GET", "uri": path, "headers": {}},
            "statusCode": 200,
            "headers": {},
            "content": content,
        }
    return content


async def test_data_flow_input_is_filtered() -> None:
    do = """
    - keep:
        input: {from: .user.claims.subject}
        set: {player: '${ . }'}
    """
    assert (await ran(do, {"user": {"claims": {"subject": "abc"}}})).output == {"player": "abc"}


GET = "call: http\n    with: {method: get, endpoint: {uri: 'https://pets.example/pet/{id}'}}"


async def test_data_flow_output_is_filtered_and_may_be_no_object() -> None:
    one = f"\n- get:\n    {GET}\n    output: {{as: .id}}\n"
    assert (await ran(one, {"id": 1}, effects=Effects(http=pets))).output == 1
    two = one + (
        "- again:\n    call: http\n    with: {method: get, endpoint: 'https://pets.example/pet/2'}\n"
        "    output: {as: '{ids: [ $input, .id ]}'}\n"
    )
    assert (await ran(two, {"id": 1}, effects=Effects(http=pets))).output == {"ids": [1, 2]}


async def test_call_http_gives_the_content_or_the_response() -> None:
    assert (await ran(f"\n- get:\n    {GET}\n", {"id": 3}, effects=Effects(http=pets))).output["name"] == "Rex"
    whole = GET.replace("method: get,", "method: get, output: response,")
    found = (await ran(f"\n- get:\n    {whole}\n", {"id": 3}, effects=Effects(http=pets))).output
    assert found.keys() == {"request", "statusCode", "headers", "content"}
    assert found["request"].keys() >= {"method", "uri", "headers"}


async def test_do_and_implicit_flow_run_in_order() -> None:
    assert (await ran(colors())).output == {"colors": ["red", "green", "blue"]}
    inner = "- all:\n    do:\n" + "".join(f"      {line}\n" for line in colors().strip("\n").splitlines())
    assert (await ran(inner)).output == {"colors": ["red", "green", "blue"]}


async def test_explicit_flow_follows_directives() -> None:
    do = """
    - red:
        set: {colors: '${ .colors + ["red"] }'}
        then: green
    - blue:
        set: {colors: '${ .colors + ["blue"] }'}
        then: end
    - green:
        set: {colors: '${ .colors + ["green"] }'}
        then: blue
    """
    effects = Effects()
    assert (await ran(do, effects=effects)).output == {"colors": ["red", "green", "blue"]}
    begun = [place for event, place in effects.events if event == "task.started"]
    assert begun == ["/do/0/red", "/do/2/green", "/do/1/blue"]


async def test_emit_gives_the_event() -> None:
    do = r"""
    - greet:
        emit:
          event:
            with:
              source: https://example.com
              type: com.example.greeted.v1
              data: {greetings: '${ "Hello \(.user.first) \(.user.last)!" }'}
    """
    effects = Effects()
    found = (await ran(do, {"user": {"first": "John", "last": "Doe"}}, effects=effects)).output
    assert found.keys() >= {"id", "specversion", "time", "source", "type", "data"}
    assert (found["type"], found["data"]) == ("com.example.greeted.v1", {"greetings": "Hello John Doe!"})
    assert effects.emitted == [found]


async def test_for_passes_items_and_indexes_and_the_output_on() -> None:
    do = """
    - loop:
        for: {each: color, in: .colors}
        do:
          - mark:
              set:
                processed: '${ {colors: (.processed.colors + [$color]), indexes: (.processed.indexes + [$index])} }'
    """
    found = (await ran(do, {"colors": ["red", "green", "blue"]})).output
    assert found == {"processed": {"colors": ["red", "green", "blue"], "indexes": [0, 1, 2]}}


async def test_fork_with_compete_has_one_winner() -> None:
    branches = "".join(f"        {line}\n" for line in colors().strip("\n").splitlines())
    found = await ran(f"- race:\n    fork:\n      compete: true\n      branches:\n{branches}")
    assert len(found.output["colors"]) == 1


async def test_raise_faults_with_the_error() -> None:
    do = """
    - refuse:
        raise:
          error: {status: 400, type: https://example.com/errors/compliance, title: Compliance Error}
    """
    assert (await ran(do)).error == {
        "status": 400, "type": "https://example.com/errors/compliance", "title": "Compliance Error",
        "instance": "/do/0/refuse",
    }  # fmt: skip


async def test_set_replaces_the_data() -> None:
    do = "\n- put:\n    set: {shape: circle, size: '${ .c.size }', fill: '${ .c.fill }'}\n"
    given = {"c": {"size": {"width": 6}, "fill": {"red": 69}}}
    assert (await ran(do, given)).output == {"shape": "circle", "size": {"width": 6}, "fill": {"red": 69}}


SWITCH = """
- choose:
    switch:
      - red: {when: '.color == "red"', then: red}
      - green: {when: '.color == "green"', then: green}
DEFAULT
"""


@pytest.mark.parametrize(
    ("more", "color", "expected"),
    [
        ("", "green", {"colors": ["green"]}),
        ("    then: end", "yellow", {"color": "yellow"}),
        ("      - other: {then: custom}", "yellow", {"colors": ["yellow"]}),
    ],
)
async def test_switch_takes_the_first_case_or_the_default(more: str, color: str, expected: Any) -> None:
    custom = "- custom:\n    set: {colors: '${ .colors + [ $input.color ] }'}\n"
    do = SWITCH.replace("DEFAULT\n", more + "\n" if more else "") + colors("end").lstrip("\n") + custom
    assert (await ran(do, {"color": color})).output == expected


@pytest.mark.parametrize("status", [404, 503])
async def test_try_handles_the_errors_that_it_names_and_no_others(status: int) -> None:
    do = f"""
    - attempt:
        try:
          - get:
              call: http
              with: {{method: get, endpoint: {{uri: 'https://pets.example/pet/{{name}}'}}}}
        catch:
          errors:
            with:
              type: https://serverlessworkflow.io/spec/1.0.0/errors/communication
              status: {status}
          as: err
          do:
            - keep:
                set: {{error: '${{ $err }}'}}
    """
    found = await ran(do, {"name": "Milou"}, effects=Effects(http=pets))
    error = found.output["error"] if status == 404 else found.error
    assert error.keys() >= {"type", "status", "title"}
    assert error["instance"] == "/do/0/attempt/try/0/get"
    assert (found.error is None) == (status == 404)
