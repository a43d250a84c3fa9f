"""A message as the PDUs of its parts, the way one channel sends it: pure.

`Cutter.cut` decides once what is on the air: encoding, parts, reference. `SmppCutter.submit_sm` and
`GsmCutter.submit` make the PDU of one part, when it is about to leave: only then is it known what remains
until the deadline.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from zlib import crc32

import msgspec

from smsgw import outcome as outcomes
from smsgw.channel_settings import Common, SmppSettings
from smsgw.gsm import messages
from smsgw.gsm.addresses import Address, address
from smsgw.gsm.octets import EncodeError as TpduEncodeError
from smsgw.gsm.shapes import Submit
from smsgw.gsm.times import relative
from smsgw.message import Submission
from smsgw.outcome import Broken, Progress, Refused
from smsgw.smpp.constants import Tag
from smsgw.smpp.dialect import submit_sm
from smsgw.smpp.fields import EncodeError
from smsgw.smpp.pdu import SubmitSm
from smsgw.smpp.tlv import Tlvs
from smsgw.sms import packing, udh
from smsgw.sms.coding import Coding, DefaultAlphabet, Form, Impossible, choose
from smsgw.sms.references import References
from smsgw.sms.shift_tables import LANGUAGES
from smsgw.sms.split import Part, split, split_data
from smsgw.sms.transliterate import transliterate


class Cut(msgspec.Struct, frozen=True):
    """The parts of a message; the first ones were taken already under the ids in `taken`."""

    parts: tuple[Part, ...]
    transliterated: int = 0
    taken: tuple[str, ...] = ()

    @property
    def on_air(self) -> int:
        """How many short messages the phone gets: the message centre may do the cutting."""
        return self.parts[0].total

    def broken_off(self, outcome: Broken, account: str, taken: Sequence[outcomes.Part]) -> Broken:
        """The outcome of the part that was not taken, as that of the message; `taken` are those before it."""
        progress = self._progress(account, tuple(part.smsc_id for part in taken)) if taken else None
        return msgspec.structs.replace(outcome, on_air=self.on_air, progress=progress)

    def _progress(self, account: str, ids: tuple[str, ...]) -> Progress:
        return Progress(account, self.parts[0].reference or 0, len(self.parts), _digest(self.parts), ids)

    def continues(self, before: Progress) -> bool:
        """Whether this is the message that was broken off, cut as it was then."""
        return (len(self.parts), _digest(self.parts)) == (before.parts, before.digest)


class Cutter:
    """Cuts messages for one channel. It remembers the references of long messages, nothing else."""

    form: Form = "udh"
    alphabet: DefaultAlphabet = "gsm7"

    def __init__(self, settings: Common, account: str, chance: Callable[[], float] = random.random) -> None:
        self._settings = settings
        self._account = account
        self._references = References(chance)
        self._languages = tuple(LANGUAGES[name] for name in settings.languages)

    def cut(self, submission: Submission) -> Cut | Refused:
        """The parts of a message, or why it can't be sent here; then with how many parts it would have."""
        before = submission.progress
        if before is not None and before.account == self._account:
            again = self._parts(submission, before.reference)
            if isinstance(again, Cut) and again.continues(before):
                return msgspec.structs.replace(again, taken=before.ids)
        return self._parts(submission, None)

    def _parts(self, submission: Submission, reference: int | None) -> Cut | Refused:
        """`reference` is None for one of its own, if there is need of any."""
        message = submission.message
        header: bytes = b""
        elements: tuple[udh.Element, ...] = ()
        if message.udh:
            header = bytes.fromhex(message.udh)
            parsed = udh.parse(header)
            if parsed.problem is not None or parsed.length != len(header):
                return Refused(f"udh: {parsed.problem or 'octets after the user data header'}")
            elements = parsed.elements
        if message.text is None:
            return self._data(submission, header, reference)
        return self._text(submission, message.text, elements, reference)

    def _reference(self, submission: Submission, reference: int | None) -> int:
        return self._references.next(submission.message.to, submission.id) if reference is None else reference

    def _text(
        self, submission: Submission, text: str, elements: tuple[udh.Element, ...], reference: int | None
    ) -> Cut | Refused:
        message, settings = submission.message, self._settings
        a_part = bool(elements) and udh.concatenation(elements) is not None
        replaced = 0
        if settings.transliterate != "off" and message.encoding in ("auto", "gsm7"):
            changed = transliterate(text, settings.transliterate)
            text, replaced = changed.text, changed.replaced
        coding = choose(
            text,
            message.encoding,
            languages=self._languages,
            form=self.form,
            elements=elements,
            default_alphabet=self.alphabet,
            max_parts=1 if a_part else settings.max_parts,
        )
        if isinstance(coding, Coding):
            if len(coding.pieces) > 1:
                reference = self._reference(submission, reference)
            return Cut(split(coding, reference=reference), replaced)
        if a_part and coding.position is None:
            return Refused("udh: its header says that the text is one part, and it does not fit one")
        return Refused(coding.problem)

    def _data(self, submission: Submission, header: bytes, reference: int | None) -> Cut | Refused:
        # whether a reference is needed shows when the data is cut; one that is not needed is not used up
        data, form, most = submission.message.data or b"", self.form, self._settings.max_parts
        parts = split_data(data, header=header, reference=0, form=form, max_parts=most)
        if not isinstance(parts, Impossible) and len(parts) > 1:
            reference = self._reference(submission, reference)
            parts = split_data(data, header=header, reference=reference, form=form, max_parts=most)
        return Refused(parts.problem) if isinstance(parts, Impossible) else Cut(parts)


