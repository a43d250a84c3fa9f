from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.sms import udh
from smsgw.sms.coding import Charset, Coding, Form, choose
from smsgw.sms.join import Fragment, Key, Sar, join, key, missing, place, read
from smsgw.sms.packing import fill_bits, pack
from smsgw.sms.shift_tables import LANGUAGES
from smsgw.sms.split import Part, split, split_data
from smsgw.sms.udh import Concatenation, Ports
from tests.sms.strategies import DATA, TEXTS, texts

FORMS: tuple[Form, ...] = ("udh", "udh16", "sar", "payload")


def fragment_of(part: Part, *, packed: bool = False) -> Fragment:
    """The part as the other side reads it off the wire."""
    payload, charset = part.payload, part.encoding
    if packed and charset == "gsm7":
        payload = pack(payload, fill_bits(len(part.udh)))
    sar = Sar(part.reference, part.total, part.number) if part.sar and part.reference is not None else None
    named: Charset = "gsm7-packed" if packed and charset == "gsm7" else charset
    return read(part.udh + payload, named, has_header=bool(part.udh), sar=sar)


def fragments(text: str, form: Form = "udh", *, reference: int = 1) -> list[Fragment]:
    coding = choose(text, form=form, languages=tuple(LANGUAGES.values()))
    assert isinstance(coding, Coding)
    return [fragment_of(part) for part in split(coding, reference=reference)]


def made(number: int, total: int, payload: bytes, charset: Charset = "gsm7") -> Fragment:
    return Fragment(payload=payload, charset=charset, kind="udh", reference=1, total=total, number=number)


@given(TEXTS, st.sampled_from(FORMS), st.randoms(use_true_random=False))
def test_split_then_join_is_the_identity_in_any_order(text: str, form: Form, order: random.Random) -> None:
    found = fragments(text, form)
    order.shuffle(found)
    joined = join([*found, *found[:1]])
    assert (joined.text, joined.complete, joined.problem) == (text, True, None)
    assert joined.parts == len(found)


@given(texts(st.sampled_from("aå€[Δ@\r")), st.randoms(use_true_random=False))
def test_packed_septets_come_back_but_for_padding(text: str, order: random.Random) -> None:
    coding = choose(text)
    assert isinstance(coding, Coding)
    found = [fragment_of(part, packed=True) for part in split(coding, reference=1)]
    ambiguous = any(part.payload.endswith((b"\x00", b"\r")) for part in split(coding, reference=1))
    order.shuffle(found)
    assert join(found).text == text or ambiguous


@given(TEXTS, st.sampled_from(FORMS), st.data())
def test_the_last_fragment_to_come_completes(text: str, form: Form, data: st.DataObject) -> None:
    found = data.draw(st.permutations(fragments(text, form)))
    slots: dict[int, Fragment] = {}
    for fragment in found[:-1]:
        assert place(slots, fragment) == "placed"
        slots[fragment.number] = fragment
        assert place(slots, fragment) == "duplicate"
    assert missing(slots, found[-1].total) == (found[-1].number,)
    assert place(slots, found[-1]) == "completing"


@given(DATA, st.sampled_from(FORMS))
def test_binary_data_comes_back(data: bytes, form: Form) -> None:
    parts = split_data(data, form=form, reference=9, header=udh.build((Ports(1, 2).element,)))
    assert isinstance(parts, tuple)
    joined = join(map(fragment_of, reversed(parts)))
    assert (joined.text, joined.data, joined.problem) == (None, data, None)
    assert (joined.charset, joined.ports) == ("binary", Ports(1, 2))


class TestRead:
    def test_no_header(self) -> None:
        found = read(b"\x05\x00\x03\x01\x02\x01abc", "gsm7")
        assert found == Fragment(payload=b"\x05\x00\x03\x01\x02\x01abc", charset="gsm7")

    def test_concatenation(self) -> None:
        header = udh.build((Concatenation(0x1234, 3, 2, wide=True).element,))
        found = read(header + b"abc", "gsm7", has_header=True)
        assert (found.kind, found.reference, found.total, found.number) == ("udh16", 0x1234, 3, 2)
        assert (found.header, found.payload) == (header, b"abc")

    def test_an_element_wins_over_tlvs(self) -> None:
        header = udh.build((Concatenation(7, 3, 2).element,))
        assert read(header, "gsm7", has_header=True, sar=Sar(9, 2, 1)).kind == "udh"

    @pytest.mark.parametrize("sar", [Sar(1, 2, 0), Sar(1, 2, 3), Sar(1, 1, 1), Sar(1, 0, 0), Sar(1, 256, 1)])
    def test_tlvs_that_make_no_sense_are_as_if_absent(self, sar: Sar) -> None:
        assert read(b"abc", "gsm7", sar=sar) == Fragment(payload=b"abc", charset="gsm7")

    def test_one_of_one_is_whole(self) -> None:
        header = udh.build((Concatenation(7, 1, 1).element,))
        assert read(header + b"abc", "gsm7", has_header=True).kind == "whole"

    def test_national_languages(self) -> None:
        header = udh.build((udh.locking_shift(3), udh.single_shift(1)))
        found = read(header + b"\x1bs\x00", "gsm7", has_header=True)
        assert (found.locking, found.single) == (3, 1)
        assert join([found]).text == "ş@"

    def test_packed_septets_are_unpacked(self) -> None:
        header = udh.build((Concatenation(7, 2, 1).element,))
        found = read(header + pack(b"AB", 1), "gsm7-packed", has_header=True)
        assert (found.payload, found.charset) == (b"AB", "gsm7")

    @given(
        st.binary(max_size=160),
        st.sampled_from(["gsm7", "gsm7-packed", "ucs2", "latin1", "ascii", "binary"]),
        st.booleans(),
        st.one_of(st.none(), st.builds(Sar, st.integers(0, 65535), st.integers(0, 255), st.integers(0, 255))),
    )
    def test_anything_can_be_read_and_joined(
        self, octets: bytes, charset: Charset, has_header: bool, sar: Sar | None
    ) -> None:
        found = read(octets, charset, has_header=has_header, sar=sar)
        assert 1 <= found.number <= found.total <= 255
        joined = join([found])
        assert joined.text is not None or joined.problem is not None or charset == "binary"
        assert joined.complete == (found.total == 1)

    def test_it_can_be_stored(self) -> None:
        (found, _) = fragments("a" * 161)
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=Fragment) == found


