"""The revisions of the protocol, its error codes with their HTTP statuses, and the names of its metadata.

Since 2026-07-28 each request stands alone and carries its version. Clients of the revisions before begin with a
handshake; they are served without a session, so that any replica answers any request.
"""

from collections.abc import Mapping
from enum import IntEnum
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

MODERN = ("2026-07-28",)
HANDSHAKE = ("2025-03-26", "2025-06-18", "2025-11-25")  # oldest first
FIRST_WITH_FORMS = "2025-06-18"
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CLIENT_KEY = "io.modelcontextprotocol/clientInfo"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
LOG_LEVEL_KEY = "io.modelcontextprotocol/logLevel"
SERVER_KEY = "io.modelcontextprotocol/serverInfo"


SERVER: Mapping[str, Any] = MappingProxyType(
    {"name": "lambdaagent", "title": "LambdaAgent", "version": version("lambdaagent")}
)


class Code(IntEnum):
    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL_ERROR = -32603
    FORBIDDEN = -32001  # of this gateway: the protocol defines none
    RESOURCE_NOT_FOUND = -32002  # of the revisions before 2026-07-28
    HEADER_MISMATCH = -32020
    MISSING_CAPABILITY = -32021
    UNSUPPORTED_VERSION = -32022


# Of modern requests; clients of the handshake revisions expect 200 for what a method answers.
STATUS: Mapping[Code, int] = MappingProxyType(
    {
        Code.PARSE_ERROR: 400,
        Code.INVALID_REQUEST: 400,
        Code.METHOD_NOT_FOUND: 404,
        Code.INVALID_PARAMS: 400,
        Code.INTERNAL_ERROR: 500,
        Code.FORBIDDEN: 403,
        Code.RESOURCE_NOT_FOUND: 404,
        Code.HEADER_MISMATCH: 400,
        Code.MISSING_CAPABILITY: 400,
        Code.UNSUPPORTED_VERSION: 400,
    }
)


class McpError(Exception):
    """An error response. `data` is for programs."""

    def __init__(self, code: Code, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data

    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = {"code": int(self.code), "message": str(self)}
        return found if self.data is None else {**found, "data": self.data}
