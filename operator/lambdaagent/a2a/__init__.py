"""The A2A protocol, 1.0 and 0.3: cards, states, codecs, errors, JSON-RPC. Pure; payloads stay parsed dicts.

Inside the project everything is in the 1.0 form, camelCase; 0.3 exists only at the edge (`v03`). Unknown fields and
metadata pass through unchanged: only what the protocol requires is validated.
"""

from typing import Any

Json = dict[str, Any]
