"""Whose certificates a process accepts: those of the system's authorities, and of those in LAMBDAAGENT_CA_FILE besides.

Invariant: a file adds trust and takes none away; a private authority for RabbitMQ leaves the others in force.
The file is read once, at the start. Hazard: who may write the file may pose as any of these servers.
"""

import functools
import re
import ssl
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "LAMBDAAGENT_CA_FILE"
# As much as a ConfigMap holds; the authorities of a whole system take a quarter of it.
_MOST_BYTES = 1024 * 1024
_BEGIN = b"-----BEGIN CERTIFICATE-----"
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----")
_WRONG_NAME = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


@dataclass(frozen=True, slots=True)
class Trust:
    """`pem` holds the certificates of authorities that are accepted beside the system's."""

    pem: str = ""

    def context(self) -> ssl.SSLContext:
        """For clients. All users of one trust share it, so it must not be changed."""
        return _shared(self)

    def own_context(self) -> ssl.SSLContext:
        """One that the caller may change."""
        context = ssl.create_default_context()
        if self.pem:
            context.load_verify_locations(cadata=self.pem)
        return context


SYSTEM = Trust()


def read(path: str) -> Trust:
    """Raises ValueError, which names the file and its fault; an empty path is the system's trust."""
    if not path:
        return SYSTEM
    file = Path(path)
    try:
        if file.exists() and not file.is_file():
            raise ValueError(f"{path} is not a file")  # and opening a pipe would wait for its other end
        with file.open("rb") as opened:
            data = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > _MOST_BYTES:
        raise ValueError(f"{path} is larger than {_MOST_BYTES // 1024} KiB; keep only the authorities that are needed")
    return Trust(_checked(path, data))


def explain(error: ssl.SSLCertVerificationError) -> str:
    """What is wrong with a server's certificate, and what to do."""
    cause = (error.verify_message or "certificate verification failed").rstrip(".")
    if error.verify_code in _WRONG_NAME:
        return f"certificate verification failed: {cause}: use a name that the certificate is for"
    return f"certificate verification failed: {cause}: name a file with its authority's certificate in {VARIABLE}"


@functools.cache
def _shared(trust: Trust) -> ssl.SSLContext:
    return trust.own_context()


def _checked(path: str, data: bytes) -> str:
    """The certificates alone: a bundle may hold comments in any encoding between them."""
    if not data.strip():
        raise ValueError(f"{path} is empty")
    found = _CERTIFICATE.findall(data)
    if not found and _BEGIN not in data:
        raise ValueError(f"{path} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
    if len(found) != data.count(_BEGIN):
        raise ValueError(f"{path} holds a certificate that is cut off or not base64")
    # OpenSSL reads up to the first that it cannot read, and says nothing if there was one before.
    for number, each in enumerate(found, start=1):
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=each.decode("ascii"))
        except (ssl.SSLError, ValueError):
            raise ValueError(f"{path}: certificate {number} cannot be read") from None
    return "\n".join(each.decode("ascii") for each in found) + "\n"
