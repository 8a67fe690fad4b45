"""`dropmill service` and the unit it writes, as far as they go without a systemd that answers."""

import subprocess
import sysconfig
from pathlib import Path

import pytest

from daemon.cli.unit import SHIPPED, Place, for_person, for_system, quoted
from tests.daemon.cli_calls import ROOT, Site


@pytest.fixture
def site(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return Site(tmp_path, capsys)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "config" / "systemd" / "user" / "dropmill.service"


def directives(text):
    return [line for line in text.splitlines() if line and line[0] not in "#["]


def test_the_shipped_unit_is_what_the_code_prints():
    assert (ROOT / "systemd" / "dropmill.service").read_text() == for_system(SHIPPED), (
        "print it again: .venv/bin/python -m daemon.cli.unit > systemd/dropmill.service"
    )


@pytest.mark.parametrize("text", [for_system(SHIPPED), for_person(SHIPPED)], ids=["system", "person"])
def test_every_directive_has_a_reason_above_it_or_above_its_group(text):
    service = text.partition("[Service]\n")[2].partition("\n\n[Install]")[0]
    for part in service.split("\n\n"):
        first = next(line for line in part.splitlines() if not line.startswith("ExecStart="))
        assert first.startswith("# "), part


@pytest.mark.needs("systemd")
@pytest.mark.parametrize("is_user", [False, True], ids=["system", "person"])
def test_systemd_finds_no_mistake_in_what_install_writes(site, tmp_path, is_user):
    written = tmp_path / "dropmill.service"
    written.write_text(site.call("service", "install", "--dry-run", *(["--user"] if is_user else [])).out)
    verify = ["systemd-analyze", *(["--user"] if is_user else []), "verify", "--man=no", str(written)]
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(verify, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.needs("systemd")
@pytest.mark.parametrize(
    "place", [SHIPPED, SHIPPED._replace(hidden=(Path("/home/a"),), writes=(Path("/srv/x"),))], ids=["shipped", "home"]
)
def test_the_unit_is_exposed_to_no_more_than_it_should(tmp_path, place):
    written = tmp_path / "dropmill.service"
    written.write_text(for_system(place))
    judge = ["systemd-analyze", "security", "--offline=yes", "--threshold=15", str(written)]
    done = subprocess.run(judge, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_end_may_take_longer_than_the_grace(site):
    site.config.write_text('[executor]\ngrace = "2h"\n')
    assert "TimeoutStopSec=7260" in site.call("service", "install", "--dry-run").out


def test_a_dry_run_prints_the_unit_and_writes_nothing(site, file):
    answer = site.call("service", "install", "--user", "--dry-run")
    assert (answer.status, file.exists()) == (0, False)
    program = Path(sysconfig.get_path("scripts")) / "dropmill"
    assert f"ExecStart={program} --config {site.config} serve" in directives(answer.out)
    assert f"Would be written to {file}" in answer.err


def test_installing_twice_is_the_same_as_once(site, file):
    assert f"Wrote {file}" in site.call("service", "install", "--user").out
    text = file.read_text()
    assert f"{file} is up to date" in site.call("service", "install", "--user").out
    assert file.read_text() == text
    assert sorted(path.name for path in file.parent.iterdir()) == ["dropmill.service"]


def test_a_unit_of_ours_follows_the_settings(site, file):
    site.call("service", "install", "--user")
    site.config.write_text('[executor]\ngrace = "1h"\n')
    assert "Wrote" in site.call("service", "install", "--user").out
    assert "TimeoutStopSec=3660" in file.read_text()


def test_a_unit_that_somebody_else_wrote_is_left_alone(site, file):
    file.parent.mkdir(parents=True)
    file.write_text("[Service]\nExecStart=/bin/true\n")
    for verb in ("install", "uninstall"):
        answer = site.call("service", verb, "--user")
        assert (answer.status, "was not written by" in answer.err) == (2, True)
    assert file.read_text() == "[Service]\nExecStart=/bin/true\n"


def test_a_unit_that_was_changed_by_hand_is_left_alone(site, file):
    site.call("service", "install", "--user")
    file.write_text(file.read_text() + "Nice=5\n")
    for verb in ("install", "uninstall"):
        answer = site.call("service", verb, "--user")
        assert (answer.status, "changed by hand" in answer.err) == (2, True)
    assert file.read_text().endswith("Nice=5\n")


def test_what_was_installed_can_be_removed_once_and_again(site, file):
    site.call("service", "install", "--user")
    assert f"Removed {file}" in site.call("service", "uninstall", "--user").out
    assert not file.exists()
    answer = site.call("service", "uninstall", "--user")
    assert (answer.status, answer.out) == (0, f"There is no {file}\n")


def test_the_status_of_what_is_not_there_is_told_with_its_own_exit_status(site, file):
    answer = site.call("service", "status", "--user", "--json")
    assert answer.status == 3
    assert (answer.json["file"], answer.json["unit"], answer.json["active"]) == (str(file), "absent", False)
    site.call("service", "install", "--user")
    assert site.call("service", "status", "--user", "--json").json["unit"] == "ours"


def test_settings_with_a_mistake_are_not_installed(site, file):
    site.config.write_text("[executor]\nworkerz = 1\n")
    answer = site.call("service", "install", "--user")
    assert (answer.status, file.exists()) == (2, False)
    assert "workerz" in answer.err


def test_a_person_without_settings_is_told_how_to_make_some(site, tmp_path, capsys, monkeypatch):
    from daemon.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DROPMILL_CONFIG", raising=False)
    capsys.readouterr()
    assert main(["service", "install", "--user"]) == 0
    own = tmp_path / "config" / "dropmill" / "dropmill.toml"
    said = capsys.readouterr().out
    assert f"install -D -m 0644 /dev/null {own}" in said
    assert f"--config {own} serve" in (own.parents[1] / "systemd/user/dropmill.service").read_text()


def test_folders_of_the_settings_are_opened_and_handed_over(site, tmp_path):
    site.config.write_text('[paths]\nstate = "/srv/state"\nlogs = "/srv/state/log"\ninbox = "/home/ann/mill/in box"\n')
    answer = site.call("service", "install", "--dry-run")
    lines = directives(answer.out)
    assert 'ReadWritePaths=/srv/state "/home/ann/mill/in box"' in lines
    assert 'BindPaths="/home/ann/mill/in box"' in lines
    assert "ProtectHome=tmpfs" in lines
    assert "install -d -m 0750 -o dropmill -g dropmill /srv/state\n" in answer.err
    assert "install -d -m 0750 -o dropmill -g dropmill '/home/ann/mill/in box'\n" in answer.err


def test_a_whole_home_is_not_opened_for_a_folder_in_it(site):
    site.config.write_text('[paths]\ninbox = "/home/ann"\n')
    answer = site.call("service", "install", "--dry-run")
    assert (answer.status, "would have to see all of /home/ann" in answer.err) == (2, True)


def test_nothing_in_a_home_means_that_homes_are_closed():
    lines = directives(for_system(Place(Path("/opt/d/bin/dropmill"), Path("/etc/dropmill/dropmill.toml"))))
    assert "ProtectHome=yes" in lines
    assert not [line for line in lines if line.startswith(("Bind", "ReadWritePaths", "RequiresMountsFor"))]


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("/usr/bin/x", "/usr/bin/x"),
        ("/a b", '"/a b"'),
        ("/100%", "/100%%"),
        ("/$HOME", "/$$HOME"),
        ('/"\\', '"/\\"\\\\"'),
        ("/a;b'c", '"/a;b\'c"'),
        ("/a\nb", '"/a\\x0ab"'),
        ("", '""'),
    ],
)
def test_a_word_means_to_systemd_what_it_says(word, written):
    assert quoted(word) == written


def test_a_dollar_in_a_path_list_is_a_dollar():
    assert quoted("/$x", is_command=False) == "/$x"
