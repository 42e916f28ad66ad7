"""The parts of which the definitions of the platform's own tools are made."""

from lambdaagent.a2a import Json


def object_(required: list[str], **properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def text(description: str) -> Json:
    return {"type": "string", "description": description}


def texts(description: str) -> Json:
    return {"type": "array", "items": {"type": "string", "maxLength": 256}, "maxItems": 32, "description": description}


def tool(name: str, title: str, description: str, arguments: Json, result: Json | None, *, reads: bool = False) -> Json:
    found = {"name": name, "title": title, "description": description, "inputSchema": arguments}
    if result is not None:
        found["outputSchema"] = result
    return found | ({"annotations": {"readOnlyHint": True}} if reads else {})
