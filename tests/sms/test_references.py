"""References of long messages count for each recipient."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smsgw.sms.references import References


def test_they_count_for_each_recipient() -> None:
    references = References(lambda: 0.0)
    found = [references.next(to, f"m{number}") for number, to in enumerate(["1", "1", "2", "1"])]
    assert found == [0, 1, 0, 2]


def test_a_message_that_is_sent_again_keeps_its_own() -> None:
    references = References(lambda: 0.0)
    assert [references.next("1", each) for each in ("a", "a", "b", "b", "c")] == [0, 0, 1, 1, 2]
    assert references.next("2", "c") == 0, "which counts for each recipient too"


def test_they_come_round() -> None:
    references = References(lambda: 0xFFFF / 0x10000)
    assert [references.next("1", "a"), references.next("1", "b")] == [0xFFFF, 0]


@given(st.floats(min_value=0, max_value=1, exclude_max=True))
def test_they_begin_anywhere(chance: float) -> None:
    assert 0 <= References(lambda: chance).next("1", "a") <= 0xFFFF


def test_only_so_many_recipients_are_remembered_and_the_latest_are() -> None:
    references = References(lambda: 0.5, recipients=2)
    for number, recipient in enumerate(("1", "2", "1", "3")):
        references.next(recipient, f"m{number}")
    assert len(references) == 2
    assert references.next("1", "a") == 0x8002
    assert references.next("2", "b") == 0x8000, "forgotten: it was the oldest"


@given(st.lists(st.sampled_from("abc"), max_size=300))
def test_of_one_recipient_the_next_256_differ_in_8_bits(recipients: list[str]) -> None:
    references = References(lambda: 0.9)
    given: dict[str, list[int]] = {}
    for number, recipient in enumerate(recipients):
        given.setdefault(recipient, []).append(references.next(recipient, f"m{number}") & 0xFF)
    for found in given.values():
        assert len(set(found[-256:])) == len(found[-256:])
