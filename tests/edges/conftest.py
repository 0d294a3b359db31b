from tests.faults.conftest import shop

__all__ = ["shop"]
