"""The links of the bed: each way does what it says, else a fault would be none."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from faults.proxy import DELAY, Proxy

pytestmark = pytest.mark.integration

SOON = 5.0
"""Seconds after which what has not come does not come."""


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """In front of a server that says everything back."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        threading.Thread(target=_echo, args=(server,), daemon=True).start()
        with closing(Proxy(server.getsockname()[1])) as made:
            yield made


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with closing(socket.create_connection(("127.0.0.1", proxy.port), SOON)) as made:
        yield made


def _echo(server: socket.socket) -> None:
    while True:
        try:
            peer, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_say_back, args=(peer,), daemon=True).start()


def _say_back(peer: socket.socket) -> None:
    with closing(peer):
        try:
            while data := peer.recv(65_536):
                peer.sendall(data)
        except OSError:
            return


def heard(client: socket.socket, count: int) -> bytes:
    """So many octets, or as many as come before the end."""
    got = b""
    while len(got) < count and (data := client.recv(count - len(got))):
        got += data
    return got


def silent(client: socket.socket) -> bool:
    client.settimeout(0.5)
    try:
        client.recv(1)
    except TimeoutError:
        return True
    finally:
        client.settimeout(SOON)
    return False


def gone(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize("way", ["pass", "trickle"])
def test_everything_gets_through_in_order(proxy: Proxy, client: socket.socket, way: str) -> None:
    proxy.behave(way)  # type: ignore[arg-type]
    sent = bytes(range(256)) * 8
    client.sendall(sent)
    assert heard(client, len(sent)) == sent


def test_delay_keeps_octets_for_a_while_each_way(proxy: Proxy, client: socket.socket) -> None:
    proxy.behave("delay")
    before = time.monotonic()
    client.sendall(b"slow")
    assert heard(client, 4) == b"slow"
    assert time.monotonic() - before >= 2 * DELAY


def test_hold_lets_octets_go_later(proxy: Proxy, client: socket.socket) -> None:
    proxy.behave("hold")
    client.sendall(b"later")
    assert silent(client)
    proxy.behave("pass")
    assert heard(client, 5) == b"later"


@pytest.mark.parametrize("way", ["swallow", "mute"])
def test_a_connection_that_lost_octets_looks_alive_and_is_cut_afterwards(
    proxy: Proxy, client: socket.socket, way: str
) -> None:
    proxy.behave(way)  # type: ignore[arg-type]
    client.sendall(b"lost")
    assert silent(client)
    proxy.behave("pass")
    assert gone(client)


def test_a_connection_that_lost_nothing_goes_on(proxy: Proxy, client: socket.socket) -> None:
    client.sendall(b"a")
    assert heard(client, 1) == b"a"
    proxy.behave("swallow")
    proxy.behave("pass")
    client.sendall(b"b")
    assert heard(client, 1) == b"b"


def test_cut(proxy: Proxy, client: socket.socket) -> None:
    client.sendall(b"a")
    assert heard(client, 1) == b"a"
    proxy.cut()
    assert gone(client)
    with closing(socket.create_connection(("127.0.0.1", proxy.port), SOON)) as again:
        again.sendall(b"b")
        assert heard(again, 1) == b"b"


def test_the_end_of_one_side_reaches_the_other_after_all_that_was_said(
    proxy: Proxy, client: socket.socket
) -> None:
    client.sendall(b"last words")
    client.shutdown(socket.SHUT_WR)
    assert heard(client, 100) == b"last words"


def test_nobody_behind_it(proxy: Proxy) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as unused:
        proxy.target = unused.getsockname()[1]
    with closing(socket.create_connection(("127.0.0.1", proxy.port), SOON)) as client:
        assert gone(client)
