from pathlib import Path

import pytest

from checkout_service.settings import CheckoutSettings
from shop.edges.settings import load
from shop.runtime.errors import UserError


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in CheckoutSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


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