class TestKey:
    def test_a_whole_message_has_none(self) -> None:
        assert key(read(b"abc", "gsm7"), "acme", "46701", "46702") is None

    def test_it_tells_messages_apart(self) -> None:
        (first, second) = fragments("a" * 161)
        assert (
            key(first, "acme", "1", "2")
            == Key("acme", "1", "2", "udh", 1, 2)
            == key(second, "acme", "1", "2")
        )
        others = [
            key(first, "acme", "3", "2"),
            key(first, "acme", "1", "3"),
            key(first, "other", "1", "2"),
            key(fragments("a" * 161, reference=2)[0], "acme", "1", "2"),
            key(fragments("a" * 161, "udh16")[0], "acme", "1", "2"),
            key(fragments("a" * 161, "sar")[0], "acme", "1", "2"),
            key(fragments("a" * 400)[0], "acme", "1", "2"),
        ]
        assert len({key(first, "acme", "1", "2"), *others}) == 8


class TestPlace:
    def test_a_reference_used_again_is_a_conflict(self) -> None:
        assert place({1: made(1, 2, b"a")}, made(1, 2, b"b")) == "conflict"

    def test_a_whole_message_completes_at_once(self) -> None:
        assert place({}, read(b"abc", "gsm7")) == "completing"

    def test_missing(self) -> None:
        assert missing({2: made(2, 4, b"a")}, 4) == (1, 3, 4)
        assert missing({1: made(1, 1, b"a")}, 1) == ()


class TestJoin:
    def test_what_is_there_of_an_incomplete_message(self) -> None:
        joined = join([made(3, 3, b"c"), made(1, 3, b"a")])
        assert (joined.text, joined.data, joined.parts, joined.complete) == ("ac", b"ac", 2, False)

    def test_mixed_alphabets(self) -> None:
        joined = join([made(1, 2, b"\x00"), made(2, 2, "ж".encode("utf-16-be"), "ucs2")])
        assert (joined.text, joined.charset) == ("@ж", "ucs2")

    @pytest.mark.parametrize(
        ("charset", "octets", "text"), [("ucs2", "a😀".encode("utf-16-be"), "a😀"), ("gsm7", b"a\x1be", "a€")]
    )
    def test_a_character_that_the_sender_cut(self, charset: Charset, octets: bytes, text: str) -> None:
        cut = len(octets) - (2 if charset == "ucs2" else 1)
        joined = join([made(2, 2, octets[cut:], charset), made(1, 2, octets[:cut], charset)])
        assert (joined.text, joined.problem) == (text, None)

    def test_text_that_can_not_be_decoded_stays_data(self) -> None:
        joined = join([made(1, 2, b"\x00"), made(2, 2, b"\xd8\x00\x00", "ucs2")])
        assert (joined.text, joined.data) == (None, b"\x00\xd8\x00\x00")
        assert joined.problem == "not UTF-16BE at octet 0"

    def test_a_header_longer_than_the_message_stays_data(self) -> None:
        joined = join([read(b"\x09abc", "gsm7", has_header=True)])
        assert (joined.text, joined.data) == (None, b"\x09abc")
        assert joined.problem == "a user data header of 10 octets in 4 octets of user data"

    def test_a_header_whose_elements_do_not_add_up_is_ignored(self) -> None:
        joined = join([read(b"\x02\x00\x09abc", "gsm7", has_header=True)])
        assert (joined.text, joined.header) == ("abc", b"\x02\x00\x09")
        assert joined.problem == "the element at octet 1 runs past the user data header"

    def test_no_text_in_a_repr(self) -> None:
        found = made(1, 2, b"secret")
        assert "secret" not in repr(found) + repr(join([found]))