class SmppCutter(Cutter):
    """Cuts as the dialect says, and makes submit_sm of the parts."""

    def __init__(
        self, settings: SmppSettings, account: str, chance: Callable[[], float] = random.random
    ) -> None:
        super().__init__(settings, account, chance)
        self._dialect = settings.dialect
        self.form = settings.dialect.long_messages
        self.alphabet = settings.dialect.default_alphabet

    def submit_sm(self, submission: Submission, part: Part, now: float) -> SubmitSm | Refused:
        """The PDU of one part; `now` is in seconds since the epoch."""
        message = submission.message
        try:
            return submit_sm(
                submission,
                part.udh + self._payload(part),
                part.encoding,
                message.from_ or self._settings.from_,
                self._dialect,
                now,
                udhi=bool(part.udh),
                payload=part.whole,
                tlvs=_segment(part),
            )
        except EncodeError as error:
            return Refused(str(error))

    def _payload(self, part: Part) -> bytes:
        if part.encoding == "gsm7" and self.alphabet == "gsm7-packed":
            return packing.pack(part.payload, packing.fill_bits(len(part.udh)))
        return part.payload


class GsmCutter(Cutter):
    """Makes SMS-SUBMIT of the parts. Who it is from is the SIM's to say."""

    def submit(self, submission: Submission, part: Part, now: float) -> Submit | Refused:
        """The TPDU of one part; `now` is in seconds since the epoch."""
        message = submission.message
        remaining = None if submission.deadline is None else submission.deadline - now
        try:
            return messages.submit(
                part,
                destination(message.to),
                validity=None if remaining is None else relative(remaining),
                status_report=message.receipt != "none",
                flash=message.flash,
            )
        except TpduEncodeError as error:
            return Refused(str(error))


SHORT_CODE = 6
"""Digits that a short code has at most."""


def destination(number: str) -> Address:
    """E.164 with or without its `+` is international; short codes, and numbers with a leading 0, are not.

    Raises:
        EncodeError: it can't be written.
    """
    digits = number.isascii() and number.isdigit()
    return address(f"+{number}" if digits and len(number) > SHORT_CODE and number[0] != "0" else number)


def _segment(part: Part) -> Tlvs:
    """The TLVs of SMPP 3.4, 5.3.2.22 to 5.3.2.24, where they tell the parts apart."""
    if not part.sar:
        return ()
    return (
        (int(Tag.SAR_MSG_REF_NUM), (part.reference or 0).to_bytes(2, "big")),
        (int(Tag.SAR_TOTAL_SEGMENTS), bytes((part.total,))),
        (int(Tag.SAR_SEGMENT_SEQNUM), bytes((part.number,))),
    )


def _digest(parts: tuple[Part, ...]) -> int:
    """Differs where a message is cut in another way than before."""
    found = 0
    for part in parts:
        found = crc32(part.udh + part.payload, found)
    return found
