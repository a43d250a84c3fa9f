"""Texts and data of one part and of several, for hypothesis.

Left to itself it draws what is short: of a hundred texts of up to a thousand characters not one fills a part.
"""

from __future__ import annotations

from hypothesis import strategies as st

ALPHABETS = (
    st.characters(exclude_categories=["Cs"]),
    st.sampled_from("aå€[\r\nΔ@"),
    st.sampled_from("aşğİ€ıç"),
    st.sampled_from("नमस्तेक्षि१२ a"),
    st.sampled_from("👍🏽👨\u200d👩🇸🇪e\u0301 "),
)
"""Any character; those of GSM 7-bit, a national language, UCS-2; and clusters that are not to be cut."""


def texts(characters: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Half of them of one part and half of several, whatever the coding."""
    return st.one_of(st.text(characters, max_size=66), st.text(characters, min_size=161, max_size=1000))


TEXTS = st.one_of(*map(texts, ALPHABETS))
DATA = st.one_of(st.binary(max_size=140), st.binary(min_size=141, max_size=1000))
