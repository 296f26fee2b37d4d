"""TLS before a PostgreSQL server that was built without it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAME = "localhost"
REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"
"""What a client sends first: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL."""


def certify(folder: Path) -> Path:
    """Write a certificate of its own making for `NAME`, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now, day = datetime.now(UTC), timedelta(days=1)
    certificate = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), now - day, now + day
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    path = folder / "own.pem"
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(key.private_bytes(pem, *form) + certificate.public_bytes(pem))
    return path


@asynccontextmanager
async def tls_before(port: int, certificate: Path) -> AsyncIterator[int]:
    """Serve TLS before a server on loopback; yields the port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(len(REQUEST)) == REQUEST
        writer.write(b"S")
        try:
            await writer.start_tls(context)
        except ssl.SSLError:  # the client does not trust it
            writer.close()
            return
        behind = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_pass(reader, behind[1]), _pass(behind[0], writer))

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(2**16):
        writer.write(data)
        await writer.drain()
    writer.close()
