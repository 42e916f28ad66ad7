"""The A2A protocol, 1.0 and 0.3: cards, states, codecs, errors, JSON-RPC. Pure; payloads stay parsed dicts.

Inside the project everything is in the 1.0 form, camelCase; 0.3 exists at the edge only (`v03`). Unknown fields and
metadata pass through untouched: validated is what the protocol requires, no more.
"""

from typing import Any

Json = dict[str, Any]
