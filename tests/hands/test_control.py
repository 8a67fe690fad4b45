"""The memory of control flow on SQLite and on PostgreSQL."""

from pathlib import Path

import pytest

from tests.hands.control_contract import ControlContract


class TestOnSqlite(ControlContract):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/state/state.db"


@pytest.mark.xdist_group("postgresql")
class TestOnPostgresql(ControlContract):
    @pytest.fixture
    def url(self, postgresql) -> str:
        return postgresql.database()
