import pytest

from daemon.ambience import gather
from daemon.config import load
from engine.errors import ConfigInvalidError


def config_with(tmp_path, text):
    file = tmp_path / "dropmill.toml"
    file.write_text(text)
    return load(file, {})


def secret(path, text="s3cret\n", mode=0o400):
    path.write_text(text)
    path.chmod(mode)
    return path


def test_secrets_come_from_a_folder_from_single_files_and_from_systemd(tmp_path):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "credentials").mkdir()
    secret(tmp_path / "secrets" / "one")
    secret(tmp_path / "two.txt", "two")
    secret(tmp_path / "credentials" / "three", "three", 0o444)
    config = config_with(tmp_path, f'[secrets]\nfolder = "secrets"\nfiles = {{two = "{tmp_path}/two.txt"}}\n')
    found = gather(config, {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")})
    assert found.secrets == {"one": "s3cret", "two": "two", "three": "three"}


def test_only_the_environment_that_is_allowed_is_seen(tmp_path):
    config = config_with(tmp_path, '[executor]\nenvironment = ["LANG", "GONE"]\n')
    assert gather(config, {"LANG": "C", "HOME": "/root"}).env == {"LANG": "C"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[secrets]\nfolder = "nowhere"\n', "cannot be read"),
        ('[secrets]\nfiles = {a = "gone.txt"}\n', "secret a"),
    ],
)
def test_secrets_that_are_missing_are_a_fault_of_the_configuration(tmp_path, text, says):
    with pytest.raises(ConfigInvalidError, match=says):
        gather(config_with(tmp_path, text), {})


def test_every_secret_that_others_can_read_or_that_is_no_text_is_named(tmp_path):
    (tmp_path / "secrets").mkdir()
    secret(tmp_path / "secrets" / "open", mode=0o644)
    secret(tmp_path / "secrets" / "large", "x" * 70_000)
    (tmp_path / "secrets" / "raw").write_bytes(b"\xff\xfe")
    (tmp_path / "secrets" / "raw").chmod(0o400)
    with pytest.raises(ConfigInvalidError) as caught:
        gather(config_with(tmp_path, '[secrets]\nfolder = "secrets"\n'), {})
    assert sorted(problem.pointer for problem in caught.value.problems) == [
        "secrets.large",
        "secrets.open",
        "secrets.raw",
    ]


def test_an_unreadable_folder_of_credentials_is_a_fault_of_the_configuration(tmp_path):
    with pytest.raises(ConfigInvalidError, match="folder of secrets"):
        gather(config_with(tmp_path, ""), {"CREDENTIALS_DIRECTORY": str(tmp_path / "gone")})
