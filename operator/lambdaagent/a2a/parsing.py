"""Parses a request's body as JSON, limited in depth and in the number of its values."""

from typing import Any

import orjson

from lambdaagent import bounded_json
from lambdaagent.a2a.errors import A2AError, Problem


def parse(body: bytes) -> Any:
    """Raises A2AError."""
    try:
        return bounded_json.loads(body)
    except bounded_json.BoundError as error:
        raise A2AError(Problem.INVALID_REQUEST, f"The request is refused: {error}.") from None
    except orjson.JSONDecodeError as error:
        raise A2AError(Problem.PARSE, f"The request is not JSON: {str(error)[:200]}") from None
