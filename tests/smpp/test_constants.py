from __future__ import annotations

import pytest

from smsgw.smpp.constants import (
    RESPONSE_BIT,
    CommandId,
    CommandStatus,
    Tag,
    command_name,
    status_known,
    status_name,
    tag_name,
)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (0x00, "ESME_ROK"),
        (0x58, "ESME_RTHROTTLED"),
        (0xC0, "ESME_RINVOPTPARSTREAM"),
        (0x112, "ESME_RINVBCASTCHANIND"),
        (0x437, "0x00000437"),
        (0xFFFFFFFF, "0xFFFFFFFF"),
    ],
)
def test_status_name(code: int, name: str) -> None:
    assert status_name(code) == name
    assert status_known(code) == name.startswith("ESME_")


def test_new_names_of_5_0_are_aliases() -> None:
    assert CommandStatus.ESME_RINVTLVSTREAM is CommandStatus.ESME_RINVOPTPARSTREAM
    assert CommandStatus.ESME_RINVTLVVAL is CommandStatus.ESME_RINVOPTPARAMVAL


@pytest.mark.parametrize(
    ("command_id", "name"),
    [(0x80000004, "submit_sm_resp"), (0x111, "broadcast_sm"), (0x00010200, "0x00010200")],
)
def test_command_name(command_id: int, name: str) -> None:
    assert command_name(command_id) == name


def test_every_response_is_its_request_with_the_bit() -> None:
    for command in CommandId:
        if command.name.endswith("_RESP"):
            assert CommandId[command.name.removesuffix("_RESP")] | RESPONSE_BIT == command


@pytest.mark.parametrize(
    ("tag", "name"), [(0x0424, "message_payload"), (0x1383, "its_session_info"), (0x1400, "0x1400")]
)
def test_tag_name(tag: int, name: str) -> None:
    assert tag_name(tag) == name


@pytest.mark.parametrize("tag", Tag)
def test_tag_rows_make_sense(tag: Tag) -> None:
    assert Tag(int(tag)) is tag
    assert 0 <= tag.least <= tag.most <= 0xFFFF
    if tag.kind == "integer":
        assert tag.least == tag.most
        assert tag.most in {1, 2, 4}


def test_all_tags_are_there() -> None:
    """3.4 has 44 (table 5-7), 5.0 adds 20 (table 4-47)."""
    new = {tag for tag in Tag if 0x0428 <= tag <= 0x0613 and tag != Tag.USSD_SERVICE_OP}
    assert len(new) == 20
    assert len(Tag) - len(new) == 44
