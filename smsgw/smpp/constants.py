"""The numbers of SMPP, as tables: command ids, statuses, TLV tags and the values of a few fields.

Everything here comes from "Short Message Peer to Peer Protocol Specification" v3.4 (Issue 1.2) and
v5.0, the clauses named below. A number that is not in a table is no error anywhere: it is carried
as it is and shown in hexadecimal.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Literal, TypeAlias

RESPONSE_BIT = 0x80000000
"""Set in the command_id of every response (3.4, 5.1.2.1)."""


class CommandId(IntEnum):
    """command_id (3.4, 5.1.2.1; the broadcast ones 5.0, 4.7.5)."""

    GENERIC_NACK = 0x80000000
    BIND_RECEIVER = 0x00000001
    BIND_RECEIVER_RESP = 0x80000001
    BIND_TRANSMITTER = 0x00000002
    BIND_TRANSMITTER_RESP = 0x80000002
    QUERY_SM = 0x00000003
    QUERY_SM_RESP = 0x80000003
    SUBMIT_SM = 0x00000004
    SUBMIT_SM_RESP = 0x80000004
    DELIVER_SM = 0x00000005
    DELIVER_SM_RESP = 0x80000005
    UNBIND = 0x00000006
    UNBIND_RESP = 0x80000006
    REPLACE_SM = 0x00000007
    REPLACE_SM_RESP = 0x80000007
    CANCEL_SM = 0x00000008
    CANCEL_SM_RESP = 0x80000008
    BIND_TRANSCEIVER = 0x00000009
    BIND_TRANSCEIVER_RESP = 0x80000009
    OUTBIND = 0x0000000B
    ENQUIRE_LINK = 0x00000015
    ENQUIRE_LINK_RESP = 0x80000015
    SUBMIT_MULTI = 0x00000021
    SUBMIT_MULTI_RESP = 0x80000021
    ALERT_NOTIFICATION = 0x00000102
    DATA_SM = 0x00000103
    DATA_SM_RESP = 0x80000103
    BROADCAST_SM = 0x00000111
    BROADCAST_SM_RESP = 0x80000111
    QUERY_BROADCAST_SM = 0x00000112
    QUERY_BROADCAST_SM_RESP = 0x80000112
    CANCEL_BROADCAST_SM = 0x00000113
    CANCEL_BROADCAST_SM_RESP = 0x80000113


class CommandStatus(IntEnum):
    """command_status (3.4, 5.1.3; from 0x100 on 5.0, 4.7.6). 5.0's new names for old codes are aliases."""

    ESME_ROK = 0x00
    ESME_RINVMSGLEN = 0x01
    ESME_RINVCMDLEN = 0x02
    ESME_RINVCMDID = 0x03
    ESME_RINVBNDSTS = 0x04
    ESME_RALYBND = 0x05
    ESME_RINVPRTFLG = 0x06
    ESME_RINVREGDLVFLG = 0x07
    ESME_RSYSERR = 0x08
    ESME_RINVSRCADR = 0x0A
    ESME_RINVDSTADR = 0x0B
    ESME_RINVMSGID = 0x0C
    ESME_RBINDFAIL = 0x0D
    ESME_RINVPASWD = 0x0E
    ESME_RINVSYSID = 0x0F
    ESME_RCANCELFAIL = 0x11
    ESME_RREPLACEFAIL = 0x13
    ESME_RMSGQFUL = 0x14
    ESME_RINVSERTYP = 0x15
    ESME_RINVNUMDESTS = 0x33
    ESME_RINVDLNAME = 0x34
    ESME_RINVDESTFLAG = 0x40
    ESME_RINVSUBREP = 0x42
    ESME_RINVESMCLASS = 0x43
    ESME_RCNTSUBDL = 0x44
    ESME_RSUBMITFAIL = 0x45
    ESME_RINVSRCTON = 0x48
    ESME_RINVSRCNPI = 0x49
    ESME_RINVDSTTON = 0x50
    ESME_RINVDSTNPI = 0x51
    ESME_RINVSYSTYP = 0x53
    ESME_RINVREPFLAG = 0x54
    ESME_RINVNUMMSGS = 0x55
    ESME_RTHROTTLED = 0x58
    ESME_RINVSCHED = 0x61
    ESME_RINVEXPIRY = 0x62
    ESME_RINVDFTMSGID = 0x63
    ESME_RX_T_APPN = 0x64
    ESME_RX_P_APPN = 0x65
    ESME_RX_R_APPN = 0x66
    ESME_RQUERYFAIL = 0x67
    ESME_RINVOPTPARSTREAM = 0xC0
    ESME_ROPTPARNOTALLWD = 0xC1
    ESME_RINVPARLEN = 0xC2
    ESME_RMISSINGOPTPARAM = 0xC3
    ESME_RINVOPTPARAMVAL = 0xC4
    ESME_RDELIVERYFAILURE = 0xFE
    ESME_RUNKNOWNERR = 0xFF
    ESME_RSERTYPUNAUTH = 0x100
    ESME_RPROHIBITED = 0x101
    ESME_RSERTYPUNAVAIL = 0x102
    ESME_RSERTYPDENIED = 0x103
    ESME_RINVDCS = 0x104
    ESME_RINVSRCADDRSUBUNIT = 0x105
    ESME_RINVDSTADDRSUBUNIT = 0x106
    ESME_RINVBCASTFREQINT = 0x107
    ESME_RINVBCASTALIAS_NAME = 0x108
    ESME_RINVBCASTAREAFMT = 0x109
    ESME_RINVNUMBCAST_AREAS = 0x10A
    ESME_RINVBCASTCNTTYPE = 0x10B
    ESME_RINVBCASTMSGCLASS = 0x10C
    ESME_RBCASTFAIL = 0x10D
    ESME_RBCASTQUERYFAIL = 0x10E
    ESME_RBCASTCANCELFAIL = 0x10F
    ESME_RINVBCAST_REP = 0x110
    ESME_RINVBCASTSRVGRP = 0x111
    ESME_RINVBCASTCHANIND = 0x112

    ESME_RINVTLVSTREAM = 0xC0
    ESME_RTLVNOTALLWD = 0xC1
    ESME_RINVTLVLEN = 0xC2
    ESME_RMISSINGTLV = 0xC3
    ESME_RINVTLVVAL = 0xC4


