"""How the truth looks to people."""

import io
from dataclasses import replace
from decimal import Decimal

import pytest
from rich.console import Console

from tests.truth.test_reckoning import business, reckoned
from truth.business import Business
from truth.figures import Revenue
from truth.table import show

__all__ = ["business"]


@pytest.mark.parametrize("gross", ["92681.47", "100000.01", "1234567.89", "12345678901.23"])
def test_no_figure_is_cut_off_however_large(business: Business, gross: str) -> None:
    amount = Decimal(gross)
    revenue = Revenue("EUR", 1148, amount, amount / 10, amount, Decimal("80.73"), Decimal("2.5506"))
    output = io.StringIO()

    show(replace(reckoned(business, 40).truth(), revenue=(revenue,)), Console(file=output, width=80))

    assert f"{amount:,}" in output.getvalue()
    assert "…" not in output.getvalue()
