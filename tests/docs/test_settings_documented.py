"""The README's table and each .env.example name every setting with its default, and nothing else."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from dotenv import dotenv_values

from analytics_service.audit.settings import AuditSettings
from analytics_service.settings import AnalyticsSettings
from checkout_service.settings import CheckoutSettings
from fulfillment_service.settings import FulfillmentSettings
from local.environment import is_named
from order_service.settings import OrderSettings
from shop.edges.settings import Settings, load

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
HEADER = "| setting | of | default | meaning |"
SERVICES: Mapping[str, type[Settings]] = {
    "checkout": CheckoutSettings,
    "order": OrderSettings,
    "fulfillment": FulfillmentSettings,
    "analytics": AnalyticsSettings,
}
# The auditor is no service: it has these besides those of all.
AUDIT_ONLY = {
    "KAFKA_USER",
    "KAFKA_PASSWORD",
    "MARIADB_HOST",
    "MARIADB_PORT",
    "MARIADB_TLS",
    "MARIADB_USER",
    "MARIADB_PASSWORD",
    "MARIADB_DATABASE",
    "FULFILLMENT_DATABASE",
}


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    kinds: list[type[Settings]] = [*SERVICES.values(), AuditSettings]
    for kind in kinds:
        for name in kind.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)


def rows_of_the_readme() -> list[tuple[str, list[str], str, str]]:
    """Each row of the table: setting, whose, default, meaning."""
    lines = README.read_text().splitlines()
    found = []
    for line in lines[lines.index(HEADER) + 2 :]:
        if not line.startswith("|"):
            break
        setting, of, default, meaning = (cell.strip() for cell in line.strip("|").split("|"))
        value = "" if default == "*empty*" else default.strip("`")
        found.append((setting.strip("`"), list(SERVICES) if of == "all" else of.split(", "), value, meaning))
    return found


def documented(service: str) -> dict[str, str]:
    """What the README says of one service: the default of each setting."""
    rows = [(setting, default) for setting, of, default, _ in rows_of_the_readme() if service in of]
    assert len(rows) == len(dict(rows)), f"a setting of {service} stands there twice"
    return dict(rows)


def must_be_the_defaults(kind: type[Settings], told: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = load(kind)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert load(kind) == defaults


def names(kind: type[Settings]) -> set[str]:
    return {name.upper() for name in kind.model_fields}


@pytest.mark.parametrize("service", SERVICES)
def test_the_readme_names_every_setting_with_its_default(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = documented(service)
    assert set(told) == names(SERVICES[service])
    must_be_the_defaults(SERVICES[service], told, monkeypatch)


@pytest.mark.parametrize("service", SERVICES)
def test_the_example_names_every_setting_with_its_default(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {name: value or "" for name, value in dotenv_values(ROOT / service / ".env.example").items()}
    assert set(told) == names(SERVICES[service])
    must_be_the_defaults(SERVICES[service], told, monkeypatch)


def test_the_readme_names_the_auditors_settings_with_their_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    told = documented("audit")
    assert set(told) == AUDIT_ONLY
    assert set(told) | names(Settings) == names(AuditSettings)
    must_be_the_defaults(AuditSettings, told, monkeypatch)


def test_make_passes_every_documented_setting_on() -> None:
    told = {setting for setting, _, _, _ in rows_of_the_readme()} | set(dotenv_values(ROOT / ".env.example"))
    assert {name for name in told if not is_named(name)} == set()


def test_nothing_else_stands_in_the_table_and_every_setting_is_explained() -> None:
    for setting, of, _, meaning in rows_of_the_readme():
        assert set(of) <= {*SERVICES, "audit"}, setting
        assert meaning, setting
