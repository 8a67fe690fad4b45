"""Task types that talk to services, in one run: what one gives the next one takes, and no key shows anywhere."""

import json
import os
import subprocess
import sys

import pytest

from tests.plugins.mailserver import mailing
from tests.plugins.servers import serving
from tests.rules.source import ROOT

KEY = "sk-very-secret-0123456789"

DOCUMENT = {
    "name": "services",
    "params": {"elsewhere": {"type": "string"}},
    "tasks": [
        {"id": "table", "type": "sql", "url": "sqlite:///pets.db", "statement": "CREATE TABLE pets (name, age)"},
        {
            "id": "invent",
            "type": "ai",
            "depends_on": ["table"],
            "api_key": "${{ secrets.llm }}",
            "prompt": "Invent a pet.",
            "schema": {"type": "object", "required": ["name", "age"], "properties": {"age": {"type": "integer"}}},
        },
        {
            "id": "store",
            "type": "sql",
            "depends_on": ["invent"],
            "url": "sqlite:///pets.db",
            "statements": ["INSERT INTO pets VALUES (:name, :age)", {"statement": "SELECT * FROM pets", "params": {}}],
            "params": "${{ tasks.invent.output.data }}",
        },
        {
            "id": "tell",
            "type": "email",
            "depends_on": ["store"],
            "to": "ann@example.org",
            "subject": "${{ tasks.store.output.rows[0].name }}",
            "text": "Age: ${{ tasks.store.output.rows[0].age }}",
        },
        {
            "id": "hook",
            "type": "notify",
            "depends_on": ["tell"],
            "urls": "${{ secrets.hook }}",
            "body": "done",
        },
        {"id": "refused", "type": "ai", "depends_on": ["hook"], "prompt": "x", "endpoint": "${{ params.elsewhere }}",
         "api_key": "${{ secrets.llm }}", "continue_on_failure": True},
    ],
}  # fmt: skip


@pytest.fixture
def services():
    """Serve a language model and a hook, and another one, and mail."""
    with serving() as web, serving() as other, mailing() as mail:
        yield web, other, mail


def test_what_one_service_gives_another_takes_and_no_key_shows_anywhere(services, tmp_path):
    web, other, mail = services
    home = tmp_path / "home"
    home.mkdir()
    hook = f"json://u:{KEY}@127.0.0.1:{web.port}/echo"
    (home / "dropmill.toml").write_text(
        f"""
        [plugins.ai]
        endpoint = "{web.url("/v1")}"
        model = "stub-1"
        [plugins.email]
        host = "127.0.0.1"
        port = {mail.port}
        security = "none"
        sender = "mill@example.org"
        [secrets]
        folder = "../secrets"
        """
    )
    secrets = {"llm": f"{KEY}\n", "hook": hook}
    (tmp_path / "secrets").mkdir()
    for name, value in secrets.items():
        (tmp_path / "secrets" / name).touch(mode=0o600)
        (tmp_path / "secrets" / name).write_text(value)
    (home / "a.json").write_text(json.dumps(DOCUMENT))
    web.say(f'{{"name": "Rex {KEY}", "age": "3"}}')
    web.say('{"name": "Rex", "age": 3}')
    other.refuse(401, json.dumps({"error": {"message": f"wrong: {KEY}"}}).encode())
    program = [sys.executable, "-c", "import sys; from daemon.cli import main; sys.exit(main())"]
    done = subprocess.run(
        [*program, "--config", "dropmill.toml", "run", "--json", "--param", f"elsewhere={other.url('/v1')}", "a.json"],
        cwd=home,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    tasks = {task["id"]: task for task in json.loads(done.stdout)["tasks"]}
    assert tasks["invent"]["output"]["rounds"] == 2
    assert tasks["store"]["output"]["rows"] == [{"name": "Rex", "age": 3}]
    assert (mail.seen[0].message["Subject"], mail.seen[0].message.get_content().strip()) == ("Rex", "Age: 3")
    assert json.loads(web.seen[-1].body)["message"] == "done"
    assert tasks["refused"]["message"].endswith("answered 401: wrong: ***")
    shown = [done.stdout, done.stderr] + [
        file.read_bytes().decode(errors="replace") for file in home.rglob("*") if file.is_file()
    ]
    assert [text[:200] for text in shown if KEY in text] == []
