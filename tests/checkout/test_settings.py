from pathlib import Path

import pytest
from dotenv import dotenv_values

from checkout_service.settings import CheckoutSettings
from shop.edges.settings import load
from shop.runtime.errors import UserError

EXAMPLE = Path(__file__).parents[2] / "checkout" / ".env.example"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in CheckoutSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_the_example_names_every_setting_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = load(CheckoutSettings)
    example = {name: value or "" for name, value in dotenv_values(EXAMPLE).items()}

    assert set(example) == {name.upper() for name in CheckoutSettings.model_fields}
    for name, value in example.items():
        monkeypatch.setenv(name, value)
    assert load(CheckoutSettings) == defaults


def test_every_setting_is_described() -> None:
    assert all(field.description for field in CheckoutSettings.model_fields.values())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CONVERSION", "0"),
        ("CONVERSION", "1.5"),
        ("CHECKOUT_RATE", "-1"),
        ("CHECKOUT_RATE", "inf"),
        ("CHECKOUT_RATE", "nan"),
        ("CUSTOMERS", "0"),
        ("DAY_CURVE", "2"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(UserError, match=name):
        load(CheckoutSettings)
