"""What the services said: whether one went round in circles."""

import json
import re
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

COMPLAINTS = {"warning", "error", "critical"}
ONCE_OF_EACH = (" message ignored", "dead letter", "entity abandoned: it waited too long")
"""How that ends which is said once of each message or entity, as it should be."""
WINDOW_SECONDS = 10.0
MOST = 8
"""The same complaint in a window: pauses that grow from 0.1 s to 10 s come to seven."""


def circles(lines: Iterable[str]) -> Iterator[str]:
    """What is complained of over and over, without a pause that grows; each complaint once."""
    recent: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=MOST + 1))
    named = set()
    for line in lines:
        if not line.startswith("{"):
            continue
        entry = json.loads(line)
        event = str(entry.get("event", ""))
        if entry.get("level") not in COMPLAINTS or event.endswith(ONCE_OF_EACH):
            continue
        complaint = re.sub(r"\d+", "N", f"{event}: {entry.get('reason', entry.get('error', ''))}"[:160])
        # Said of every partition, once each time.
        complaint += f" {entry.get('topic', '')}/{entry['partition']}" if "partition" in entry else ""
        times = recent[complaint]
        times.append(datetime.fromisoformat(entry["timestamp"]).timestamp())
        if len(times) > MOST and times[-1] - times[0] < WINDOW_SECONDS and complaint not in named:
            named.add(complaint)
            yield complaint


def circles_in(folder: Path) -> list[str]:
    """The same of every log in a folder, with its name."""
    return [
        f"{log.stem} says it again and again: {complaint}"
        for log in sorted(folder.glob("*.log"))
        for complaint in circles(log.read_text(errors="replace").splitlines())
    ]
