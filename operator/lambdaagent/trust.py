"""The certificate authorities that a process trusts: those of the system, and those in LAMBDAAGENT_CA_FILE.

Invariant: the file only adds authorities; a private authority for RabbitMQ leaves the system's in force. The file is
read once, at startup. Hazard: whoever can write the file can impersonate every server that the process connects to.
"""

import functools
import os
import re
import ssl
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "LAMBDAAGENT_CA_FILE"
# The maximum size of a ConfigMap; all authorities of a system take a quarter of it.
_MOST_BYTES = 1024 * 1024
_BEGIN = b"-----BEGIN CERTIFICATE-----"
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----")
_WRONG_NAME = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


@dataclass(frozen=True, slots=True)
class Trust:
    """`pem` holds the certificates of the authorities that are trusted in addition to the system's."""

    pem: str = ""

    def context(self) -> ssl.SSLContext:
        """Return the TLS context for clients. It is shared, so the caller must not change it."""
        return _shared(self)

    def own_context(self) -> ssl.SSLContext:
        """Return a new TLS context, which the caller may change."""
        context = ssl.create_default_context()
        if self.pem:
            context.load_verify_locations(cadata=self.pem)
        return context


SYSTEM = Trust()


def read(path: str) -> Trust:
    """Read the file; an empty path means the system's authorities. Raises ValueError with the path and the cause."""
    if not path:
        return SYSTEM
    file = Path(path)
    try:
        if file.exists() and not file.is_file():
            raise ValueError(f"{path} is not a file")  # opening a named pipe would block
        with file.open("rb") as opened:
            data = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > _MOST_BYTES:
        raise ValueError(f"{path} is larger than {_MOST_BYTES // 1024} KiB; keep only the authorities that are needed")
    return Trust(_checked(path, data))


def explain(error: ssl.SSLCertVerificationError) -> str:
    """Return why a server's certificate was refused, and the remedy."""
    cause = (error.verify_message or "certificate verification failed").rstrip(".")
    if error.verify_code in _WRONG_NAME:
        return f"certificate verification failed: {cause}: use a name that the certificate is for"
    return f"certificate verification failed: {cause}: name a file with its authority's certificate in {VARIABLE}"


def unreachable(error: Exception) -> str:
    """Return why aiohttp's client got no response, without the address; for a certificate, with the remedy."""
    certificate, cause = getattr(error, "certificate_error", None), getattr(error, "os_error", None)
    if isinstance(certificate, ssl.SSLCertVerificationError):
        return explain(certificate)
    # asyncio writes the address into the error's own text.
    return os.strerror(cause.errno) if isinstance(cause, OSError) and cause.errno else type(error).__name__


@functools.cache
def _shared(trust: Trust) -> ssl.SSLContext:
    return trust.own_context()


def _checked(path: str, data: bytes) -> str:
    """Return only the certificates, because a bundle may contain comments in any encoding. Raises ValueError."""
    if not data.strip():
        raise ValueError(f"{path} is empty")
    found = _CERTIFICATE.findall(data)
    if not found and _BEGIN not in data:
        raise ValueError(f"{path} contains no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
    if len(found) != data.count(_BEGIN):
        raise ValueError(f"{path} contains a certificate that is cut off or not base64")
    # OpenSSL stops at the first certificate that it cannot read, without an error if it read one before.
    for number, each in enumerate(found, start=1):
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=each.decode("ascii"))
        except (ssl.SSLError, ValueError):
            raise ValueError(f"{path}: certificate {number} cannot be read") from None
    return "\n".join(each.decode("ascii") for each in found) + "\n"
