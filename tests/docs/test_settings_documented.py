"""docs/settings.md and each .env.example say the truth: whoever sets what stands there gets the defaults."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from dotenv import dotenv_values

from local.environment import is_named
from local.paths import ROOT
from shop.edges.settings import Settings, load
from tools.docs.settings import GROUPS, PROGRAMS, SERVICES, settings_of


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for kind in PROGRAMS.values():
        for name in kind.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)


def documented() -> dict[str, dict[str, str]]:
    """What the page says of each program: the default of each setting."""
    groups = {name: programs for programs, name in GROUPS.items()}
    told: dict[str, dict[str, str]] = {program: {} for program in PROGRAMS}
    for row in re.findall(r"^\| `\w+` .*$", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE):
        setting, of, default, _, meaning = (cell.strip() for cell in row.strip("|").split("|"))
        assert meaning, setting
        programs = groups.get(of, of.split(", "))
        defaults = ["" if value == "*empty*" else value.strip("`") for value in default.split(", ")]
        for program, value in zip(programs, defaults * (len(programs) // len(defaults)), strict=True):
            assert setting.strip("`") not in told[program], f"{setting} of {program} stands there twice"
            told[program][setting.strip("`")] = value
    return told


def example(folder: Path) -> dict[str, str]:
    return {name: value or "" for name, value in dotenv_values(folder / ".env.example").items()}


def must_be_the_defaults(kind: type[Settings], told: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = load(kind)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert load(kind) == defaults


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_page_names_every_setting_with_its_default(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = documented()[program]
    assert set(told) == {name.upper() for name in PROGRAMS[program].model_fields}
    must_be_the_defaults(PROGRAMS[program], told, monkeypatch)


@pytest.mark.parametrize("service", SERVICES)
def test_the_example_names_every_setting_with_its_default(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = example(ROOT / service)
    assert set(told) == {name.upper() for name in SERVICES[service].model_fields}
    must_be_the_defaults(SERVICES[service], told, monkeypatch)


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_setting_has_a_meaning(program: str) -> None:
    assert [setting.name for setting in settings_of(PROGRAMS[program]) if not setting.meaning] == []


def test_the_example_for_docker_compose_has_the_defaults_of_compose_and_of_the_services(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = example(ROOT)
    composed = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", (ROOT / "docker-compose.yml").read_text()))
    assert composed.items() <= told.items()
    for program, variable in (*((service, service) for service in SERVICES), ("audit", "auditor")):
        assert load(PROGRAMS[program]).kafka_password == told[f"{variable.upper()}_PASSWORD"]
    must_be_the_defaults(SERVICES["checkout"], {name: told[name] for name in ("CHECKOUT_RATE", "SPEED")}, monkeypatch)


def test_make_passes_every_documented_setting_on() -> None:
    told = {setting for settings in documented().values() for setting in settings} | set(example(ROOT))
    assert {name for name in told if not is_named(name)} == set()
