"""Everything that `make docs` writes, and what of it is out of date."""

from collections.abc import Mapping
from pathlib import Path

from local.paths import ROOT
from tools.docs import claims, settings
from tools.docs.page import filled

CLAIMS = "docs/claims"


def generated() -> dict[str, str]:
    """The text of each file, by its path below the root. Raises Refusal where something to make it of is wrong."""
    marks = claims.marks_of(ROOT / "tests")
    blocks = {"docs/settings.md": settings.tables(), f"{CLAIMS}.md": claims.contents(marks)}
    return (
        {page: filled(page, (ROOT / page).read_text(), block) for page, block in blocks.items()}
        | {f"{CLAIMS}/{section}.md": claims.page(section, marks) for section in claims.SECTIONS}
        | {f"{service}/.env.example": settings.example(service) for service in settings.SERVICES}
    )


def outdated(made: Mapping[str, str]) -> list[str]:
    """The files that are not what was made, and pages of sections that are no more."""
    differ = [name for name, text in made.items() if _read(ROOT / name) != text]
    left = [str(page.relative_to(ROOT)) for page in (ROOT / CLAIMS).glob("*.md")]
    return differ + sorted(set(left) - set(made))


def write(made: Mapping[str, str]) -> list[str]:
    """Write, or remove, what is out of date, and return the names of these files."""
    names = outdated(made)
    for name in names:
        file = ROOT / name
        if name in made:
            file.parent.mkdir(exist_ok=True)
            file.write_text(made[name])
        else:
            file.unlink()
    return names


def _read(file: Path) -> str | None:
    return file.read_text() if file.is_file() else None
