"""Where the things of a configuration lie that it does not name one by one: the database, its values, the socket.

Asked by `assembly`, and by commands that only read and therefore import no engine.
"""

from pathlib import Path

from daemon.config import Config


def database_url(config: Config) -> str:
    """Return the URL of the memory: the configured one, or SQLite in the state folder."""
    return config.history.url or f"sqlite:///{database_file(config)}"


def database_file(config: Config) -> Path:
    """Return where SQLite keeps the memory if no URL says otherwise."""
    return (config.paths.state / "state.db").absolute()


def values_folder(config: Config) -> Path:
    """Return where outputs lie that are too large for the database."""
    return config.paths.state / "values"


def socket_file(config: Config) -> Path:
    """Return where the daemon's Unix socket is."""
    return config.paths.state / "dropmill.sock"
