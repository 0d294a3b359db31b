"""Ring 3: settings, logs, databases and the process; what only a ``main.py`` puts together."""
