"""References of long messages count for each recipient."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smsgw.sms.references import References


def test_they_count_for_each_recipient() -> None:
    references = References(lambda: 0.0)
    assert [references.next("1"), references.next("1"), references.next("2"), references.next("1")] == [
        0,
        1,
        0,
        2,
    ]


def test_they_come_round() -> None:
    references = References(lambda: 0xFFFF / 0x10000)
    assert [references.next("1"), references.next("1")] == [0xFFFF, 0]


@given(st.floats(min_value=0, max_value=1, exclude_max=True))
def test_they_begin_anywhere(chance: float) -> None:
    assert 0 <= References(lambda: chance).next("1") <= 0xFFFF


def test_only_so_many_recipients_are_remembered_and_the_latest_are() -> None:
    references = References(lambda: 0.5, recipients=2)
    for recipient in ("1", "2", "1", "3"):
        references.next(recipient)
    assert len(references) == 2
    assert references.next("1") == 0x8002
    assert references.next("2") == 0x8000, "forgotten: it was the oldest"


@given(st.lists(st.sampled_from("abc"), max_size=300))
def test_of_one_recipient_the_next_256_differ_in_8_bits(recipients: list[str]) -> None:
    references = References(lambda: 0.9)
    given: dict[str, list[int]] = {}
    for recipient in recipients:
        given.setdefault(recipient, []).append(references.next(recipient) & 0xFF)
    for found in given.values():
        assert len(set(found[-256:])) == len(found[-256:])
