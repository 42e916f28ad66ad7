"""Well-known paths (RFC 8615) that agents and the gateway serve."""

AGENT_CARD = "/.well-known/agent-card.json"
LEGACY_AGENT_CARD = "/.well-known/agent.json"  # before A2A 0.3.0
JWKS = "/.well-known/jwks.json"
API_CATALOG = "/.well-known/api-catalog"  # RFC 9727
PROTECTED_RESOURCE = "/.well-known/oauth-protected-resource"  # RFC 9728
AI_CATALOG = "/.well-known/ai-catalog.json"
ARD = "/.well-known/ard.json"  # the same, since ARD 0.91
