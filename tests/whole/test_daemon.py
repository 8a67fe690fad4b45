"""The daemon as a process of its own: what it promises while nothing and while everything goes wrong around it."""

from tests.whole import checker
from tests.whole.mill import Mill


def test_a_daemon_gets_ready_runs_what_it_is_given_and_leaves_no_process_behind(mill: Mill):
    mill.start()
    view = mill.wait_for_end(mill.submit(mill.chain(3)))
    assert view["state"] == "COMPLETED"
    checker.check(mill)
    assert mill.stop() == 0
    assert mill.processes() == []