_STATUS_NAMES = {int(status): status.name for status in CommandStatus}


def status_known(code: int) -> bool:
    """Whether the specification, 3.4 or 5.0, has the code."""
    return code in _STATUS_NAMES


def status_name(code: int) -> str:
    """The specification's name, `ESME_ROK`; a code that it does not have is named `0x00000437`."""
    return _STATUS_NAMES.get(code) or f"0x{code:08X}"


def command_name(command_id: int) -> str:
    """The specification's name, `submit_sm`; an id that it does not have is named `0x00000437`."""
    try:
        return CommandId(command_id).name.lower()
    except ValueError:
        return f"0x{command_id:08X}"


TlvKind: TypeAlias = Literal["integer", "cstring", "octets"]


class Tag(IntEnum):
    """TLV tags (3.4, 5.3.2; 5.0, 4.8.4). One row: tag, kind of value, least and most octets of it.

    The octets of a C-Octet String count its NUL.
    """

    kind: TlvKind
    least: int
    most: int

    def __new__(cls, tag: int, kind: TlvKind, least: int, most: int) -> Tag:
        member = int.__new__(cls, tag)
        member._value_ = tag
        member.kind, member.least, member.most = kind, least, most
        return member

    DEST_ADDR_SUBUNIT = 0x0005, "integer", 1, 1
    DEST_NETWORK_TYPE = 0x0006, "integer", 1, 1
    DEST_BEARER_TYPE = 0x0007, "integer", 1, 1
    DEST_TELEMATICS_ID = 0x0008, "integer", 2, 2
    SOURCE_ADDR_SUBUNIT = 0x000D, "integer", 1, 1
    SOURCE_NETWORK_TYPE = 0x000E, "integer", 1, 1
    SOURCE_BEARER_TYPE = 0x000F, "integer", 1, 1
    SOURCE_TELEMATICS_ID = 0x0010, "integer", 1, 1
    QOS_TIME_TO_LIVE = 0x0017, "integer", 4, 4
    PAYLOAD_TYPE = 0x0019, "integer", 1, 1
    ADDITIONAL_STATUS_INFO_TEXT = 0x001D, "cstring", 1, 256
    RECEIPTED_MESSAGE_ID = 0x001E, "cstring", 1, 65
    MS_MSG_WAIT_FACILITIES = 0x0030, "integer", 1, 1
    PRIVACY_INDICATOR = 0x0201, "integer", 1, 1
    SOURCE_SUBADDRESS = 0x0202, "octets", 2, 23
    DEST_SUBADDRESS = 0x0203, "octets", 2, 23
    USER_MESSAGE_REFERENCE = 0x0204, "integer", 2, 2
    USER_RESPONSE_CODE = 0x0205, "integer", 1, 1
    SOURCE_PORT = 0x020A, "integer", 2, 2
    DESTINATION_PORT = 0x020B, "integer", 2, 2
    SAR_MSG_REF_NUM = 0x020C, "integer", 2, 2
    LANGUAGE_INDICATOR = 0x020D, "integer", 1, 1
    SAR_TOTAL_SEGMENTS = 0x020E, "integer", 1, 1
    SAR_SEGMENT_SEQNUM = 0x020F, "integer", 1, 1
    SC_INTERFACE_VERSION = 0x0210, "integer", 1, 1
    CALLBACK_NUM_PRES_IND = 0x0302, "integer", 1, 1
    CALLBACK_NUM_ATAG = 0x0303, "octets", 0, 65
    NUMBER_OF_MESSAGES = 0x0304, "integer", 1, 1
    CALLBACK_NUM = 0x0381, "octets", 4, 19
    DPF_RESULT = 0x0420, "integer", 1, 1
    SET_DPF = 0x0421, "integer", 1, 1
    MS_AVAILABILITY_STATUS = 0x0422, "integer", 1, 1
    NETWORK_ERROR_CODE = 0x0423, "octets", 3, 3
    MESSAGE_PAYLOAD = 0x0424, "octets", 0, 0xFFFF
    DELIVERY_FAILURE_REASON = 0x0425, "integer", 1, 1
    MORE_MESSAGES_TO_SEND = 0x0426, "integer", 1, 1
    MESSAGE_STATE = 0x0427, "integer", 1, 1
    CONGESTION_STATE = 0x0428, "integer", 1, 1
    USSD_SERVICE_OP = 0x0501, "integer", 1, 1
    BROADCAST_CHANNEL_INDICATOR = 0x0600, "integer", 1, 1
    BROADCAST_CONTENT_TYPE = 0x0601, "octets", 3, 3
    BROADCAST_CONTENT_TYPE_INFO = 0x0602, "octets", 1, 255
    BROADCAST_MESSAGE_CLASS = 0x0603, "integer", 1, 1
    BROADCAST_REP_NUM = 0x0604, "integer", 2, 2
    BROADCAST_FREQUENCY_INTERVAL = 0x0605, "octets", 3, 3
    BROADCAST_AREA_IDENTIFIER = 0x0606, "octets", 1, 100
    BROADCAST_ERROR_STATUS = 0x0607, "integer", 4, 4
    BROADCAST_AREA_SUCCESS = 0x0608, "integer", 1, 1
    BROADCAST_END_TIME = 0x0609, "cstring", 1, 17
    BROADCAST_SERVICE_GROUP = 0x060A, "octets", 1, 255
    BILLING_IDENTIFICATION = 0x060B, "octets", 1, 1024
    SOURCE_NETWORK_ID = 0x060D, "cstring", 7, 65
    DEST_NETWORK_ID = 0x060E, "cstring", 7, 65
    SOURCE_NODE_ID = 0x060F, "octets", 6, 6
    DEST_NODE_ID = 0x0610, "octets", 6, 6
    DEST_ADDR_NP_RESOLUTION = 0x0611, "integer", 1, 1
    DEST_ADDR_NP_INFORMATION = 0x0612, "octets", 10, 10
    DEST_ADDR_NP_COUNTRY = 0x0613, "octets", 1, 5
    DISPLAY_TIME = 0x1201, "integer", 1, 1
    SMS_SIGNAL = 0x1203, "integer", 2, 2
    MS_VALIDITY = 0x1204, "integer", 1, 1
    ALERT_ON_MESSAGE_DELIVERY = 0x130C, "integer", 1, 1
    ITS_REPLY_TYPE = 0x1380, "integer", 1, 1
    ITS_SESSION_INFO = 0x1383, "octets", 2, 2


