"""The service under a real systemd: ready, watched, restarted, stopped, and kept within its walls."""

import json
import os
import signal

import pytest

from tests.waiting import wait_for, wait_for_file
from tests.whole.installed import CONFIG, DROPMILL, SERVICE, STATE, Installed, Person, shell

# One box for all of them, so all in one process. A restart of the daemon is a second or two, several a test.
pytestmark = [
    pytest.mark.needs("systemd", "root", "namespaces"),
    pytest.mark.xdist_group("systemd"),
    pytest.mark.timeout(120),
]
LEDGER, GO = STATE / "ledger", STATE / "go"
WAITING = f"echo begun >> {LEDGER}; while [ ! -e {GO} ]; do sleep 0.02; done"


@pytest.fixture(scope="module")
def installed():
    installed = Installed()
    try:
        installed.install()
        yield installed
    finally:
        installed.box.close()


@pytest.fixture(scope="module")
def ann(installed):
    return Person(installed.box, "ann")


@pytest.fixture
def service(installed):
    return installed.fresh()


def ledger(service):
    file = service.box.path(LEDGER)
    return file.read_text().split() if file.exists() else []


def test_what_install_prints_is_all_it_takes(installed):
    unit = installed.unit
    assert (unit["ActiveState"], unit["SubState"], unit["Type"]) == ("active", "running", "notify")
    assert (unit["UnitFileState"], unit["NRestarts"]) == ("enabled", "0")
    assert "useradd" in installed.said
    assert installed.box.do(DROPMILL, "service", "status").splitlines()[1].startswith("daemon    active (running)")


def test_installing_again_changes_nothing_and_asks_for_no_account(service):
    service.box.do(DROPMILL, "service", "install")  # the settings are others than at first
    said = service.box.do(DROPMILL, "service", "install")
    assert "is up to date" in said
    assert "useradd" not in said


def test_the_status_line_is_what_the_daemon_says_of_itself(service):
    assert service.unit["StatusText"] == "0 live runs"
    seen = json.loads(service.box.do(DROPMILL, "service", "status", "--json"))
    assert (seen["active"], seen["unit"], seen["systemd"]["StatusText"]) == (True, "ours", "0 live runs")


def test_the_journal_has_what_the_daemon_logs(service):
    wait_for(lambda: "ready: 0 live runs" in service.journal(), "the line of the log in the journal")


def test_a_reload_is_answered_by_the_daemon(service):
    service.box.path(CONFIG).write_text("[executor]\nworkerz = 1\n")
    service.box.do("systemctl", "reload", SERVICE)
    wait_for(lambda: "broken" in service.unit["StatusText"], "the daemon's word about its settings")
    assert service.unit["ActiveState"] == "active"


