"""A RabbitMQ node of the tests' own: its port, directories, cookie and epmd are nobody else's.

Debian's `rabbitmq-server` is started straight from its `sbin`, past the wrapper that wants to be the
system's service. Everything (AMQP, epmd, Erlang's distribution) listens on 127.0.0.1 only. A start
takes a few seconds: have one node per test session and a random prefix per test.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

START_SECONDS = 60.0
STOP_SECONDS = 20.0
LOOPBACK = "-kernel inet_dist_use_interface {127,0,0,1}"
CALM = "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"
"""Erlang schedulers that don't spin while idle: the tests share few cores."""


def sbin() -> Path | None:
    """Where the server's own scripts are, or None if RabbitMQ is not installed."""
    found = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin"))
    return found[-1] if found and shutil.which("epmd") else None


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class RabbitNode:
    """One node under `base`. `start`, `stop` and `kill` may be called in turn; data stay on disk."""

    def __init__(self, base: Path) -> None:
        scripts = sbin()
        if scripts is None:
            raise RuntimeError("RabbitMQ is not installed: apt-get install rabbitmq-server")
        self._sbin = scripts
        self.base = base
        self.port = free_port()
        self.tls_port = free_port()
        self.ca_file = base / "ca.pem"
        self._epmd_port = free_port()
        self._epmd: subprocess.Popen[bytes] | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._name = f"smsgw-{secrets.token_hex(4)}@localhost"
        base.mkdir(parents=True, exist_ok=True)
        _write_certificates(base)
        self._write_files()

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/%2F"

    @property
    def tls_url(self) -> str:
        return f"amqps://guest:guest@127.0.0.1:{self.tls_port}/%2F"

    @property
    def pid(self) -> int:
        """Of Erlang, for as long as it runs."""
        if self._server is None:
            raise RuntimeError("the node is not running")
        return self._server.pid

    def start(self) -> None:
        """Returns when the node takes connections."""
        if self._epmd is None:
            self._epmd = self._run("epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1")
            _wait_for_port(self._epmd_port, self._epmd)
        self._server = self._run(str(self._sbin / "rabbitmq-server"))
        _wait_for_port(self.port, self._server)

    def stop(self) -> None:
        """An orderly stop: the node says good-bye to its clients."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """As in a power failure."""
        self._end(signal.SIGKILL)

    def suspend(self) -> None:
        """It stands still from now on, with all its connections open."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._server is not None:
            os.killpg(self._server.pid, number)

    def close(self) -> None:
        """Stop everything that this object started."""
        self.stop()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()
            self._epmd = None

    def ctl(self, *arguments: str) -> str:
        """`rabbitmqctl` with these arguments; its output. Takes a second or two."""
        command = [str(self._sbin / "rabbitmqctl"), "-q", "-n", self._name, *arguments]
        done = subprocess.run(command, env=self._environment(), capture_output=True, timeout=60, check=False)
        if done.returncode:
            raise RuntimeError(f"rabbitmqctl {arguments}: {done.stderr.decode(errors='replace')}")
        return done.stdout.decode()

    def raise_memory_alarm(self) -> None:
        self.ctl("set_vm_memory_high_watermark", "0.000001")

    def clear_memory_alarm(self) -> None:
        self.ctl("set_vm_memory_high_watermark", "0.9")

    def _end(self, how: signal.Signals) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        server.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        """In a process group of its own, so that nothing of it is left behind."""
        with (self.base / "output.log").open("ab") as log:
            return subprocess.Popen(
                command,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.base,
                start_new_session=True,
            )

    def _environment(self) -> dict[str, str]:
        base = str(self.base)
        return {
            "PATH": os.environ["PATH"],
            "HOME": base,
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RUNNING_UNDER_SYSTEMD": "1",  # the script then becomes Erlang and has no child to outlive it
            "RABBITMQ_NODENAME": self._name,
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_BASE": base,
            "RABBITMQ_MNESIA_BASE": f"{base}/mnesia",
            "RABBITMQ_LOG_BASE": f"{base}/log",
            "RABBITMQ_LOGS": f"{base}/log/node.log",
            "RABBITMQ_CONFIG_FILE": f"{base}/rabbitmq.conf",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{base}/advanced.config",
            "RABBITMQ_CONF_ENV_FILE": f"{base}/env.conf",
            "RABBITMQ_GENERATED_CONFIG_DIR": f"{base}/config",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{base}/enabled_plugins",
            "RABBITMQ_PID_FILE": f"{base}/pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{LOOPBACK} {CALM}",
            "RABBITMQ_CTL_ERL_ARGS": f"{LOOPBACK} {CALM}",
        }

    def _write_files(self) -> None:
        self._dist_port = free_port()
        (self.base / "log").mkdir(exist_ok=True)
        (self.base / "env.conf").write_text("")
        (self.base / "advanced.config").write_text("[].\n")
        (self.base / "enabled_plugins").write_text("[].\n")
        cookie = self.base / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(16))
        cookie.chmod(0o400)
        (self.base / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}\n"
            f"ssl_options.cacertfile = {self.ca_file}\n"
            f"ssl_options.certfile = {self.base / 'server.pem'}\n"
            f"ssl_options.keyfile = {self.base / 'server.key'}\n"
            "vm_memory_high_watermark.relative = 0.9\n"
            "disk_free_limit.absolute = 1MB\n"
            "log.file.level = warning\n"
        )


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"{process.args!r} did not listen on port {port} in {START_SECONDS:g} s")


def _write_certificates(base: Path) -> None:
    """A certificate authority and a certificate for 127.0.0.1 and localhost, good for a day."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _certificate("smsgw test authority", authority_key, None, authority_key)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate("localhost", key, authority, authority_key)
    (base / "ca.pem").write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    (base / "server.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (base / "server.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
