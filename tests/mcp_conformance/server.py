"""The MCP server that the official conformance suite wants to find, as an agent's container: `spec.a2a.protocol: mcp`.

The suite's scenarios fix the names and answers of its tools, prompts and resources. It is made with the official SDK
and knows nothing of the gateway.
"""

import asyncio
import hashlib
import hmac
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

import mcp_types as types
import uvicorn
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.shared.exceptions import MCPError

Context = ServerRequestContext[Any, Any]
Result = types.CallToolResult | types.InputRequiredResult
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
SLOW = 0.6  # seconds: longer than a call is a plain request
KEY = b"of this process alone"


def text(said: str, **more: Any) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=said)], **more)


def form(message: str, **properties: Any) -> types.ElicitRequest:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=schema))


def sampling(prompt: str, tokens: int = 100) -> types.CreateMessageRequest:
    message = types.SamplingMessage(role="user", content=types.TextContent(type="text", text=prompt))
    return types.CreateMessageRequest(params=types.CreateMessageRequestParams(messages=[message], max_tokens=tokens))


def ask(state: str | None = None, **requests: Any) -> types.InputRequiredResult:
    return types.InputRequiredResult(input_requests=requests, request_state=state)


def answers(params: types.CallToolRequestParams | types.GetPromptRequestParams) -> dict[str, Any]:
    given = params.input_responses or {}
    return {name: answer.model_dump(mode="json", by_alias=True, exclude_none=True) for name, answer in given.items()}


def signed(state: str) -> str:
    return f"{state}.{hmac.new(KEY, state.encode(), hashlib.sha256).hexdigest()}"


def unsigned(state: str | None) -> str:
    found = (state or "").rpartition(".")[0]
    if not hmac.compare_digest(signed(found), state or ""):
        raise MCPError(types.INVALID_PARAMS, "the state was changed")
    return found


async def simple_text(_: Context, __: types.CallToolRequestParams) -> Result:
    return text("This is a simple text response for testing.")


async def image(_: Context, __: types.CallToolRequestParams) -> Result:
    return types.CallToolResult(content=[types.ImageContent(type="image", data=PNG, mime_type="image/png")])


async def audio(_: Context, __: types.CallToolRequestParams) -> Result:
    return types.CallToolResult(content=[types.AudioContent(type="audio", data=WAV, mime_type="audio/wav")])


def embedded(uri: str, mime_type: str, said: str) -> types.EmbeddedResource:
    resource = types.TextResourceContents(uri=uri, mime_type=mime_type, text=said)
    return types.EmbeddedResource(type="resource", resource=resource)


async def resource(_: Context, __: types.CallToolRequestParams) -> Result:
    said = "This is an embedded resource content."
    return types.CallToolResult(content=[embedded("test://embedded-resource", "text/plain", said)])


async def mixed(_: Context, __: types.CallToolRequestParams) -> Result:
    return types.CallToolResult(
        content=[
            types.TextContent(type="text", text="Multiple content types test:"),
            types.ImageContent(type="image", data=PNG, mime_type="image/png"),
            embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
        ]
    )


async def logging(context: Context, _: types.CallToolRequestParams) -> Result:
    for line in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await context.session.send_log_message("info", line, related_request_id=context.request_id)
        await asyncio.sleep(0.05)
    return text("Tool with logging executed successfully")


async def progress(context: Context, _: types.CallToolRequestParams) -> Result:
    token = (context.meta or {}).get("progress_token")
    for done in (0, 50, 100):
        if token is not None:
            await context.session.send_progress_notification(
                token, done, 100, related_request_id=str(context.request_id)
            )
        await asyncio.sleep(0.05)
    return text(f"Progress told for {token}")


async def error(_: Context, __: types.CallToolRequestParams) -> Result:
    return text("This tool intentionally returns an error for testing", is_error=True)


async def sample(_: Context, params: types.CallToolRequestParams) -> Result:
    answer = answers(params).get("sample")
    if answer is None:
        return ask(sample=sampling((params.arguments or {})["prompt"]))
    return text(f"LLM response: {answer['content']['text']}")