def test_the_running_unit_is_exposed_to_no_more_than_it_should(service):
    done = service.box.call("systemd-analyze", "security", "--no-pager", "--threshold=15", SERVICE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_task_has_no_way_out_of_the_walls(service):
    probes = {
        "root's powers": "grep -q '^CapBnd:.0*$' /proc/self/status",
        "new privileges": "grep -q '^NoNewPrivs:.1$' /proc/self/status",
        "the system": "! touch /etc/x && ! touch /usr/x",
        "homes": '[ "$(ls -A /home)" = "" ] && ! touch /home/x && ! touch /root/x',
        "other processes": "! [ -e /proc/1 ]",
        "disks": "! ls /dev/vd* /dev/sd* /dev/mem",
        "control groups": "! mkdir /sys/fs/cgroup/x",
        "namespaces": "! unshare --user true",
        "its own folders are open": f"touch {STATE}/x /var/log/dropmill/x /run/dropmill/x /tmp/x",
    }
    run = service.wait_for_end(service.submit(*[shell(f"t{n}", probe) for n, probe in enumerate(probes.values())]))
    states = {probe: task["state"] for probe, task in zip(probes, run["tasks"], strict=True)}
    assert states == dict.fromkeys(probes, "COMPLETED"), run
    assert not service.box.path("/tmp/x").exists()


def test_a_limit_of_a_task_holds_inside_the_walls(service):
    greedy = "dd if=/dev/zero of=/dev/null bs=400M count=1"
    bound, free = shell("bound", greedy, memory_limit=200_000_000), shell("free", greedy)
    run = service.wait_for_end(service.submit(bound, free))
    assert {task["id"]: task["state"] for task in run["tasks"]} == {"bound": "FAILED", "free": "COMPLETED"}, run


def test_a_credential_is_a_secret_of_workflows(service):
    secret = service.box.path("/etc/dropmill/secrets/word")
    secret.parent.mkdir(mode=0o700, exist_ok=True)
    secret.write_text("open sesame")
    secret.chmod(0o600)
    service.drop_in("LoadCredential=word:/etc/dropmill/secrets/word")
    task = shell(
        "a", '[ "$WORD" = "open sesame" ] && ! cat /etc/dropmill/secrets/word', env={"WORD": "${{ secrets.word }}"}
    )
    assert service.wait_for_end(service.submit(task))["state"] == "COMPLETED"


def test_a_daemon_that_stands_still_is_killed_and_started_again(service):
    service.drop_in("WatchdogSec=8\nTimeoutAbortSec=300ms\nRestartSec=100ms")
    former, fed = service.pid, service.unit["WatchdogTimestamp"]
    wait_for(lambda: service.unit["WatchdogTimestamp"] != fed, "a ping")
    service.box.kill(former, signal.SIGSTOP)
    assert service.wait_for_restart(former)["NRestarts"] == "1"
    assert "Watchdog timeout" in service.journal()


def test_after_kill_9_the_run_goes_on_and_nothing_that_succeeded_runs_again(service):
    service.drop_in("RestartSec=100ms")
    run = service.submit(shell("first", f"echo first >> {LEDGER}"), shell("second", WAITING, "first"))
    wait_for(lambda: ledger(service) == ["first", "begun"], "the second task")
    former, left = service.pid, service.processes()
    service.box.kill(former, signal.SIGKILL)
    service.wait_for_restart(former)
    assert not set(left) & set(service.processes())
    wait_for(lambda: ledger(service).count("begun") == 2, "the second attempt")
    service.box.path(GO).touch()
    ended = service.wait_for_end(run)
    assert (ended["state"], ledger(service)) == ("COMPLETED", ["first", "begun", "begun"])


def test_a_stop_ends_what_runs_after_its_grace_and_the_next_start_takes_it_up(service):
    stubborn = f"trap '' TERM; {WAITING}"
    run = service.submit(shell("stubborn", stubborn))
    wait_for(lambda: ledger(service) == ["begun"], "the task")
    service.box.do("systemctl", "stop", SERVICE)
    unit = service.unit
    assert (unit["ActiveState"], unit["Result"], unit["ExecMainStatus"]) == ("inactive", "success", "0")
    assert service.processes() == []
    assert "stop-sigterm' timed out" not in service.journal()
    service.box.path(GO).touch()
    service.box.do("systemctl", "start", SERVICE)
    assert service.wait_for_end(run)["state"] == "COMPLETED"
    assert ledger(service) == ["begun", "begun"]


@pytest.mark.parametrize(
    ("file", "text", "status"),
    [(CONFIG, "[executor]\nworkerz = 1\n", "2"), (STATE / "state.db", "this is no database " * 500, "65")],
    ids=["settings", "database"],
)
def test_what_would_fail_again_is_not_tried_again(service, file, text, status):
    service.box.do("systemctl", "stop", SERVICE)
    for each in service.box.path(file.parent).glob(f"{file.name}*"):
        each.unlink()
    service.box.path(file).write_text(text)
    service.box.do("chown", "dropmill:", str(file))
    assert service.box.call("systemctl", "start", SERVICE).returncode != 0
    unit = service.unit
    assert (unit["ActiveState"], unit["Result"], unit["NRestarts"]) == ("failed", "exit-code", "0")
    assert unit["ExecMainStatus"] == status, service.journal()


def test_a_second_daemon_on_the_same_state_ends_for_good(service):
    ours = f"/etc/systemd/system/{SERVICE}"
    service.box.do("cp", ours, "/etc/systemd/system/second.service")
    service.box.do("systemctl", "daemon-reload")
    assert service.box.call("systemctl", "start", "second.service").returncode != 0
    second = service.box.show("second.service")
    assert (second["ActiveState"], second["ExecMainStatus"], second["NRestarts"]) == ("failed", "66", "0")
    assert service.unit["ActiveState"] == "active"


def test_a_folder_elsewhere_is_opened_by_what_install_writes_for_the_settings(service):
    box = service.box
    box.path("/etc/mill").mkdir(exist_ok=True)
    settings = '[paths]\nstate = "/srv/a mill/state"\nlogs = "/home/mill/logs"\ninbox = "/srv/a mill/100%"\n'
    box.path("/etc/mill/dropmill.toml").write_text(settings)
    unit = f"/etc/systemd/system/{SERVICE}"
    before = box.path(unit).read_text()
    try:
        said = box.do(DROPMILL, "--config", "/etc/mill/dropmill.toml", "service", "install")
        service.follow(said)
        assert box.path("/srv/a mill/state/state.db").exists()
        wait_for_file(box.path("/home/mill/logs/dropmill.log"))
    finally:
        box.do("systemctl", "stop", SERVICE)
        box.path(unit).write_text(before)


def test_uninstall_waits_until_the_service_is_no_longer_in_use(service):
    box = service.box
    refused = box.call(DROPMILL, "service", "uninstall")
    assert (refused.returncode, "systemctl disable --now dropmill" in refused.stderr) == (2, True)
    box.do("systemctl", "disable", "--now", "dropmill")
    try:
        said = box.do(DROPMILL, "service", "uninstall")
        assert said.startswith(f"Removed /etc/systemd/system/{SERVICE}")
        assert box.path(STATE / "state.db").exists()
        assert box.call(DROPMILL, "service", "status").returncode == 3
        assert "There is no" in box.do(DROPMILL, "service", "uninstall")
    finally:
        service.install()


def drop(inbox, name):
    wait_for_file(inbox)
    tasks = [
        shell("a", "id -un"),
        {"id": "b", "type": "print", "message": "${{ tasks.a.output }}", "depends_on": ["a"]},
    ]
    part = inbox / f".{name}.tmp"
    part.write_text(json.dumps({"tasks": tasks}))
    os.chown(part, 0, inbox.stat().st_gid)
    part.chmod(0o640)
    part.rename(inbox / name)


def test_a_service_of_a_person_runs_as_that_person(service, ann):
    said = ann.do(DROPMILL, "service", "install", "--user")
    for line in said.partition("Next:\n")[2].splitlines():
        if "enable-linger" not in line:  # there is no logind in a box
            ann.do("sh", "-c", line)
    assert "daemon    active (running)" in ann.do(DROPMILL, "service", "status", "--user")
    inbox = service.box.path(ann.home / ".local/state/dropmill/inbox")
    drop(inbox, "hello.json")
    result = json.loads(wait_for_file(inbox / "done" / "hello.json.result.json").read_text())
    assert (result["state"], "ann" in json.dumps(result["tasks"][0]["output"])) == ("COMPLETED", True)
    ann.do("systemctl", "--user", "disable", "--now", "dropmill")
    assert "Removed" in ann.do(DROPMILL, "service", "uninstall", "--user")


def test_nobody_but_root_installs_a_service_of_the_machine(service, ann):
    service.box.path(CONFIG).write_text('[executor]\ngrace = "3s"\n')  # what is installed is out of date
    refused = ann.call(DROPMILL, "service", "install")
    assert (refused.returncode, "run it as root" in refused.stderr) == (2, True)


def test_people_of_the_group_can_drop_where_the_readme_says_so(service, ann):
    inbox = STATE / "inbox"
    wait_for_file(service.box.path(inbox))
    document = json.dumps({"tasks": [{"id": "a", "type": "print", "message": "hi"}]})
    drop = f"umask 022; echo '{document}' > {inbox}/of-ann.json"
    assert ann.call("sh", "-c", drop).returncode != 0
    service.box.do("usermod", "--append", "--groups", "dropmill", "ann")
    service.box.do("chmod", "2770", str(inbox))
    try:
        ann.do("sh", "-c", drop)
        wait_for_file(service.box.path(inbox / "done" / "of-ann.json"))
    finally:
        service.box.do("gpasswd", "--delete", "ann", "dropmill")


def test_a_dropped_file_comes_back_with_its_result_from_inside_the_walls(service):
    inbox = service.box.path(STATE / "inbox")
    drop(inbox, "hello.json")
    result = json.loads(wait_for_file(inbox / "done" / "hello.json.result.json").read_text())
    assert (result["state"], "dropmill" in json.dumps(result["tasks"][0]["output"])) == ("COMPLETED", True)
    wait_for_file(inbox / "done" / "hello.json")
