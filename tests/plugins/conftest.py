"""The servers that HTTP task types speak to."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.components import needs
from tests.plugins.servers import Web, certificate, serving


@pytest.fixture
def web() -> Iterator[Web]:
    """Serve HTTP on loopback."""
    with serving() as server:
        yield server


@pytest.fixture(scope="session")
def certificate_file(tmp_path_factory) -> Path:
    """Make a certificate for `localhost`, valid for who trusts this file."""
    needs("openssl")
    return certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def secure_web(certificate_file) -> Iterator[Web]:
    """Serve HTTPS on loopback, for who asks for `localhost`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_file)
    with serving(context) as server:
        yield server
