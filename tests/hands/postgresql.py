"""A private PostgreSQL for tests: its own cluster in its own folder, reached through a Unix socket, gone afterwards.

PostgreSQL refuses to run as root, so root runs it as `nobody`. The folder lies directly under the system's temporary
folder: the path of a socket must be short, and pytest's own folder is closed to other users.
"""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import NullPool, create_engine, text

from tests.components import postgres_bin

_OWNER = "dropmill"
# Nobody pulls the plug on a test, so nothing has to reach the disk.
_SETTINGS = ("fsync=off", "full_page_writes=off", "listen_addresses=", "max_connections=30", "shared_buffers=16MB")


class Cluster:
    """A running server with one database that is emptied for each test: to make one takes ten times as long."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._url = f"postgresql+psycopg://{_OWNER}@/postgres?host={folder}"

    def database(self) -> str:
        """Return the URL of an empty database; what an earlier test left open in it is an error."""
        self._execute("SET lock_timeout = '5s'", "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
        return self._url

    def end_sessions(self) -> None:
        """Cut every other connection off, as a server that restarts does."""
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        self._execute(f"{query} AND backend_type = 'client backend'")

    def dump(self) -> str:
        """Return the schema as SQL."""
        command = [_program("pg_dump"), "--schema-only", f"--host={self._folder}", f"--username={_OWNER}", "postgres"]
        return _run(command, self._folder)

    def _execute(self, *statements: str) -> None:
        engine = create_engine(self._url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as connection:
            for statement in statements:
                connection.execute(text(statement))


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """Make a cluster, start it, and remove every trace of it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    try:
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        data, log = folder / "data", folder / "log"
        _run([_program("initdb"), f"--pgdata={data}", "--auth=trust", f"--username={_OWNER}", "--no-sync"], folder)
        settings = " ".join(f"-c {setting}" for setting in (*_SETTINGS, f"unix_socket_directories={folder}"))
        control = [_program("pg_ctl"), f"--pgdata={data}"]
        _run([*control, "--wait", f"--log={log}", f"--options={settings}", "start"], folder)
        try:
            yield Cluster(folder)
        finally:
            _run([*control, "--wait", "--mode=immediate", "stop"], folder)
    finally:
        shutil.rmtree(folder)


def _program(name: str) -> str:
    found = postgres_bin()
    assert found is not None
    return str(found / name)


def _run(command: list[str], folder: Path) -> str:
    is_root = os.geteuid() == 0
    output = folder / "output"
    # Into a file: a server that is started keeps a pipe open for ever.
    with output.open("w") as file:
        done = subprocess.run(
            command,
            check=False,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            user="nobody" if is_root else None,
            group=pwd.getpwnam("nobody").pw_gid if is_root else None,
            extra_groups=[] if is_root else None,
        )
    text = output.read_text()
    assert done.returncode == 0, text
    return text
