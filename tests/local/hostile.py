"""A shell that exports, for programs of its own, what other programs trip over."""

from pathlib import Path

BREAKS_JAVA = "-XX:NoSuchOption"


def variables(folder: Path) -> dict[str, str]:
    """What a shell of conda, ROS, direnv or an IDE may export, at its worst. `folder` gets files for it."""
    folder.mkdir(parents=True, exist_ok=True)
    bash = folder / "profile.bash"
    bash.write_text("echo from BASH_ENV\nexit 3\n")
    for name in ("json.py", "local.py", "sitecustomize.py"):
        (folder / name).write_text("raise SystemExit('a module of somebody else')\n")
    (folder / "libz.so.1").write_text("no library")
    return {
        **dict.fromkeys(("PYTHONPATH", "LD_LIBRARY_PATH", "PYTHONUSERBASE"), str(folder)),
        "PYTHONSAFEPATH": "1",
        "PYTHONHOME": "/nonexistent",
        "PYTHONOPTIMIZE": "2",
        "PYTHONWARNINGS": "error",
        "PYTHONUTF8": "0",
        "PYTHONIOENCODING": "ascii",
        "VIRTUAL_ENV": "/nonexistent",
        "CONDA_PREFIX": "/nonexistent",
        "PIP_USER": "1",
        "PIP_TARGET": str(folder / "target"),
        "PIP_REQUIRE_VIRTUALENV": "0",
        "PIP_NO_BINARY": ":all:",
        "JAVA_TOOL_OPTIONS": BREAKS_JAVA,
        "_JAVA_OPTIONS": BREAKS_JAVA,
        "JDK_JAVA_OPTIONS": BREAKS_JAVA,
        "CLASSPATH": "/nonexistent.jar",
        "KAFKA_OPTS": BREAKS_JAVA,
        "KAFKA_LOG4J_OPTS": BREAKS_JAVA,
        "MAKEFLAGS": "-j4 -O",
        "MAKEFILES": "/nonexistent.mk",
        "CDPATH": "/",
        "BASH_ENV": str(bash),
        "ENV": str(bash),
        "BASH_FUNC_grep%%": "() { echo somebody elses grep; }",
        "BASHOPTS": "nocasematch:extglob",
        "SHELLOPTS": "xtrace:noglob",
        "POSIXLY_CORRECT": "1",
        "GREP_OPTIONS": "--color=always",
        "IFS": "/",
        **dict.fromkeys(("LANG", "LC_CTYPE", "LC_MESSAGES", "LANGUAGE"), "tr_TR.UTF-8"),
        "TMPDIR": "/nonexistent",
        "COLUMNS": "10",
        "LESS": "-Z",
        "PAGER": "false",
        "MYSQL_PWD": "wrong",
        "MYSQL_HOST": "127.0.0.9",
        "MYSQL_TCP_PORT": "1",
        "MYSQL_UNIX_PORT": "/nonexistent.sock",
        "LIBMYSQL_PLUGINS": "nonexistent",
    }
