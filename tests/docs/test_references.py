"""What the documentation points at is there: files, and the tests by which docs/architecture.md backs its claims."""

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
    text = (ROOT / "docs" / "architecture.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", text)
    assert named
    for file, function in named:
        assert re.search(rf"^ *def {function}\(", (ROOT / file).read_text(), re.MULTILINE), f"{file}::{function}"
    defined = {
        name for file in (ROOT / "tests").rglob("*.py") for name in re.findall(r"def (test_\w+)", file.read_text())
    }
    assert set(re.findall(r"`(test_\w+)`", text)) <= defined | {
        path.stem for path in (ROOT / "tests").rglob("test_*.py")
    }
