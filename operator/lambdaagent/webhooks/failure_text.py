"""Why a call of aiohttp's client failed, as a text for status and logs.

It has no addresses and times: they would change the status although nothing else changed.
"""

import os

import aiohttp

from lambdaagent.trust import VARIABLE
from lambdaagent.webhooks import address_check


def why(problem: Exception, *, seconds: float) -> str:
    if (forbidden := address_check.refusal(problem)) is not None:
        return str(forbidden)
    match problem:
        case TimeoutError():
            return f"no response within {seconds:.0f} s"
        case aiohttp.ClientConnectorDNSError():
            return "the host name does not resolve"
        case aiohttp.ClientConnectorCertificateError():
            return f"its certificate is not trusted; {VARIABLE} of the operator names further authorities"
        case aiohttp.ClientConnectorError():
            return os.strerror(problem.os_error.errno) if problem.os_error.errno else "cannot connect"
        case aiohttp.ServerDisconnectedError():
            return "it closes the connection"
        case ValueError():
            return str(problem)
    return type(problem).__name__
