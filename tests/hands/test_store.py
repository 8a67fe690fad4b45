"""The store's contract on SQLite and on PostgreSQL."""

from pathlib import Path

import pytest

from tests.hands.store_contract import StoreContract


class TestOnSqlite(StoreContract):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/state/state.db"


@pytest.mark.xdist_group("postgresql")
class TestOnPostgresql(StoreContract):
    @pytest.fixture
    def url(self, postgresql) -> str:
        return postgresql.database()
