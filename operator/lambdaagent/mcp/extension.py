"""What the Model Context Protocol has and A2A lacks, as metadata of A2A's objects. A container that speaks A2A may use
it too: clients of A2A ignore it.

INPUT_REQUESTS is in the status message of a task that waits for its client; the client's next message answers each
by name in INPUT_RESPONSES.
"""

from lambdaagent.api.base import GROUP

INPUT_REQUESTS = "io.modelcontextprotocol/inputRequests"
"""Name to `{method, params}`: elicitation/create, sampling/createMessage or roots/list."""
INPUT_RESPONSES = "io.modelcontextprotocol/inputResponses"
"""Name to the result of the request of that name, in the metadata of the client's message."""
REQUEST_STATE = "io.modelcontextprotocol/requestState"
"""What the agent's server wants back with the answers, beside INPUT_REQUESTS; opaque. The gateway sends it itself."""
PROGRESS = "io.modelcontextprotocol/progress"
"""`{progress, total?, message?}`, in the metadata of an update of a working task's status."""
LOG = "io.modelcontextprotocol/log"
"""`{level, logger?, data}`, likewise."""
CONTENT = "io.modelcontextprotocol/content"
"""In a part's metadata: what its content block says besides the part's own fields, such as `uri` and `annotations`."""
STRUCTURED = "io.modelcontextprotocol/structuredContent"
"""True in the metadata of a part of data that is the result's structuredContent."""
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
"""What the host can be asked, in the metadata of the client's message."""
ERROR = "io.modelcontextprotocol/error"
"""`{code, message, data?}` in the metadata of a failed task: the failure is one of the protocol, not of the tool."""
TOOL = f"{GROUP}/tool"
"""`{name, reason}` in the metadata of a task's first message: the platform's tool that began it."""
