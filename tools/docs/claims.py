"""What the tests prove, from the mark on each: ``@pytest.mark.claim("...", section="restore", tried="broken")``.

The files are read, not run: this takes neither a broker nor a second.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.errors import Refusal

SECTIONS: Mapping[str, str] = {
    "restore": "Restore",
    "offsets": "Committed offsets",
    "transactions": "Transactions and fencing",
    "triggers": "Triggers and entities",
    "failures": "Crashes and outages",
    "access": "Access",
    "analytics": "Analytics and audit",
}
"""Titles of the pages. The first six are about the publishing services."""
FORM = '@pytest.mark.claim("TEXT", section="SECTION", tried="HOW")'
BAR = r"\|"
TABLE = "| claim | test | tried |\n| --- | --- | --- |\n"


@dataclass(frozen=True)
class Mark:
    """One mark on one test. ``tried``: how the claim was made false to see the test fail, or how it came to be."""

    test: str
    text: str
    section: str
    tried: str


def marks_of(tests: Path) -> list[Mark]:
    """The marks in all files of a folder, in the order of files and lines.

    Raises Refusal for a mark that is not of the form above, in which every word is a literal, on a test function.
    """
    return [
        mark for file in sorted(tests.rglob("*.py")) for mark in _marks_in(file, str(file.relative_to(tests.parent)))
    ]


def page(section: str, marks: Sequence[Mark]) -> str:
    """The page of a section. What several tests prove together is one row."""
    tests: dict[tuple[str, str], list[str]] = {}
    for mark in marks:
        if mark.section == section:
            tests.setdefault((mark.text, mark.tried), []).append(f"`{mark.test}`")
    rows = "".join(
        f"| {text.replace('|', BAR)} | {', '.join(names)} | {tried} |\n" for (text, tried), names in tests.items()
    )
    head = "<!-- Made by `make docs` from the marks on the tests. -->\n\n"
    return f"{head}# {SECTIONS[section]}\n\nWhat the columns mean is in [claims](../claims.md).\n\n{TABLE}{rows}"


def contents(marks: Sequence[Mark]) -> str:
    """The table of contents: how many claims each page has, and how many of them were broken on purpose."""
    lines = ["| page | claims | broken on purpose |", "| --- | --- | --- |"]
    for section, title in SECTIONS.items():
        tried = {mark.text: mark.tried for mark in marks if mark.section == section}
        broken = sum(how.startswith("broken") for how in tried.values())
        lines.append(f"| [{title}](claims/{section}.md) | {len(tried)} | {broken} |")
    return "\n".join(lines) + "\n"


def _marks_in(file: Path, name: str) -> Iterator[Mark]:
    text = file.read_text()
    if "mark.claim" not in text:
        return
    tree = ast.parse(text)
    unread = {node.lineno for node in ast.walk(tree) if isinstance(node, ast.Attribute) and _is_claim(node)}
    tests = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    for test in sorted(tests, key=lambda node: node.lineno):
        for call in test.decorator_list:
            if isinstance(call, ast.Call) and _is_claim(call.func):
                unread.discard(call.func.lineno)
                yield _mark(call, name, test.name)
    if unread:
        raise Refusal(f"{name}, line {min(unread)}: a claim is a mark on a test function: {FORM}")


def _is_claim(node: ast.expr) -> bool:
    return ast.unparse(node) == "pytest.mark.claim"


def _mark(call: ast.Call, file: str, test: str) -> Mark:
    try:
        said = [ast.literal_eval(word) for word in call.args]
        named = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
        mark = Mark(f"{file}::{test}", *said, **named)
    except (TypeError, ValueError):
        raise Refusal(f"{file}, line {call.lineno}: write {FORM}") from None
    if mark.section not in SECTIONS:
        raise Refusal(f"{file}, line {call.lineno}: section is one of {', '.join(SECTIONS)}, not {mark.section!r}")
    return mark
