"""A program started by hand does not depend on the language that the caller's machine speaks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.locales import in_locale

PRINTS = "from shop.edges.process import run; run(lambda: print('Müller ─ ü'))"
SAYS = "import locale; from shop.edges.process import run; run(lambda: print(locale.setlocale(locale.LC_CTYPE)))"
KNOWS_LOGIN = """
from confluent_kafka import Producer
from shop.edges.process import run
from shop.edges.settings import Settings
run(lambda: print(Producer(Settings().kafka_login) and "a client"))
"""


def output_of(program: str, **environment: str) -> bytes:
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("environment", [{"PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}, {"LC_ALL": "xx_XX.UTF-8"}])
def test_every_program_runs_in_one_locale(environment: dict[str, str]) -> None:
    assert output_of(SAYS, **environment) == b"C.UTF-8"


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252"])
def test_a_letter_that_the_terminal_lacks_is_escaped(encoding: str) -> None:
    assert output_of(PRINTS, PYTHONIOENCODING=encoding) == "Müller ─ ü".encode(encoding, "backslashreplace")


@pytest.mark.parametrize("language", ["tr_TR", "az_AZ"])
def test_a_kafka_client_is_made_where_i_has_another_upper_case(tmp_path: Path, language: str) -> None:
    assert output_of(KNOWS_LOGIN, **in_locale(language, tmp_path)) == b"a client"
