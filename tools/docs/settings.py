"""The settings of all programs, as the tables of docs/settings.md and as each service's .env.example."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from analytics_service.audit.settings import AuditSettings
from analytics_service.settings import AnalyticsSettings, ReaderSettings
from checkout_service.settings import CheckoutSettings
from fulfillment_service.settings import FulfillmentSettings
from local.errors import Refusal
from order_service.settings import OrderSettings
from shop.edges.settings import Settings

SERVICES: Mapping[str, type[Settings]] = {
    "checkout": CheckoutSettings,
    "order": OrderSettings,
    "fulfillment": FulfillmentSettings,
    "analytics": AnalyticsSettings,
}
PROGRAMS: Mapping[str, type[Settings]] = {**SERVICES, "audit": AuditSettings, "kpi": ReaderSettings}
GROUPS = {
    tuple(PROGRAMS): "all",
    tuple(SERVICES): "services",
    ("checkout", "order", "fulfillment"): "publishing services",
}
"""What programs that share a setting are called together."""
SECTIONS = (
    "Checkouts",
    "Orders",
    "Chance and time",
    "Analytics",
    "Kafka",
    "MariaDB",
    "Logs, metrics and health",
    "Transactions and memory",
)
"""In the order of the page: what somebody who runs the shop changes first, and last what nobody needs to."""
TABLE = "| setting | of | default | values | meaning |\n|---|---|---|---|---|\n"
EXAMPLE_WIDTH = 118
UNBROKEN = "\N{NO-BREAK SPACE}"
EXAMPLE_HEADER = """\
# Every setting with its default, written by `make docs`. Put those that you change into .env in this folder.
# A variable of the environment wins over .env.
"""
NOTES = {
    "analytics": "# kpi, export, redrive and audit read .env, too. What it leaves out has its own default in each.\n"
}


@dataclass(frozen=True)
class Setting:
    """A setting of one program. ``meaning`` is Markdown."""

    name: str
    section: str
    default: str
    values: str
    meaning: str


def settings_of(kind: type[Settings]) -> list[Setting]:
    """All settings of a program, by section, and in each as they are declared.

    Raises Refusal where the page has no place for the section of one.
    """
    found = [
        Setting(name.upper(), _section(kind, name), _written(field.default), _values(field), field.description or "")
        for name, field in kind.model_fields.items()
    ]
    return sorted(found, key=lambda setting: SECTIONS.index(setting.section))


def tables() -> str:
    """A table for each section. Programs for which a setting means the same share a row."""
    programs = {program: settings_of(kind) for program, kind in PROGRAMS.items()}
    return "\n".join(f"## {section}\n\n{TABLE}{''.join(_rows(programs, section))}" for section in SECTIONS)


def example(service: str) -> str:
    """The .env.example of a service: each setting with its default, below its meaning."""
    lines = []
    section = ""
    for setting in settings_of(SERVICES[service]):
        if setting.section != section:
            section = setting.section
            lines += ["", f"## {section}"]
        lines += [*_comment(setting), f"{setting.name}={setting.default}"]
    return EXAMPLE_HEADER + NOTES.get(service, "") + "\n".join(lines) + "\n"


def _rows(programs: Mapping[str, Sequence[Setting]], section: str) -> Iterator[str]:
    shared: dict[str, dict[tuple[str, str], dict[str, str]]] = {}
    for program, settings in programs.items():
        for setting in settings:
            if setting.section == section:
                by_meaning = shared.setdefault(setting.name, {})
                by_meaning.setdefault((setting.values, setting.meaning), {})[program] = setting.default
    for name, by_meaning in shared.items():
        for (values, meaning), defaults in by_meaning.items():
            yield f"| `{name}` | {_of_and_default(defaults)} | {values} | {meaning} |\n"


def _of_and_default(defaults: Mapping[str, str]) -> str:
    """Whose a setting is, and the default: one, or that of each program in turn."""
    shown = [f"`{default}`" if default else "*empty*" for default in defaults.values()]
    if len(set(shown)) > 1:
        return f"{', '.join(defaults)} | {', '.join(shown)}"
    return f"{GROUPS.get(tuple(defaults), ', '.join(defaults))} | {shown[0]}"


def _comment(setting: Setting) -> list[str]:
    values = f"({setting.values})".replace(" ", UNBROKEN) if setting.values else ""
    text = f"{setting.meaning} {values}".replace("`", "")
    lines = textwrap.wrap(text, EXAMPLE_WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
    return [line.replace(UNBROKEN, " ") for line in lines]


def _section(kind: type[Settings], name: str) -> str:
    """The title of the class that declares a field first: whoever sets another default moves it nowhere."""
    declaring = [base for base in kind.__mro__ if issubclass(base, BaseSettings) and name in base.model_fields]
    title = str(declaring[-1].model_config["title"])
    if title not in SECTIONS:
        raise Refusal(f"{name.upper()} is in section {title}, which tools/docs/settings.py does not name in SECTIONS")
    return title


def _written(default: object) -> str:
    """A default as it stands in the environment."""
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:.15g}" if isinstance(default, float) else str(default)


def _values(field: FieldInfo) -> str:
    """Which values a setting takes, where its type says more than that it is a text."""
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(field.annotation))
    if field.annotation is bool:
        return "`true` or `false`"
    if field.annotation not in (int, float):
        return ""
    above = next((bound.gt for bound in field.metadata if isinstance(bound, Gt)), None)
    least = next((bound.ge for bound in field.metadata if isinstance(bound, Ge)), None)
    most = next((bound.le for bound in field.metadata if isinstance(bound, Le)), None)
    if least is not None and most is not None:
        return f"{least:,} to {most:,}"
    said = {"above": above, "at least": least, "at most": most}
    return ", ".join(f"{how} {bound:,}" for how, bound in said.items() if bound is not None) or "any whole number"
