"""Long messages through refusals and cut links: every text arrives whole, and no part twice.

What reached the message centre is put together again by code that shares nothing with smsgw: the
codecs of Python and of the gsm0338 package, and the few lines on headers below.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import gsm0338  # noqa: F401  registers the codec gsm03.38
import pika
import pytest
from processes import Gateway, Producer, Smsc, configuration

pytestmark = pytest.mark.integration

Start = Callable[..., Any]

WIDTH = 10
SESSIONS = 2
MOST = {8: 140, 0: 160}
"""Units of a text that is alone, by data_coding: octets, septets."""
SEPTETS = (
    "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789 åäöÅÄÖéèùìòñ ?!.,:;@£$ {}[]~^|\\€\r\n"
)
UNICODE = "абвгдежзийклмнопрстуфхцчшщъыьэюя ΑΒΓαβγ “quoted” – 今日は天気 😀🚚🇸🇪 e\u0301 \n"
RETRY = 'retry = ["1s", "1s", "1s", "1s", "1s", "2s", "2s", "2s", "2s", "2s"]'


class Copy(NamedTuple):
    """One submit of one part, as the message centre saw it."""

    reference: int | None
    total: int
    number: int
    payload: bytes
    coding: int
    header: int
    session: int
    taken: bool


def text_of(chance: Random) -> str:
    """A text of 1 to 6 parts."""
    alphabet, room = chance.choice([(SEPTETS, 153), (UNICODE, 67)])
    parts = chance.randint(1, 6)
    length = chance.randint((parts - 1) * room + 1, parts * room)
    text = "".join(chance.choices(alphabet, k=length))
    # what takes two units makes a text longer than it looks
    return text[: length - sum(len(c.encode("utf-16-be")) > 2 or c in "{}[]~^|\\€" for c in text)] or "a"


def header_of(octets: bytes) -> tuple[int | None, int, int]:
    """Reference, number of parts and number of this part in a user data header (TS 23.040, 9.2.3.24)."""
    found: list[tuple[int, int, int]] = []
    at = 1
    while at < len(octets):
        element, size = octets[at], octets[at + 1]
        data = octets[at + 2 : at + 2 + size]
        assert len(data) == size, "an element runs past its header"
        if element == 0x00:
            found.append((data[0], data[1], data[2]))
        elif element == 0x08:
            found.append((int.from_bytes(data[:2], "big"), data[2], data[3]))
        at += 2 + size
    assert len(found) == 1, "exactly one concatenation element"
    return found[0]


def copy_of(entry: dict[str, Any]) -> Copy:
    octets, tlvs = bytes.fromhex(entry["data"]), entry.get("tlvs", {})
    header = 1 + octets[0] if entry["esm_class"] & 0x40 else 0
    place: tuple[int | None, int, int] = (None, 1, 1)
    if header:
        place = header_of(octets[:header])
    elif "0x020c" in tlvs:
        place = (tlvs["0x020c"], tlvs["0x020e"], tlvs["0x020f"])
    taken = entry["event"] == "accepted"
    return Copy(*place, octets[header:], entry["data_coding"], header, entry["session"], taken)


def decoded(payload: bytes, coding: int) -> str:
    return payload.decode({0: "gsm03.38", 8: "utf-16-be"}[coding])


def whole(copies: list[Copy]) -> str | None:
    """The text of a complete set of parts with one reference; None where some part is missing."""
    parts: dict[int, Copy] = {}
    for copy in copies:
        first = parts.setdefault(copy.number, copy)
        assert (first.payload, first.total, first.coding) == (copy.payload, copy.total, copy.coding)
    if sorted(parts) != list(range(1, copies[0].total + 1)):
        return None
    # each part is text by itself: no escape sequence and no surrogate pair is cut
    return "".join(decoded(parts[number].payload, parts[number].coding) for number in sorted(parts))


def fits(copy: Copy, form: str) -> bool:
    """Whether it is a short message on the air, with the header that the message centre adds."""
    if form == "payload":
        return True
    octets = copy.header or (7 if form == "sar" and copy.total > 1 else 0)
    bits = len(copy.payload) * 8 if copy.coding == 8 else len(copy.payload) * 7
    return octets + -(-bits // 8) <= 140


def in_turn(copies: list[Copy]) -> bool:
    """Whether each part was sent when the one before had been taken, and again only when refused."""
    expected = 1
    for copy in copies:
        if copy.number != expected:
            return False
        expected += copy.taken
    return expected == copies[-1].total + 1


class Seen:
    """What the message centre saw, by recipient; `cut` are the sessions whose link was cut."""

    def __init__(self, smsc: Smsc) -> None:
        self.submits: dict[str, list[Copy]] = defaultdict(list)
        self.cut: set[int] = set()
        unbound: set[int] = set()
        for line in smsc.journal.read_text().splitlines():
            entry = json.loads(line)
            if entry["event"] in ("accepted", "refused"):
                self.submits[entry["destination"]].append(copy_of(entry))
            elif entry["event"] == "unbind":
                unbound.add(entry["session"])
            elif entry["event"] == "ended" and entry["session"] not in unbound:
                self.cut.add(entry["session"])

    def taken(self, to: str) -> list[Copy]:
        return [copy for copy in self.submits[to] if copy.taken]

    def texts(self, to: str) -> list[str]:
        """The whole texts that a phone would show."""
        sets: dict[int | None, list[Copy]] = defaultdict(list)
        for copy in self.taken(to):
            sets[copy.reference].append(copy)
        return [text for copies in sets.values() if (text := whole(copies)) is not None]

    def repeated(self) -> Iterator[tuple[str, Copy]]:
        """Copies of parts that were taken again later."""
        for to in self.submits:
            copies: dict[int, list[Copy]] = defaultdict(list)
            for copy in self.taken(to):
                copies[copy.number].append(copy)
            yield from ((to, copy) for found in copies.values() for copy in found[:-1])


def publish(producer: Producer, texts: dict[str, str]) -> dict[str, str]:
    """Each text to its recipient, confirmed; the recipient of each message id."""
    producer.wait_declared()
    with producer.channel() as channel:
        channel.confirm_delivery()
        for to, text in texts.items():
            channel.basic_publish(
                f"{producer.prefix}.submit",
                "acme",
                json.dumps({"to": f"+{to}", "text": text}).encode(),
                pika.BasicProperties(message_id=f"m-{to}", content_type="application/json", delivery_mode=2),
                mandatory=True,
            )
    return {f"m-{to}": to for to in texts}


def texts_for(count: int, seed: int) -> dict[str, str]:
    chance = Random(seed)
    return {f"4670{number:07}": text_of(chance) for number in range(count)}


def behaviour(folder: Path, **fields: object) -> tuple[str, str]:
    """Five in a hundred parts are refused temporarily."""
    file = folder / "behaviour.toml"
    fields |= {"seed": 5, "response_delay": 0.005, "receipt_delay": 0.05}
    lines = [f"{name} = {value}" for name, value in fields.items()]
    file.write_text("\n".join([*lines, "[statuses]", '"0x00000008" = 0.05', ""]))
    return "--behaviour", str(file)


def run(
    folder: Path, start: Start, producer: Producer, texts: dict[str, str], form: str, **fields: object
) -> tuple[Seen, dict[str, Any]]:
    """All texts through a gateway to a message centre; what it saw, and its report."""
    smsc = start(Smsc, folder, *behaviour(folder, **fields))
    channel = f'sessions = {SESSIONS}\nreconnect = "1s"\n{RETRY}\ndialect.long_messages = "{form}"'
    gateway = start(
        Gateway,
        folder,
        configuration(
            port=smsc.port, broker=producer.url, prefix=producer.prefix, width=WIDTH, channel=channel
        ),
    )
    gateway.wait_up(SESSIONS)
    ids = publish(producer, texts)
    assert producer.wait_for_finals([*ids], 120) == {"delivered": len(texts)}
    assert gateway.end() == 0
    assert gateway.troubles == []
    report = smsc.report()
    seen = Seen(smsc)
    told = {to: parts_told(producer.events[message_id]) for message_id, to in ids.items()}
    assert form == "payload" or told == {to: seen.submits[to][0].total for to in texts}
    return seen, report


def parts_told(events: list[dict[str, Any]]) -> int:
    """What the final event says."""
    (parts,) = {event["parts"] for event in events if event["final"]}
    return int(parts)


def test_two_thousand_with_refusals_and_cut_links(tmp_path: Path, start: Start, producer: Producer) -> None:
    texts = texts_for(2000, seed=11)
    seen, report = run(tmp_path, start, producer, texts, "udh", drop_after=1500)
    assert {copies[0].total for copies in seen.submits.values()} == set(range(1, 7))
    assert sum(not copy.taken for copies in seen.submits.values() for copy in copies) > 200

    assert {to: seen.texts(to) for to in texts} == {to: [text] for to, text in texts.items()}
    assert all(fits(copy, "udh") for copies in seen.submits.values() for copy in copies)

    # what was in flight when a link was cut is all that may be sent again, or be out of turn
    assert 1 <= len(seen.cut) == report["links_cut"] <= 4
    repeated = [*seen.repeated()]
    assert all(len({copy.reference for copy in seen.taken(to)}) == 1 for to, _ in repeated)
    assert len(repeated) <= len(seen.cut) * WIDTH
    assert {copy.session for _, copy in repeated} <= seen.cut
    assert len({(to, copy.session) for to, copy in repeated}) == len(repeated), "one part of each message"
    disturbed = {to for to, copies in seen.submits.items() if not in_turn(copies)}
    assert len(disturbed) <= len(seen.cut) * WIDTH
    assert all(any(copy.session in seen.cut for copy in seen.submits[to]) for to in disturbed)

    resumed = [
        to
        for to, copies in seen.submits.items()
        if to not in disturbed and any(copy.number >= 3 and not copy.taken for copy in copies)
    ]
    assert len(resumed) > 50
    assert all(len(seen.taken(to)) == seen.submits[to][0].total for to in resumed)

    calm = [to for to, copies in seen.submits.items() if all(copy.taken for copy in copies)]
    wandering = [to for to in calm if len({copy.session for copy in seen.submits[to]}) > 1]
    assert len(wandering) <= len(seen.cut) * WIDTH
    assert all(seen.submits[to][0].session in seen.cut for to in wandering)


@pytest.mark.parametrize("form", ["udh16", "sar", "payload"])
def test_the_other_forms(tmp_path: Path, start: Start, producer: Producer, form: str) -> None:
    texts = texts_for(100, seed=12)
    seen, report = run(tmp_path, start, producer, texts, form)
    assert {to: seen.texts(to) for to in texts} == {to: [text] for to, text in texts.items()}
    assert all(in_turn(copies) for copies in seen.submits.values())
    assert (report["links_cut"], [*seen.repeated()]) == (0, [])
    copies = [copy for copies in seen.submits.values() for copy in copies]
    assert any(not copy.taken for copy in copies)
    assert all(fits(copy, form) for copy in copies)
    headers = {copy.header for copy in copies if copy.total > 1}
    if form == "payload":
        assert {copy.total for copy in copies} == {1}
        assert max(len(copy.payload) for copy in copies) > 254
    else:
        assert {copy.total for copy in copies} == set(range(1, 7))
        assert headers == ({7} if form == "udh16" else {0})
        assert any((copy.reference or 0) > 255 for copy in copies)
