"""What a new configuration changes, as tables: from one TOML text to another."""

from __future__ import annotations

import tomllib

import pytest

from smsgw.config import Configuration
from smsgw.gateway.changes import Changes, compare, live
from smsgw.loading import parse

SECRETS = {"old.pw": "old", "new.pw": "new"}

A = '[channels.a]\ntype = "null"\n'
B = '[channels.b]\ntype = "null"\n'
SMPP = '[channels.s]\ntype = "smpp"\nendpoint = "tcp:h:1"\nsystem_id = "s"\n'
ROUTE = '[[routes]]\nto = ["46"]\nqueue = ["a"]\n'


def configuration(text: str) -> Configuration:
    found = parse(tomllib.loads(text), {}, SECRETS.__getitem__)
    assert isinstance(found, Configuration), found
    return found


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (A, A, Changes()),
        (A + SMPP, SMPP + A, Changes()),
        (A, A + B, Changes(added=("b",), queues=("b",))),
        (A + B, A, Changes(removed=("b",), unfed=("b",))),
        (A, B, Changes(added=("b",), removed=("a",), queues=("b",), unfed=("a",))),
        (A + B, A + B + "width = 5", Changes(changed=("b",))),
        (A, A.replace('"null"', '"smpp"\nendpoint = "tcp:h:1"\nsystem_id = "s"'), Changes(changed=("a",))),
        (A + 'queue = "q"', A + 'queue = "r"', Changes(changed=("a",), queues=("r",), unfed=("q",))),
        (A + B + 'queue = "a"', A, Changes(removed=("b",))),
        (A + B + 'queue = "a"', B + 'queue = "a"', Changes(removed=("a",))),
        (A, A + 'retry = ["7s", "10s"]', Changes(changed=("a",), steps=(7.0,))),
        (A + 'retry = ["7s", "10s"]', A, Changes(changed=("a",), steps=(60.0, 300.0, 1800.0))),
        (
            SMPP + 'password = {file = "old.pw"}',
            SMPP + 'password = {file = "new.pw"}',
            Changes(changed=("s",)),
        ),
        (SMPP + 'password = {file = "new.pw"}', SMPP + 'password = "new"', Changes()),
        (SMPP, SMPP + "[channels.s.dialect]\nstatus = { 0x45 = 'permanent' }", Changes(changed=("s",))),
        (A, A + ROUTE, Changes(settings=("routes",))),
        (A + ROUTE, A + ROUTE.replace("46", "47"), Changes(settings=("routes",))),
        (A, "stop_timeout = 5\n" + A, Changes(settings=("stop_timeout",))),
        (A, A + '[ledger]\nkeep = "1d"', Changes(settings=("ledger.keep",))),
        (A, A + '[receipts]\npark = "1s"', Changes(settings=("receipts.park",))),
        (A, A + "[inbound]\nmax_parts = 5", Changes(settings=("inbound.max_parts",))),
        (A, A + "[queues.q]\nmax_length = 9", Changes(queues=("q",))),
        (A, A + B + "[queues.b]\nmax_length = 9", Changes(added=("b",), queues=("b",))),
        (A + "[queues.q]\nmax_length = 9", A, Changes()),
        (A, A + "[queues.a]\nmax_length = 9", Changes(restart=("queues.a.max_length",))),
        (A + "[queues.a]\nmax_length = 9", A, Changes(restart=("queues.a.max_length",))),
        (A, A + "[queues.a]", Changes()),
        (A, 'state_dir = "/s"\n' + A, Changes(restart=("state_dir",))),
        (
            A,
            A + '[broker]\nurl = "amqp://h/"\nprefix = "p"',
            Changes(restart=("broker.url", "broker.prefix")),
        ),
        (A, A + '[ledger]\nsynchronous = "normal"', Changes(restart=("ledger.synchronous",))),
        (A, A + '[ledger]\nurl = "sqlite:///l.db"', Changes(restart=("ledger.url",))),
        (A, A + "[manhole]", Changes(restart=("manhole",))),
        (A + "[manhole]", A + '[manhole]\nlisten = "tcp:1"', Changes(restart=("manhole.listen",))),
        (A + "[manhole]", A, Changes(restart=("manhole",))),
        (A, A + '[log]\nformat = "json"', Changes(restart=("log.format",))),
    ],
)
def test_what_changes(old: str, new: str, expected: Changes) -> None:
    assert compare(configuration(old), configuration(new)) == expected


@pytest.mark.parametrize(
    "new",
    [
        A + B + 'width = 3\nretry = ["7s"]' + "\n" + ROUTE,
        "stop_timeout = 5\n" + B + '[ledger]\nkeep = "1d"\n[receipts]\npark = "1s"',
        A + "[queues.q]\nmax_length = 9",
        B + "[queues.a]",
    ],
)
def test_what_can_change_live_is_the_new_one(new: str) -> None:
    after = live(configuration(A), configuration(new))
    assert compare(after, configuration(new)) == Changes()


def test_what_needs_a_restart_is_said_again_until_then() -> None:
    old, new = configuration(A), configuration("stop_timeout = 5\n" + A + '[broker]\nprefix = "p"')
    after = live(old, new)
    assert (after.stop_timeout, after.broker.prefix) == (5, "smsgw")
    assert compare(after, new) == Changes(restart=("broker.prefix",))
    assert compare(after, old) == Changes(settings=("stop_timeout",))


def test_a_queue_keeps_its_settings_as_long_as_there_is_one() -> None:
    with_limit = configuration(A + "[queues.a]\nmax_length = 9")
    after = live(with_limit, configuration(A + "[queues.a]\nmax_length = 10"))
    assert after.queues["a"].max_length == 9
    assert after.queue_names == ("a",)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (Changes(), "nothing has changed"),
        (Changes(added=("a", "b"), removed=("c",), changed=("d",)), "added a, b; removed c; changed d"),
        (Changes(changed=("d",), settings=("routes",)), "changed d; routes changed"),
    ],
)
def test_changes_in_words(changes: Changes, words: str) -> None:
    assert str(changes) == words
