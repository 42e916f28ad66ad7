"""The certificate of the gateway's port, which is read again whenever one of its files has changed.

Invariant: a pair that cannot be used is refused, and the last good one stays in force; at the start it ends the
process. A handshake uses the pair that is in force when it begins, so a change ends no connection. The files are read
every few seconds and compared by content: a Secret in a pod changes by a swapped link, which file events do not report
reliably, and between the two reads the certificate may be the new one and the key still the old one.
"""

import asyncio
import ssl
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import structlog
from cryptography import x509

from lambdaagent.errors import UsageError

log = structlog.get_logger(__name__)
EVERY = 5.0  # seconds
_MOST_BYTES = 1024 * 1024


class CertificateError(UsageError):
    """The certificate and its key cannot be used."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Paths of PEM files: the certificate, followed by those of its intermediate authorities, and its private key."""

    certificate: str
    key: str


class ServerCertificate:
    def __init__(self, files: CertificateFiles) -> None:
        """Raises CertificateError."""
        self._files = files
        self._seen = self._contents()
        self._in_force = self._load()
        self.context = self._load()
        self.context.sni_callback = self._choose  # called in every handshake, also without a server name

    def refresh(self) -> bool:
        """Put a changed pair in force, and return whether there was one. Raises CertificateError once for each change;
        the last good pair then stays in force.
        """
        found = self._contents()
        if found == self._seen:
            return False
        self._seen = found
        self._in_force = self._load()
        return True

    async def follow(self) -> None:
        """Put each changed pair in force, until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            try:
                changed = await asyncio.to_thread(self.refresh)
            except CertificateError as error:
                log.error("certificate.refused", error=str(error), next_step="correct it; the last good one is in use")
                continue
            except Exception:  # whatever is in the files: without this task, the certificate would expire
                log.exception("certificate.crashed", file=self._files.certificate)
                continue
            if changed:
                log.info("certificate.loaded", file=self._files.certificate, expires=self.expires())

    def expires(self) -> str:
        """Return until when the certificate in the file is valid; empty if that cannot be read."""
        try:
            found = x509.load_pem_x509_certificate(Path(self._files.certificate).read_bytes())
        except (OSError, ValueError):
            return ""
        return found.not_valid_after_utc.isoformat()

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._in_force

    def _contents(self) -> tuple[bytes, bytes]:
        """Return what a change is noticed by; `_load` reports a file that cannot be read."""
        return _digest(self._files.certificate), _digest(self._files.key)

    def _load(self) -> ssl.SSLContext:
        for path in (self._files.certificate, self._files.key):
            _read(path)  # the ssl module's own error does not name the file
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            # Without a password the module would ask for that of an encrypted key on the terminal.
            context.load_cert_chain(self._files.certificate, self._files.key, password="")
        except (OSError, ValueError) as error:
            cause = getattr(error, "reason", None) or "the files are not PEM, or the key is encrypted"
            pair = f"{self._files.certificate} and {self._files.key}"
            raise CertificateError(
                f"the certificate and the key in {pair} cannot be used: {str(cause).replace('_', ' ').lower()}"
            ) from None
        return context


def _read(path: str) -> bytes:
    try:
        if Path(path).exists() and not Path(path).is_file():
            raise CertificateError(f"{path} is not a file")  # opening a named pipe would block
        with Path(path).open("rb") as opened:
            return opened.read(_MOST_BYTES)
    except OSError as error:
        raise CertificateError(f"{path} cannot be read: {error.strerror}") from None


def _digest(path: str) -> bytes:
    try:
        return sha256(_read(path)).digest()
    except CertificateError:
        return b""
