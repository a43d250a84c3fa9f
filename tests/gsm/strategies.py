"""TPDUs of all kinds, for hypothesis."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from smsgw.gsm.addresses import Address, Npi, Ton
from smsgw.gsm.status import Status
from smsgw.gsm.times import Enhanced, Relative, Timestamp, timestamp
from smsgw.gsm.tpdu import (
    Command,
    Deliver,
    DeliverReport,
    StatusReport,
    Submit,
    SubmitReport,
    UserData,
    octets_of,
)
from smsgw.sms.coding_scheme import scheme
from smsgw.sms.shift_tables import LOCKING, UNDEFINED

OCTETS = st.integers(0, 255)
FLAGS = st.booleans()

_LETTERS = sorted(set(LOCKING[0]) - {UNDEFINED})
NUMBERS = st.builds(
    Address,
    st.text("0123456789*#abc", max_size=20),
    st.sampled_from([ton for ton in Ton if ton != Ton.ALPHANUMERIC]),
    st.sampled_from(Npi),
)
NAMES = st.builds(Address, st.text(_LETTERS, max_size=11), st.just(Ton.ALPHANUMERIC), st.sampled_from(Npi))
ADDRESSES = NUMBERS | NAMES
ZONES = st.integers(-79, 79).map(lambda quarters: timezone(timedelta(minutes=15 * quarters)))
MOMENTS = st.datetimes(
    datetime(2000, 1, 1), datetime(2099, 12, 31), timezones=ZONES, allow_imaginary=False
).map(lambda moment: moment.replace(microsecond=0))
TIMES = MOMENTS.map(timestamp) | st.binary(min_size=7, max_size=7).map(Timestamp)
VALIDITIES = (
    st.none() | st.builds(Relative, OCTETS) | TIMES | st.builds(Enhanced, st.binary(min_size=7, max_size=7))
)


@st.composite
def user_data(draw: st.DrawFn, coding: int) -> UserData:
    length = draw(st.integers(0, 160 if scheme(coding).septets else 140))
    octets = octets_of(length, coding)
    return UserData(length, draw(st.binary(min_size=octets, max_size=octets)))


@st.composite
def with_data(draw: st.DrawFn, shape: type, **fields: Any) -> Any:
    """A TPDU with a coding and its data."""
    coding = draw(OCTETS)
    return shape(
        coding=coding,
        data=draw(user_data(coding)),
        has_header=draw(FLAGS),
        **{name: draw(strategy) for name, strategy in fields.items()},
    )


@st.composite
def with_parameters(draw: st.DrawFn, shape: type, **fields: Any) -> Any:
    coding = draw(st.none() | OCTETS)
    return shape(
        protocol=draw(st.none() | OCTETS),
        coding=coding,
        data=draw(st.none() | user_data(coding or 0)),
        has_header=draw(FLAGS),
        **{name: draw(strategy) for name, strategy in fields.items()},
    )


CAUSES = st.none() | st.integers(0x80, 0xFF)
DELIVERS = with_data(
    Deliver,
    originator=ADDRESSES,
    timestamp=TIMES,
    protocol=OCTETS,
    more_messages=FLAGS,
    loop=FLAGS,
    status_report=FLAGS,
    reply_path=FLAGS,
)
SUBMITS = with_data(
    Submit,
    destination=ADDRESSES,
    reference=OCTETS,
    protocol=OCTETS,
    validity=VALIDITIES,
    reject_duplicates=FLAGS,
    status_report=FLAGS,
    reply_path=FLAGS,
)
STATUS_REPORTS = with_parameters(
    StatusReport,
    reference=OCTETS,
    recipient=ADDRESSES,
    timestamp=TIMES,
    discharged=TIMES,
    status=st.builds(Status, OCTETS),
    more_messages=FLAGS,
    loop=FLAGS,
    of_command=FLAGS,
)
COMMANDS = st.builds(
    Command,
    destination=ADDRESSES,
    kind=OCTETS,
    reference=OCTETS,
    number=OCTETS,
    protocol=OCTETS,
    data=st.binary(max_size=157),
    status_report=FLAGS,
    has_header=FLAGS,
)
SUBMIT_REPORTS = with_parameters(SubmitReport, timestamp=TIMES, cause=CAUSES)
DELIVER_REPORTS = with_parameters(DeliverReport, cause=CAUSES)

FROM_SC = DELIVERS | STATUS_REPORTS | SUBMIT_REPORTS
FROM_PHONE = SUBMITS | COMMANDS | DELIVER_REPORTS