def elicited(request: Callable[[dict[str, Any]], types.ElicitRequest], word: str) -> Callable[..., Awaitable[Result]]:
    async def tool(_: Context, params: types.CallToolRequestParams) -> Result:
        answer = answers(params).get("form")
        if answer is None:
            return ask(form=request(params.arguments or {}))
        return text(f"{word}: action={answer['action']}, content={json.dumps(answer.get('content', {}))}")

    return tool


def user(arguments: dict[str, Any]) -> types.ElicitRequest:
    return form(arguments["message"], username={"type": "string"}, email={"type": "string"})


def defaults(_: dict[str, Any]) -> types.ElicitRequest:
    return form(
        "Please provide user information",
        name={"type": "string", "default": "John Doe"},
        age={"type": "integer", "default": 30},
        score={"type": "number", "default": 95.5},
        status={"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        verified={"type": "boolean", "default": True},
    )


def enums(_: dict[str, Any]) -> types.ElicitRequest:
    titled = [{"const": f"value{n}", "title": f"{word} Option"} for n, word in ((1, "First"), (2, "Second"))]
    options = ["option1", "option2", "option3"]
    return form(
        "Please select values",
        untitledSingle={"type": "string", "enum": options},
        titledSingle={"type": "string", "oneOf": titled},
        legacyEnum={"type": "string", "enum": ["opt1", "opt2"], "enumNames": ["Option One", "Option Two"]},
        untitledMulti={"type": "array", "items": {"type": "string", "enum": options}},
        titledMulti={"type": "array", "items": {"anyOf": titled}},
    )


NAME = {"type": "string"}
NAMED = form("What is your name?", name=NAME)
ROOTS = types.ListRootsRequest()


async def ask_name(_: Context, params: types.CallToolRequestParams) -> Result:
    answer = answers(params).get("user_name")
    return ask(user_name=NAMED) if answer is None else text(f"Hello, {answer['content']['name']}!")


async def ask_model(_: Context, params: types.CallToolRequestParams) -> Result:
    answer = answers(params).get("capital_question")
    if answer is None:
        return ask(capital_question=sampling("What is the capital of France?"))
    return text(answer["content"]["text"])


async def ask_roots(_: Context, params: types.CallToolRequestParams) -> Result:
    answer = answers(params).get("client_roots")
    return ask(client_roots=ROOTS) if answer is None else text(json.dumps(answer["roots"]))


async def ask_ok(_: Context, params: types.CallToolRequestParams) -> Result:
    if "confirm" not in answers(params):
        return ask(signed("confirming"), confirm=form("Please confirm", ok={"type": "boolean"}))
    return text(f"state-ok {unsigned(params.request_state)}")


async def ask_all(_: Context, params: types.CallToolRequestParams) -> Result:
    found = answers(params)
    if not {"user_name", "greeting", "client_roots"} <= found.keys():
        requests = {"user_name": NAMED, "greeting": sampling("Generate a greeting", 50), "client_roots": ROOTS}
        return ask(signed("all"), **requests)
    return text(f"{found['greeting']['content']['text']} {found['user_name']['content']['name']}")


async def ask_twice(_: Context, params: types.CallToolRequestParams) -> Result:
    found = answers(params)
    if "step1" in found:
        return ask(signed("second"), step2=form("Step 2: What is your favorite color?", color={"type": "string"}))
    if "step2" in found:
        return text(f"Done with {found['step2']['content']['color']} after {unsigned(params.request_state)}")
    return ask(signed("first"), step1=form("Step 1: What is your name?", name=NAME))


async def ask_what_can_be_asked(context: Context, _: types.CallToolRequestParams) -> Result:
    found = context.session.client_capabilities or types.ClientCapabilities()
    requests: dict[str, Any] = {}
    if found.sampling is not None:
        requests["sample"] = sampling("Say something")
    if found.elicitation is not None:
        requests["form"] = NAMED
    return ask(**requests)


async def needs_sampling(context: Context, _: types.CallToolRequestParams) -> Result:
    found = context.session.client_capabilities
    if found is None or found.sampling is None:
        raise MCPError(-32021, "sampling is needed", {"requiredCapabilities": {"sampling": {}}})
    return text("sampling is there")


async def greet(_: Context, params: types.CallToolRequestParams) -> Result:
    return text(f"Hello, {(params.arguments or {})['name']}!")


async def slow_compute(_: Context, params: types.CallToolRequestParams) -> Result:
    seconds = (params.arguments or {}).get("seconds", 0)
    await asyncio.sleep(seconds)
    return text(f"Computed for {seconds} s")


async def failing_job(_: Context, __: types.CallToolRequestParams) -> Result:
    await asyncio.sleep(1)
    return text("The job failed", is_error=True)


async def protocol_error_job(_: Context, __: types.CallToolRequestParams) -> Result:
    await asyncio.sleep(SLOW)
    raise MCPError(types.INTERNAL_ERROR, "the job broke")


async def confirm_delete(_: Context, params: types.CallToolRequestParams) -> Result:
    if "confirm" in answers(params):
        return text("Deleted")
    await asyncio.sleep(SLOW)
    return ask(confirm=form("Delete?", confirm={"type": "boolean"}))


async def multi_input(_: Context, params: types.CallToolRequestParams) -> Result:
    if {"name", "confirm"} <= answers(params).keys():
        return text("Both are there")
    await asyncio.sleep(SLOW)
    return ask(name=NAMED, confirm=form("Sure?", confirm={"type": "boolean"}))


async def with_task(_: Context, params: types.CallToolRequestParams) -> Result:
    answer = answers(params).get("user_name")
    if answer is None:
        return ask(user_name=NAMED)
    await asyncio.sleep(SLOW)
    return text(f"Hello, {answer['content']['name']}!")


ANY: dict[str, Any] = {"type": "object"}
STREETS: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
REGION: dict[str, Any] = {
    "type": "object",
    "properties": {"region": {"type": "string", "x-mcp-header": "Region"}, "query": {"type": "string"}},
    "required": ["region"],
}
REQUIRED = {"lambda.knative.io/taskSupport": "required"}


def needing(name: str, type_: str = "string") -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": type_}}, "required": [name]}


TOOLS: dict[str, tuple[Callable[[Context, types.CallToolRequestParams], Awaitable[Result]], dict[str, Any]]] = {
    "confirm_delete": (confirm_delete, needing("filename")),
    "failing_job": (failing_job, ANY),
    "greet": (greet, needing("name")),
    "json_schema_2020_12_tool": (simple_text, STREETS),
    "multi_input": (multi_input, ANY),
    "protocol_error_job": (protocol_error_job, ANY),
    "slow_compute": (slow_compute, {"type": "object", "properties": {"seconds": {"type": "number"}}}),
    "test_audio_content": (audio, ANY),
    "test_elicitation": (elicited(user, "User response"), needing("message")),
    "test_elicitation_sep1034_defaults": (elicited(defaults, "Elicitation completed"), ANY),
    "test_elicitation_sep1330_enums": (elicited(enums, "Elicitation completed"), ANY),
    "test_embedded_resource": (resource, ANY),
    "test_error_handling": (error, ANY),
    "test_image_content": (image, ANY),
    "test_input_required_result_capabilities": (ask_what_can_be_asked, ANY),
    "test_input_required_result_elicitation": (ask_name, ANY),
    "test_input_required_result_list_roots": (ask_roots, ANY),
    "test_input_required_result_multi_round": (ask_twice, ANY),
    "test_input_required_result_multiple_inputs": (ask_all, ANY),
    "test_input_required_result_request_state": (ask_ok, ANY),
    "test_input_required_result_sampling": (ask_model, ANY),
    "test_input_required_result_tampered_state": (ask_ok, ANY),
    "test_header_tool": (simple_text, REGION),
    "test_logging_tool": (logging, ANY),
    "test_missing_capability": (needs_sampling, ANY),
    "test_multiple_content_types": (mixed, ANY),
    "test_sampling": (sample, needing("prompt")),
    "test_simple_text": (simple_text, ANY),
    "test_streaming_elicitation": (ask_name, ANY),
    "test_tool_with_logging": (logging, ANY),
    "test_tool_with_progress": (progress, ANY),
    "test_tool_with_task": (with_task, ANY),
}
LONG = ("failing_job", "test_tool_with_task")


async def list_tools(_: Context, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
    tools = [
        types.Tool(name=name, description=name, input_schema=schema, _meta=REQUIRED if name in LONG else None)
        for name, (_, schema) in TOOLS.items()
    ]
    return types.ListToolsResult(tools=tools)


async def call_tool(context: Context, params: types.CallToolRequestParams) -> Result:
    if params.name not in TOOLS:
        raise MCPError(types.INVALID_PARAMS, f"there is no tool {params.name}")
    return await TOOLS[params.name][0](context, params)


RESOURCES = {
    "test://static-text": types.TextResourceContents(
        uri="test://static-text", mime_type="text/plain", text="This is the content of the static text resource."
    ),
    "test://static-binary": types.BlobResourceContents(uri="test://static-binary", mime_type="image/png", blob=PNG),
    "test://watched-resource": types.TextResourceContents(
        uri="test://watched-resource", mime_type="text/plain", text="Watched"
    ),
}


async def list_resources(_: Context, __: types.PaginatedRequestParams | None) -> types.ListResourcesResult:
    found = [types.Resource(uri=uri, name=uri, mime_type=each.mime_type) for uri, each in RESOURCES.items()]
    return types.ListResourcesResult(resources=found)


async def list_templates(_: Context, __: types.PaginatedRequestParams | None) -> types.ListResourceTemplatesResult:
    template = types.ResourceTemplate(uri_template="test://template/{id}/data", name="template")
    return types.ListResourceTemplatesResult(resource_templates=[template])


async def read_resource(_: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
    uri = str(params.uri)
    if uri.startswith("test://template/") and uri.endswith("/data"):
        id_ = uri.split("/")[3]
        said = json.dumps({"id": id_, "templateTest": True, "data": f"Data for ID: {id_}"})
        found = types.TextResourceContents(uri=uri, mime_type="application/json", text=said)
        return types.ReadResourceResult(contents=[found])
    if uri not in RESOURCES:
        raise MCPError(types.INVALID_PARAMS, "Resource not found", {"uri": uri})
    return types.ReadResourceResult(contents=[RESOURCES[uri]])


ARGUMENTS = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
    "test_input_required_result_prompt": (),
}


async def list_prompts(_: Context, __: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
    prompts = [
        types.Prompt(
            name=name,
            description=name,
            arguments=[types.PromptArgument(name=each, required=True) for each in arguments],
        )
        for name, arguments in ARGUMENTS.items()
    ]
    return types.ListPromptsResult(prompts=prompts)


async def get_prompt(
    _: Context, params: types.GetPromptRequestParams
) -> types.GetPromptResult | types.InputRequiredResult:
    given = params.arguments or {}
    blocks: list[Any]
    match params.name:
        case "test_simple_prompt":
            blocks = [types.TextContent(type="text", text="This is a simple prompt for testing.")]
        case "test_prompt_with_arguments":
            said = f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'"
            blocks = [types.TextContent(type="text", text=said)]
        case "test_prompt_with_embedded_resource":
            blocks = [
                embedded(given["resourceUri"], "text/plain", "Embedded resource content for testing."),
                types.TextContent(type="text", text="Please process the embedded resource above."),
            ]
        case "test_prompt_with_image":
            blocks = [
                types.ImageContent(type="image", data=PNG, mime_type="image/png"),
                types.TextContent(type="text", text="Please analyze the image above."),
            ]
        case "test_input_required_result_prompt":
            answer = answers(params).get("user_context")
            if answer is None:
                return ask(user_context=form("What context should the prompt use?", context={"type": "string"}))
            blocks = [types.TextContent(type="text", text=f"Use {answer['content']['context']}")]
        case _:
            raise MCPError(types.INVALID_PARAMS, f"there is no prompt {params.name}")
    return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=each) for each in blocks])


async def complete(_: Context, __: types.CompleteRequestParams) -> types.CompleteResult:
    return types.CompleteResult(completion=types.Completion(values=["paris", "park"], total=2, has_more=False))


SERVER: Server[Any] = Server(
    "conformance",
    version="1",
    on_list_tools=list_tools,
    on_call_tool=call_tool,
    on_list_resources=list_resources,
    on_list_resource_templates=list_templates,
    on_read_resource=read_resource,
    on_list_prompts=list_prompts,
    on_get_prompt=get_prompt,
    on_completion=complete,
)

if __name__ == "__main__":
    app = SERVER.streamable_http_app(stateless_http=True)
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ.get("PORT", "3001")), log_level="warning")
