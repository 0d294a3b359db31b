"""The pages of the documentation: their links, their anchors, and the outputs that they show."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from local.paths import ROOT

SERVICES = ("checkout", "order", "fulfillment", "analytics")
TOP = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [*TOP, *(ROOT / folder / "README.md" for folder in ("shared", *SERVICES)), *DOCS]

FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
SHOWN = re.compile(r"(?:^<!-- (output|lines) of ([^\n]+) -->\n)?^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def name(page: Path) -> str:
    """The page's path in the repository."""
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    """Its text without what is fenced."""
    return FENCE.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """The anchors of its headings, as GitHub and editors make them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Where it leads to within the repository: the file or folder, and the anchor in it, or nothing."""
    for target in LINK.findall(prose(page)):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            yield ((page.parent / path).resolve() if path else page), anchor


@dataclass(frozen=True)
class Shown:
    """A block that shows an output. ``kind``: ``output``, all of it, or ``lines``, some of it in this order."""

    page: str
    kind: str
    source: str
    text: str


def shown() -> list[Shown]:
    """Every block of every page that shows an output; without ``kind`` and ``source`` where none is told."""
    return [Shown(name(page), *found) for page in PAGES for found in SHOWN.findall(page.read_text())]


def fenced(language: str) -> list[tuple[str, str]]:
    """Page and text of every block in a language."""
    block = re.compile(rf"^```{language}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return [(name(page), text) for page in PAGES for text in block.findall(page.read_text())]
