"""The fields of each kind of task in the subset of Serverless Workflow: their names, and what each may be."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from lambdaagent.coordination import workflow_fields as fields
from lambdaagent.coordination.workflow_fields import Check

_METHODS_A2A = ("message/send", "SendMessage")
_METHODS_HTTP = ("get", "post", "put", "patch", "delete", "head", "options")

Fields = Mapping[str, Check]
COMMON: Fields = MappingProxyType(
    {
        "if": fields.text,
        "input": fields.map_,
        "output": fields.map_,
        "export": fields.map_,
        "timeout": fields.map_,
        "then": fields.text,
        "metadata": fields.map_,
    }
)
OF_KIND: Mapping[str, Fields] = MappingProxyType(
    {
        "do": {"do": fields.list_},
        "call": {"call": fields.one_of("a2a", "http", "mcp"), "with": fields.map_},
        "for": {"for": fields.map_, "while": fields.text, "do": fields.list_},
        "fork": {"fork": fields.map_},
        "switch": {"switch": fields.list_},
        "set": {"set": fields.anything},
        "emit": {"emit": fields.map_},
        "listen": {"listen": fields.map_},
        "raise": {"raise": fields.map_},
        "wait": {"wait": fields.duration},
        "try": {"try": fields.list_, "catch": fields.map_},
    }
)
CALLS: Mapping[str, tuple[Fields, Sequence[str]]] = MappingProxyType(
    {
        "a2a": (
            {
                "agentCard": fields.anything,
                "server": fields.anything,
                "method": fields.one_of(*_METHODS_A2A),
                "parameters": fields.map_,
            },
            ("method", "parameters"),
        ),
        "mcp": (
            {
                "protocolVersion": fields.text,
                "method": fields.one_of("tools/call"),
                "parameters": fields.map_,
                "transport": fields.map_,
                "client": fields.map_,
            },
            ("method", "parameters", "transport"),
        ),
        "http": (
            {
                "method": lambda value: fields.one_of(*_METHODS_HTTP)(value.lower() if isinstance(value, str) else ""),
                "endpoint": fields.anything,
                "headers": fields.map_,
                "query": fields.map_,
                "body": fields.anything,
                "output": fields.one_of("content", "response"),
                "redirect": fields.boolean,
            },
            ("method", "endpoint"),
        ),
    }
)
