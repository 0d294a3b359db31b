"""Where things are."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".local"
"""Everything that this package makes at run time; git does not see it."""
