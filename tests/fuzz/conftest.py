"""The database of the analytics tests, emptied."""

from tests.analytics.conftest import database, engine, shared_databases

__all__ = ["database", "engine", "shared_databases"]
