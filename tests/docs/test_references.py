"""What the documentation points at is there: files, and the tests that docs/architecture.md names."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / name
    for name in (
        "README.md",
        "docs/architecture.md",
        "docs/fuzzing.md",
        "docs/monitoring.md",
        "docs/performance.md",
        "shared/README.md",
        "checkout/README.md",
        "order/README.md",
        "fulfillment/README.md",
        "analytics/README.md",
    )
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_test_that_the_architecture_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "architecture.md").read_text()))
    assert named
    files = list((ROOT / "tests").rglob("*.py"))
    defined = {name for file in files for name in re.findall(r"def (test_\w+)", file.read_text())}
    assert named <= defined | {file.stem for file in files}
