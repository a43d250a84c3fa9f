"""Two protocols over real sockets, TCP and TLS: what memory transports can't tell."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import HostnameEndpoint, SSL4ServerEndpoint, TCP4ServerEndpoint, wrapClientTLS
from twisted.internet.ssl import (
    Certificate,
    PrivateCertificate,
    optionsForClientTLS,
    trustRootFromCertificates,
)

from smsgw.clock import MonotonicClock
from smsgw.errors import PeerError
from smsgw.smpp.connection import Timers
from smsgw.smpp.events import Answer, Answered
from smsgw.smpp.pdu import BindTransceiver, Pdu, SubmitSm, response_to
from smsgw.smpp.protocol import SmppFactory, SmppProtocol
from smsgw.smpp.states import State

MESSAGES = 300
LONG = SubmitSm(destination_addr="46700000001", short_message=b"x" * 250)


class Peer:
    """Answers everything at once, and knows when it was lost."""

    def __init__(self) -> None:
        self.protocol: SmppProtocol
        self.reason: str | None = None

    def connected(self, protocol: SmppProtocol) -> None:
        self.protocol = protocol

    def received(self, pdu: Pdu) -> None:
        self.protocol.respond(response_to(pdu))

    def answered_late(self, request: Pdu, response: Pdu) -> None:
        raise AssertionError

    def unbinding(self) -> None: ...

    def malformed(self, error: PeerError) -> None:
        raise AssertionError

    def lost(self, reason: str) -> None:
        self.reason = reason


def certificate() -> PrivateCertificate:
    """For localhost, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return PrivateCertificate.loadPEM(signed.public_bytes(pem) + private)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Twisted's own, of pyOpenSSL
@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
def test_a_session_over_sockets(in_reactor: Any, reactor_thread: Any, tls: bool) -> None:
    own = certificate() if tls else None

    async def story() -> tuple[list[Answer], Peer, Peer]:
        reactor = reactor_thread
        clock, esme, smsc = MonotonicClock(reactor), Peer(), Peer()
        serving = SmppFactory("smsc", Timers(), 10, lambda _: smsc, clock)
        if own is not None:
            server: Any = SSL4ServerEndpoint(reactor, 0, own.options(), interface="127.0.0.1")
        else:
            server = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        port = await server.listen(serving)
        client: Any = HostnameEndpoint(reactor, "127.0.0.1", port.getHost().port)
        if own is not None:
            trust = trustRootFromCertificates([Certificate.loadPEM(own.dumpPEM())])
            client = wrapClientTLS(optionsForClientTLS("localhost", trustRoot=trust), client)
        calling = SmppFactory("esme", Timers(), MESSAGES, lambda _: esme, clock)
        protocol: SmppProtocol = await client.connect(calling)
        await protocol.bind(BindTransceiver())
        assert protocol.state is State.BOUND_TRX
        assert protocol.transport is not None
        assert protocol.transport.getTcpNoDelay()
        waiting: list[Deferred[Answer]] = [Deferred() for _ in range(MESSAGES)]
        for deferred in waiting:
            protocol.request(LONG, deferred.callback)
        answers = await gatherResults(waiting)
        await gatherResults([protocol.unbind(), smsc.protocol.gone()])
        await port.stopListening()
        return answers, esme, smsc

    answers, esme, smsc = in_reactor(story)
    assert len(answers) == MESSAGES
    assert all(isinstance(answer, Answered) for answer in answers)
    assert (esme.reason, smsc.reason) == ("unbound", "the peer has unbound")
