import pytest

from tests.compose.stack import BringUp, bring_up


@pytest.fixture(scope="session")
def brought_up() -> BringUp:
    """For tests with containers: tests.compose.stack.bring_up."""
    return bring_up
