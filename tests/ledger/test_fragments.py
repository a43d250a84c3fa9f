"""Parts of long inbound messages in the ledger, on a real file, with the worker thread replaced by a call."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, execute

from smsgw.ledger import fragments
from smsgw.ledger.base import Kept
from smsgw.ledger.sqlite import SCHEMA, SqliteLedger
from smsgw.message import Inbound
from smsgw.sms import join
from smsgw.sms.inbound import Arrival
from smsgw.sms.join import Fragment
from smsgw.sqlite import Database

T = TypeVar("T")


def at_once(function: Callable[[], T], /) -> Deferred[T]:
    return execute(function)


def result(deferred: Deferred[T]) -> T:
    found: list[Any] = []
    deferred.addBoth(found.append)
    assert found, "the Deferred has not fired"
    if hasattr(found[0], "raiseException"):
        found[0].raiseException()
    return found[0]  # type: ignore[no-any-return]


def part(number: int, total: int = 3, text: str = "", **fields: Any) -> Fragment:
    defaults: dict[str, Any] = {"charset": "gsm7", "kind": "udh", "reference": 7}
    payload = (text or f"<{number}>").encode()
    return Fragment(payload=payload, number=number, total=total, **{**defaults, **fields})


class Memory:
    """The ledger, with what a caller would make up."""

    def __init__(self, path: Path, limit: int = 100) -> None:
        self.now = 1000.0
        self.limit = limit
        self.ledger = SqliteLedger(Database(path, SCHEMA, synchronous="NORMAL", run_in_thread=at_once))
        self.ledger.start()
        self._made = 0

    def keep(self, fragment: Fragment, *, source: str = "+46700000001", account: str = "acme") -> Kept:
        self._made += 1
        arrival = Arrival(f"id{self._made}", self.now, account, source, "12345")
        key = join.key(fragment, account, source, "12345")
        assert key is not None
        return result(self.ledger.keep(key, fragment, arrival, limit=self.limit))

    def owed(self) -> list[Inbound]:
        return [each.inbound for each in result(self.ledger.owed_inbound(self.now + 1, 1000))]

    def expire(self, timeout: float = 600, limit: int = 100) -> list[Inbound]:
        found = result(self.ledger.expire_inbound(self.now - timeout, self.now, limit))
        return [each.inbound for each in found.owed]


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    made = Memory(tmp_path / "ledger.db")
    yield made
    result(made.ledger.stop())


def test_the_part_that_completes_a_message_makes_it_owed(memory: Memory) -> None:
    assert [memory.keep(part(number)).what for number in (3, 1)] == ["placed", "placed"]
    assert memory.owed() == []
    memory.now += 5
    kept = memory.keep(part(2))
    assert kept.what == "completing"
    (owed,) = kept.owed
    assert (owed.inbound.text, owed.inbound.parts, owed.inbound.complete) == ("<1><2><3>", 3, True)
    assert (owed.inbound.id, owed.inbound.at) == ("id1", "1970-01-01T00:16:40.000Z"), "of its first part"
    assert (owed.inbound.channel, owed.inbound.from_, owed.inbound.to) == ("acme", "+46700000001", "12345")
    assert memory.owed() == [owed.inbound]
    result(memory.ledger.clear_inbound([owed.number]))
    assert memory.owed() == []


def test_what_is_young_is_left_to_whoever_pays_it(memory: Memory) -> None:
    memory.keep(part(1, 2))
    memory.keep(part(2, 2))
    assert list(result(memory.ledger.owed_inbound(memory.now, 10))) == []
    assert len(result(memory.ledger.owed_inbound(memory.now + 0.1, 10))) == 1


def test_all_outlives_a_crash(tmp_path: Path) -> None:
    first = Memory(tmp_path / "ledger.db")
    first.keep(part(1))
    first.keep(part(2))
    again = Memory(tmp_path / "ledger.db")  # the first is never closed
    (owed,) = again.keep(part(3)).owed
    assert owed.inbound.text == "<1><2><3>"
    third = Memory(tmp_path / "ledger.db")
    assert third.owed() == [owed.inbound]


def test_two_processes_share_the_parts(tmp_path: Path) -> None:
    one, other = Memory(tmp_path / "ledger.db"), Memory(tmp_path / "ledger.db")
    assert [one.keep(part(1)).what, other.keep(part(2)).what] == ["placed", "placed"]
    assert one.keep(part(2)).what == "duplicate"
    assert one.keep(part(3)).owed[0].inbound.text == "<1><2><3>"
    assert other.keep(part(3)).what == "duplicate"


def test_a_repeat_changes_nothing(memory: Memory) -> None:
    memory.keep(part(1, 2))
    memory.now += 400
    assert memory.keep(part(1, 2)) == Kept("duplicate")
    memory.now += 400
    assert [message.missing for message in memory.expire()] == [(2,)], "it did not wait any longer for it"


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_repeat_of_a_part_whose_message_is_done_begins_nothing(memory: Memory, number: int) -> None:
    for each in (1, 2, 3):
        kept = memory.keep(part(each))
    again = memory.keep(part(number))
    assert (again.what, again.owed) == ("duplicate", kept.owed), "owed until it is cleared"
    result(memory.ledger.clear_inbound([kept.owed[0].number]))
    assert memory.keep(part(number)) == Kept("duplicate")
    memory.now += 599
    assert memory.expire() == []
    assert memory.keep(part(number)) == Kept("duplicate"), "remembered for the whole timeout"
    memory.now += 2
    assert memory.expire() == []
    assert memory.keep(part(number)).what == "placed", "and no longer"


def test_another_message_under_the_reference_of_one_that_is_done(memory: Memory) -> None:
    for text in ("old ", "new "):
        memory.keep(part(1, 2, text))
        kept = memory.keep(part(2, 2, text))
        assert (kept.what, kept.owed[0].inbound.text) == ("completing", text * 2)
    assert [memory.keep(part(number, 2, text)).what for number in (1, 2) for text in ("old ", "new ")] == [
        "duplicate"
    ] * 4
    assert [message.text for message in memory.owed()] == ["old old ", "new new "]


def test_a_conflict_ends_the_old_message_and_begins_the_new(memory: Memory) -> None:
    memory.keep(part(1, 3, "old "))
    memory.keep(part(2, 3, "old "))
    kept = memory.keep(part(1, 3, "new "))
    assert kept.what == "conflict"
    (owed,) = kept.owed
    assert (owed.inbound.text, owed.inbound.complete, owed.inbound.missing) == ("old old ", False, (3,))
    assert memory.keep(part(2, 3, "old ")).what == "placed", "what fits is taken: nothing tells them apart"
    assert memory.keep(part(1, 3, "old ")) == Kept("duplicate", (owed,)), "this one can't be of the new"
    assert memory.keep(part(3, 3, "new ")).owed[0].inbound.text == "new old new "


def test_what_makes_another_message(memory: Memory) -> None:
    one = part(1, 2)
    assert memory.keep(one).what == "placed"
    other = part(2, 2)
    for differs in ({"reference": 8}, {"kind": "udh16"}, {"kind": "sar"}, {"total": 3}):
        assert memory.keep(msgspec.structs.replace(other, **differs)).what == "placed"
    assert memory.keep(other, source="+46700000002").what == "placed"
    assert memory.keep(other, account="other").what == "placed"
    assert memory.keep(other).what == "completing"


def test_parts_of_different_alphabets(memory: Memory) -> None:
    memory.keep(part(1, 2, "plain "))
    ucs2 = msgspec.structs.replace(part(2, 2), charset="ucs2", payload="мир".encode("utf-16-be"))
    (owed,) = memory.keep(ucs2).owed
    assert (owed.inbound.text, owed.inbound.encoding) == ("plain мир", "ucs2")


def test_what_never_becomes_whole_is_given_up_after_its_last_part(memory: Memory) -> None:
    memory.keep(part(3))
    memory.now += 500
    memory.keep(part(1))
    memory.now += 599
    assert memory.expire() == []
    memory.now += 2
    (message,) = memory.expire()
    assert (message.text, message.parts, message.missing, message.complete) == ("<1><3>", 3, (2,), False)
    assert message.id == "id1"
    assert memory.owed() == [message]
    assert memory.expire() == []
    assert memory.keep(part(3)).what == "duplicate", "a late repeat of what was told"


def test_giving_up_goes_in_bounded_steps(memory: Memory) -> None:
    for reference in range(5):
        memory.keep(part(1, reference=reference))
    memory.now += 601
    steps = [result(memory.ledger.expire_inbound(memory.now - 600, memory.now, 2)) for _ in range(4)]
    assert [(len(step.owed), step.more) for step in steps] == [(2, True), (2, True), (1, False), (0, False)]


def test_parts_are_bounded_for_each_account(memory: Memory) -> None:
    memory.limit = 3
    for reference in range(3):
        assert memory.keep(part(1, 2, reference=reference)).what == "placed"
    assert memory.keep(part(1, 2, reference=9)) == Kept("full")
    assert memory.keep(part(1, 2, reference=9), account="other").what == "placed"
    assert memory.keep(part(1, 2, reference=0)).what == "duplicate"
    assert memory.keep(part(2, 2, reference=0)).what == "completing", "it makes room"
    assert memory.keep(part(1, 2, reference=9)).what == "placed"
    assert memory.keep(part(1, 2, reference=8)) == Kept("full")
    memory.now += 601
    memory.expire()
    assert [memory.keep(part(1, 2, reference=reference)).what for reference in (10, 11, 12, 13)] == [
        *["placed"] * 3,
        "full",
    ]


def test_a_ledger_of_the_first_version_gets_the_tables(tmp_path: Path) -> None:
    old = Database(tmp_path / "ledger.db", SCHEMA[:1], synchronous="NORMAL", run_in_thread=at_once)
    old.open()
    result(old.close())
    assert Memory(tmp_path / "ledger.db").keep(part(1)).what == "placed"


@given(st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_any_order_and_any_repeats_make_each_message_once(
    tmp_path_factory: pytest.TempPathFactory, order: random.Random
) -> None:
    memory = Memory(tmp_path_factory.mktemp("ledger") / "ledger.db", limit=1000)
    sent = [
        (f"+4670{sender}", part(number, total, f"{sender}.{reference}.{number} ", reference=reference))
        for sender, reference, total in ((1, 1, 2), (1, 2, 3), (2, 1, 2), (2, 255, 4), (3, 1, 20))
        for number in range(1, total + 1)
    ]
    again = order.choices(sent, k=100)
    shuffled = [*sent, *again]
    order.shuffle(shuffled)
    for source, fragment in shuffled:
        memory.keep(fragment, source=source)
    messages = memory.owed()
    assert len(messages) == len({message.id for message in messages}) == 5
    assert all(message.complete for message in messages)
    expected: dict[tuple[str, int, int], str] = {}
    for source, fragment in sorted(sent, key=lambda each: each[1].number):
        key = (source, fragment.reference, fragment.total)
        expected[key] = expected.get(key, "") + fragment.payload.decode()
    assert sorted(message.text or "" for message in messages) == sorted(expected.values())
    memory.now += 601
    assert memory.expire(limit=1000) == []
    result(memory.ledger.stop())


def test_a_part_in_the_file_is_gone_when_its_message_is_cleared(tmp_path: Path) -> None:
    """Of a message that is told, only digests and numbers stay."""
    memory = Memory(tmp_path / "ledger.db")
    memory.keep(part(1, 2, "secret"))
    (owed,) = memory.keep(part(2, 2, "secret")).owed
    result(memory.ledger.clear_inbound([owed.number]))
    rows = result(
        memory.ledger._database.run(
            lambda db: [
                *db.execute("SELECT * FROM assembly"),
                *db.execute("SELECT * FROM fragment"),
                *db.execute("SELECT * FROM owed_inbound"),
            ]
        )
    )
    assert rows
    assert "secret" not in repr(rows)
    assert len(rows[0][5]) == 2 * fragments.DIGEST
