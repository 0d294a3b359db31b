"""Databases of a test's own on the one MariaDB: the files of sql/ applied under other database names."""

import re
from dataclasses import dataclass

from local.binaries import ROOT
from local.mariadb import MariaDB


@dataclass(frozen=True)
class Databases:
    """Names of the two databases of one test."""

    analytics: str
    fulfillment: str

    def drop(self, mariadb: MariaDB) -> None:
        mariadb.execute(f"DROP DATABASE {self.analytics}; DROP DATABASE {self.fulfillment};")


def create(mariadb: MariaDB, suffix: str) -> Databases:
    """Makes both databases with all tables, views and grants."""
    names = Databases(f"analytics_{suffix}", f"fulfillment_{suffix}")
    sql = "\n".join(file.read_text() for file in sorted((ROOT / "sql").glob("*.sql")))
    for name, own in (("analytics", names.analytics), ("fulfillment", names.fulfillment)):
        sql = re.sub(rf"(?<=\bUSE ){name}(?=;)", own, sql)
        sql = re.sub(rf"(?<=\bEXISTS ){name}(?= CHARACTER)", own, sql)
        sql = re.sub(rf"(?<=\bON ){name}(?=\.)", own, sql)
    mariadb.execute(sql)
    return names
