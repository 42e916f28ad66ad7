"""Where the operator may call the MCP servers that authors of LambdaAgents name.

Hazard: the operator may reach addresses that they may not. So it calls the public internet, Services of the cluster by
their names, the trusted domains of the access file (as it is at the start) and LAMBDAAGENT_TOOLS_ALLOW, and nothing
else: neither this machine nor a cloud's metadata.
"""

from lambdaagent.access.installation import parse
from lambdaagent.identity.reading import read_text
from lambdaagent.settings import OperatorSettings
from lambdaagent.webhooks import address_check
from lambdaagent.webhooks.address_check import CheckOf


def check_of(settings: OperatorSettings) -> CheckOf:
    """Return the check for a host. Raises AccessFileError."""
    names = ["*.svc", f"*.svc.{settings.cluster_domain}"]
    if settings.access_file:
        names += parse(read_text(settings.access_file), file=settings.access_file).trusted_domains
    return address_check.public(allowed=settings.tools_allowed, trusted=lambda: names)
