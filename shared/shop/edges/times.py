"""Times as people type them."""

from datetime import UTC, datetime

from shop.runtime.errors import UserError


def parse(option: str, given: str | None) -> datetime | None:
    """The time in UTC that was given with a command line option, in ISO 8601 (UTC without an offset); None where
    nothing is given. Raises UserError."""
    if given is None:
        return None
    try:
        time = datetime.fromisoformat(given)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise UserError(
            f"{option} {given} is no time: write it like 2027-01-15T08:00:00 (UTC) or 2027-01-15T09:00:00+01:00"
        ) from None
