"""What make hands on of a password is the password, and nobody else sees it."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.examples import scaled
from tests.local.checkout import Checkout, refusal
from tests.passwords import HARD, UNFIT, any_password

PROGRAM = """
import json, os, pathlib
own, parent = (pathlib.Path(f"/proc/{pid}/cmdline").read_text() for pid in ("self", os.getppid()))
told = {name: os.environ.get(name) for name in ("KAFKA_PASSWORD", "MARIADB_PASSWORD")}
print(json.dumps({**told, "seen": own + parent}))
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = Checkout(tmp_path_factory.mktemp("passwords") / "checkout")
    package = checkout.home / "analytics" / "analytics_service"
    package.mkdir()
    for name in ("audit", "kpi", "export", "redrive"):
        (package / f"{name}.py").write_text(PROGRAM)
    return checkout


def told(checkout: Checkout, *arguments: str, **environment: str) -> dict[str, str | None]:
    """What the program that the target runs finds in its environment, and its and its parent's arguments."""
    made = checkout.make("-s", *arguments, **environment)
    assert made.returncode == 0, made.stderr
    found: dict[str, str | None] = json.loads(made.stdout.splitlines()[-1])
    return found


@settings(max_examples=scaled(15), deadline=None)
@example("".join(HARD))
@example(" $(shell id) ")
@given(st.sampled_from([one for one in HARD if len(one) < 500]) | any_password)
def test_make_hands_a_password_of_the_environment_on_as_it_is(checkout: Checkout, password: str) -> None:
    told_of = "AUDITOR_PASSWORD" if password == password.strip(" ") else "USER_PASSWORD"
    target, name = ("audit", "KAFKA_PASSWORD") if told_of == "AUDITOR_PASSWORD" else ("kpi", "MARIADB_PASSWORD")
    found = told(checkout, target, **{told_of: password})
    assert found[name] == password
    assert len(password) < 8 or password not in str(found["seen"])


@settings(max_examples=scaled(15), deadline=None)
@example("a$word")
@example("".join(HARD)[:5000])
@given(st.sampled_from([one for one in HARD if len(one) < 500]) | any_password)
def test_make_takes_a_password_in_its_own_command_line_as_it_is(checkout: Checkout, password: str) -> None:
    assert told(checkout, "audit", f"AUDITOR_PASSWORD={password}")["KAFKA_PASSWORD"] == password


@pytest.mark.parametrize(
    ("target", "database"),
    [("kpi", "USER"), ("export", "USER"), ("audit", "AUDITOR"), ("redrive", "ANALYTICS")],
)
def test_each_target_logs_in_with_the_passwords_of_its_users(checkout: Checkout, target: str, database: str) -> None:
    passwords = {f"{user}_PASSWORD": f"{user}'s" for user in ("USER", "AUDITOR", "ANALYTICS")}
    found = told(checkout, target, **passwords)
    assert (found["KAFKA_PASSWORD"], found["MARIADB_PASSWORD"]) == ("AUDITOR's", f"{database}'s")
    unset = told(checkout, target)
    assert (unset["KAFKA_PASSWORD"], unset["MARIADB_PASSWORD"]) == (None, None)


@pytest.mark.parametrize(
    ("target", "password", "named"),
    [("run", "\n", "U+000A"), ("up", "\n", "U+000A"), *(("audit", *unfit) for unfit in UNFIT.items())],
)
def test_what_cannot_be_typed_is_refused_by_its_setting(
    checkout: Checkout, target: str, password: str, named: str
) -> None:
    sentence = refusal(checkout.make(target, AUDITOR_PASSWORD=f"secret{password}"))
    assert sentence.startswith(f"AUDITOR_PASSWORD has the character {named} in it")
    assert "secret" not in sentence
    assert not (checkout.home / ".local" / "data").exists()
