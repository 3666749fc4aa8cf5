"""TLS is verified, always; a private authority can be named."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from boxfs.api import trust
from boxfs.api.cancel import Cancel, Cancelled
from boxfs.api.http import Request, Response, Untrusted
from boxfs.api.transport import RequestsTransport
from boxfs.base.errors import BadReply
from tests.unit.api.scripted import session


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate of this machine with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "boxfs test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@contextlib.contextmanager
def server(certificate: Path, reply: bytes) -> Iterator[tuple[str, threading.Event]]:
    """One that reads a request, tells, and sends `reply` (none: keeps silent)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    arrived, ended = threading.Event(), threading.Event()

    def serve() -> None:
        with contextlib.suppress(OSError):
            plain, _ = listener.accept()
            with context.wrap_socket(plain, server_side=True) as connection:
                connection.recv(65536)
                arrived.set()
                connection.sendall(reply)
                ended.wait(60)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"https://127.0.0.1:{listener.getsockname()[1]}/", arrived
        finally:
            ended.set()
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(60)


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path) -> None:
    transport = RequestsTransport()
    with server(certificate, b"") as (url, _), pytest.raises(Untrusted, match="not trusted"):
        transport.send(Request("GET", url))
    transport.close()


def test_an_authority_of_ones_own_can_be_named(certificate: Path) -> None:
    transport = RequestsTransport(ca_file=str(certificate))
    with server(certificate, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi") as (url, _):
        assert transport.send(Request("GET", url)).read() == b"hi"
        transport.close()


def test_a_certificate_of_another_host_is_refused(certificate: Path) -> None:
    transport = RequestsTransport(ca_file=str(certificate))
    with server(certificate, b"") as (url, _), pytest.raises(Untrusted, match="not trusted"):
        transport.send(Request("GET", url.replace("127.0.0.1", "localhost")))
    transport.close()


def test_authorities_are_read_once_and_again_when_they_change(certificate: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.write_bytes(certificate.read_bytes())
    first = trust.context(str(bundle))
    assert trust.context(str(bundle)) is first
    assert first.verify_mode is ssl.CERT_REQUIRED
    assert first.check_hostname
    os.utime(bundle, ns=(1, 1))
    assert trust.context(str(bundle)) is not first


def test_a_request_over_tls_is_given_up(certificate: Path) -> None:
    transport, cancel = RequestsTransport(ca_file=str(certificate)), Cancel()
    raised: list[BaseException] = []

    def work() -> None:
        try:
            transport.send(Request("GET", url, cancel=cancel, read_timeout_s=600))
        except BaseException as error:  # noqa: BLE001
            raised.append(error)

    with server(certificate, b"") as (url, arrived):
        thread = threading.Thread(target=work)
        thread.start()
        assert arrived.wait(60)
        cancel.cancel()
        thread.join(60)
        assert [type(error) for error in raised] == [Cancelled]
        transport.close()


def test_no_token_goes_to_an_address_without_tls() -> None:
    def reply(request: Request) -> Response:
        raise AssertionError("sent")

    box, _ = session(reply, api_url="https://box.test")
    with pytest.raises(BadReply, match="without TLS"):
        box.json("GET", "http://elsewhere.test/2.0/x")
