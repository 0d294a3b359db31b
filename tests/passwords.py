"""Passwords that are hard to hand on, and those that chance draws."""

from hypothesis import strategies as st

HARD = (
    "a\\b",
    "\\",
    "\\u0041\\x41\\n",
    "a$word",
    "$$",
    "${HOME}",
    "$(id)`id`",
    "%(x)s %d %",
    "it's",
    '"',
    "'\"'\"'",
    "`",
    "#",
    "a #b",
    "=",
    "a=b,c=d",
    "[a],b",
    "{}[]",
    "iterations=1,password=x",
    "!!",
    "!important",
    ";",
    "-- '; DROP USER user; --",
    "--help",
    "-",
    "*?[a-z]~",
    "&|<>",
    "://user:word@host/?a=b#c",
    "a  b",
    "ä",
    "e\u0301",
    "\u00e9",
    "\ufb01\uff21\u2460",
    "\u00a0",
    "\u3000a",
    "\u00ad\u200b\ufeff",
    "\u202eabc",
    "אבג",
    "مرحبا",
    "中文",
    "\U0001f600",
    "\U0001f469\u200d\U0001f4bb",
    "\U0010ffff",
    "İıſß",
    "null",
    "true",
    "0123",
    "x" * 73,
    "ä" * 256,
    "\U0001f600" * 1000,
)
"""Each holds what some program on the way expands, escapes, cuts off, normalizes, or takes for its own."""

any_password = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=80).filter(
    lambda password: password == password.strip(" ")
)
"""What every one of the settings takes."""
UNFIT = {
    "a\nb": "U+000A",
    "a\tb": "U+0009",
    "\x1b[31m": "U+001B",
    "\x7f": "U+007F",
    "\x85": "U+0085",
    "\u2028": "U+2028",
}
"""What none of them takes, and what its refusal names."""
