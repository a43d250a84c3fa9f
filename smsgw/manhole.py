"""A debug shell into the running gateway, over SSH.

Off unless configured, on loopback by default, and for public keys only: no password is ever asked for.
The shell is a Python prompt inside the process, with `gateway`, `channels`, `queues`, `modem()` and
`reload()` at hand. Whoever gets in can do all that the process can; guard the keys accordingly.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.application.internet import StreamServerEndpointService
from twisted.conch.checkers import IAuthorizedKeysDB, SSHPublicKeyChecker, readAuthorizedKeyFile
from twisted.conch.insults.insults import ServerProtocol
from twisted.conch.interfaces import IConchUser
from twisted.conch.manhole import ColoredManhole
from twisted.conch.manhole_ssh import ConchFactory, TerminalRealm, TerminalSession
from twisted.conch.ssh.keys import BadKeyError, EncryptedKeyError, Key
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.logger import Logger
from zope.interface import implementer

from smsgw.config import Configuration
from smsgw.config import Manhole as Settings
from smsgw.errors import ConfigError, Wrong
from smsgw.gateway.assembly import understood
from smsgw.gateway.modems import Asked, ask
from smsgw.gateway.overview import Channels, Queues
from smsgw.gateway.service import Gateway

log = Logger()

CTRL_D = b"\x04"


@implementer(IAuthorizedKeysDB)
class AuthorizedKeys:
    """An OpenSSH authorized_keys file, read anew at each login. Every user name is let in by its keys."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def getAuthorizedKeys(self, username: bytes) -> Iterator[Key]:
        """The keys of the file; none, and a line in the log, where it can't be read."""
        try:
            with self.path.open("rb") as file:
                yield from readAuthorizedKeyFile(file)
        except OSError as error:
            log.error("manhole: {path}: {error}", path=str(self.path), error=error.strerror)


class Terminal(TerminalSession):
    """Conch's terminal, with the two things that it leaves out and that would end the connection."""

    def openShell(self, proto: Any) -> None:
        self._shell = self.chainedProtocolFactory()  # type: ignore[no-untyped-call]
        self.transportFactory(proto, self._shell, IConchUser(self.original), self.width, self.height)  # type: ignore[no-untyped-call]

    def windowChanged(self, newWindowSize: tuple[int, int, int, int]) -> None:
        """The operator's window has another size."""
        self.height, self.width = newWindowSize[:2]
        self._shell.terminalProtocol.terminalSize(self.width, self.height)  # type: ignore[union-attr]

    def eofReceived(self) -> None:
        """The end of what was piped in is Ctrl-D: what was asked is answered first."""
        self._shell.dataReceived(CTRL_D)  # type: ignore[no-untyped-call]


def host_key(path: Path) -> Key:
    """The server's own key, made at the first start and readable by its owner only.

    Raises:
        ConfigError: the file can't be read or made, or holds no key.
    """
    try:
        if not path.exists():
            _make_key(path)
    except OSError as error:
        raise ConfigError("manhole.host_key", f"{path}: {error.strerror}") from error
    return _read_key(path)


def _read_key(path: Path) -> Key:
    try:
        found: Key = Key.fromFile(str(path))  # type: ignore[no-untyped-call]
    except OSError as error:
        raise ConfigError("manhole.host_key", f"{path}: {error.strerror}") from error
    except (BadKeyError, EncryptedKeyError, ValueError) as error:
        raise ConfigError("manhole.host_key", f"{path}: {error}") from error
    return found


def _make_key(path: Path) -> None:
    octets = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(octets)


def namespace(gateway: Gateway, reload: Callable[[], None]) -> dict[str, object]:
    """What an operator finds at the prompt."""

    def modem(name: str, what: Asked = "info", code: str | None = None) -> Deferred[dict[str, object]]:
        """`modem("sim1")`, `modem("sim1", "probe")`, `modem("sim1", "ussd", "*100#")`."""
        return Deferred.fromCoroutine(ask(gateway.channels, name, what, code))

    return {
        "gateway": gateway,
        "channels": Channels(gateway.channels, gateway.overview),
        "queues": Queues(gateway.channels, gateway.overview),
        "reload": reload,
        "modem": modem,
    }


def manhole_service(
    configuration: Configuration, gateway: Gateway, reload: Callable[[], None], reactor: Any
) -> StreamServerEndpointService:
    """The service that listens for SSH.

    Raises:
        ConfigError: no `[manhole]`, or one that can't work.
    """
    settings = configuration.manhole
    if settings is None:
        raise ConfigError("manhole", "not configured")
    key = host_key(_key_path(settings, configuration))
    keys = AuthorizedKeys(Path(settings.authorized_keys))
    realm: Any = TerminalRealm()  # type: ignore[no-untyped-call]
    realm.sessionFactory = Terminal
    realm.chainedProtocolFactory = partial(ServerProtocol, ColoredManhole, namespace(gateway, reload))
    factory: Any = ConchFactory(Portal(realm, [SSHPublicKeyChecker(keys)]))  # type: ignore[no-untyped-call]
    factory.publicKeys = {key.sshType(): key.public()}  # type: ignore[no-untyped-call]
    factory.privateKeys = {key.sshType(): key}  # type: ignore[no-untyped-call]
    return StreamServerEndpointService(_endpoint(settings, reactor), factory)  # type: ignore[no-untyped-call]


def check_manhole(configuration: Configuration, reactor: Any) -> None:
    """See that `manhole_service` can make its service, and make nothing.

    Raises:
        ConfigError: a `[manhole]` that can't work, a line for each thing that is wrong.
    """
    settings = configuration.manhole
    if settings is not None:
        wrong = Wrong()
        wrong.attempt(partial(_endpoint, settings, reactor))
        wrong.attempt(partial(_check_key, _key_path(settings, configuration), Path(configuration.state_dir)))
        wrong.tell()


def _check_key(path: Path, state_dir: Path) -> None:
    """The default is made at the first start, together with its folder."""
    if os.path.lexists(path) or not (path.parent == state_dir or path.parent.is_dir()):
        _read_key(path)


def _key_path(settings: Settings, configuration: Configuration) -> Path:
    return Path(settings.host_key or Path(configuration.state_dir) / "ssh_host_key")


def _endpoint(settings: Settings, reactor: Any) -> IStreamServerEndpoint:
    made: Callable[[str], IStreamServerEndpoint] = partial(serverFromString, reactor)
    return understood(settings.listen, "manhole.listen", made)