def tag_name(tag: int) -> str:
    """The specification's name, `message_payload`; a tag that it does not have is named `0x1400`."""
    try:
        return Tag(tag).name.lower()  # type: ignore[call-arg]  # by value; mypy sees __new__
    except ValueError:
        return f"0x{tag:04X}"


class Ton(IntEnum):
    """Type of number (3.4, 5.2.5)."""

    UNKNOWN = 0
    INTERNATIONAL = 1
    NATIONAL = 2
    NETWORK_SPECIFIC = 3
    SUBSCRIBER_NUMBER = 4
    ALPHANUMERIC = 5
    ABBREVIATED = 6


class Npi(IntEnum):
    """Numbering plan indicator (3.4, 5.2.6)."""

    UNKNOWN = 0
    ISDN = 1
    DATA = 3
    TELEX = 4
    LAND_MOBILE = 6
    NATIONAL = 8
    PRIVATE = 9
    ERMES = 10
    INTERNET = 14
    WAP_CLIENT_ID = 18


class EsmClass(IntFlag):
    """Bits of esm_class (3.4, 5.2.12). The message types are those of deliver_sm and data_sm."""

    DATAGRAM = 0x01
    FORWARD = 0x02
    STORE_AND_FORWARD = 0x03
    DELIVERY_RECEIPT = 0x04
    DELIVERY_ACKNOWLEDGEMENT = 0x08
    USER_ACKNOWLEDGEMENT = 0x10
    CONVERSATION_ABORT = 0x18
    INTERMEDIATE_NOTIFICATION = 0x20
    UDHI = 0x40
    REPLY_PATH = 0x80


class RegisteredDelivery(IntFlag):
    """Bits of registered_delivery (3.4, 5.2.17)."""

    NONE = 0x00
    FINAL = 0x01
    FAILURE = 0x02
    SUCCESS = 0x03
    """Only of successes: 5.0, 4.7.21."""
    INTERMEDIATE = 0x10


class MessageState(IntEnum):
    """message_state (3.4, 5.2.28; 0 and 9 of 5.0, 4.7.15)."""

    SCHEDULED = 0
    ENROUTE = 1
    DELIVERED = 2
    EXPIRED = 3
    DELETED = 4
    UNDELIVERABLE = 5
    ACCEPTED = 6
    UNKNOWN = 7
    REJECTED = 8
    SKIPPED = 9
