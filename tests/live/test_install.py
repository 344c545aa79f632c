"""What "meson install" puts where: programs, units that find them, settings that they take."""

import json
import os
import re
import subprocess
from pathlib import Path

import accounts
import pytest
from kit import PATIENCE
from kit.services import build_folder

_TOP = Path(__file__).resolve().parents[2]
_KINDS = ("gateway", "broadcaster")
_SECRETS = {"WARREN_AMQP_URL": "amqp://guest:guest@127.0.0.1/", "WARREN_AUTH_HMAC_KEY": "k" * 32}


@pytest.fixture(name="root", scope="module")
def _root(tmp_path_factory):
    """A machine's root with warren in it."""
    root = tmp_path_factory.mktemp("root")
    subprocess.run(["meson", "install", "-C", str(build_folder()), "--no-rebuild", "--quiet",
                    "--destdir", str(root)], check=True, capture_output=True, timeout=5 * PATIENCE)
    return root


def _under(root, path):
    return root / path.lstrip("/")


@pytest.mark.parametrize("kind", _KINDS)
def test_a_unit_names_the_program_and_the_papers_that_are_there(root, kind):
    [unit] = root.rglob(f"warren-{kind}.service")
    assert unit.parent.name == "system" and unit.parent.parent.name == "systemd"
    text = unit.read_text(encoding="utf-8")
    [program] = re.findall(r"^ExecStart=(\S+) --config /etc/warren/warren.ini$", text, re.MULTILINE)
    assert os.access(_under(root, program), os.X_OK)
    [paper] = re.findall(r"^Documentation=file://(\S+)$", text, re.MULTILINE)
    assert _under(root, paper).read_bytes() == (_TOP / "README.md").read_bytes()


@pytest.mark.parametrize("kind", _KINDS)
def test_the_example_settings_are_good(root, kind):
    [program] = root.rglob(f"warren-{kind}")
    [example] = root.rglob("warren.ini")
    env = {key: value for key, value in _SECRETS.items()
           if kind == "gateway" or key == "WARREN_AMQP_URL"}
    subprocess.run([str(program), "--config", str(example), "--check-config"], env=env, check=True,
                   capture_output=True, timeout=PATIENCE)


def test_what_readme_links_to_in_compose_lies_beside_it_as_far_as_one_needs_it(root):
    [readme] = root.rglob("README.md")
    for name in ("alerts.yml", "definitions.json", "grafana.json", "haproxy.cfg", "prometheus.yml",
                 "rabbitmq.conf", "warren.ini"):
        installed = readme.parent / "compose" / name
        assert installed.read_bytes() == (_TOP / "compose" / name).read_bytes()


def test_nothing_else_is_installed(root):
    names = {path.name for path in root.rglob("*") if path.is_file()}
    assert len(names) == 7 + 2 * len(_KINDS) + 2, names


def test_accounts_for_a_rabbitmq_of_ones_own_are_made_in_any_folder(tmp_path):
    made = tmp_path / "accounts"
    argv = ["--folder", str(made), "--broker", "rabbit.example.com:5671", "--gateway", "edge-1"]
    assert accounts.main(argv) == 0
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in made.iterdir())
    url = (made / "edge-1.url").read_text(encoding="ascii").strip()
    assert re.fullmatch(r"amqp://edge-1:\S+@rabbit\.example\.com:5671/", url)
    definitions = json.loads((made / "definitions.json").read_text(encoding="utf-8"))
    users = {user["name"] for user in definitions["users"]}
    assert {"edge-1", "broadcaster"} <= users
    assert "gateway" not in users  # which would be good for any gateway
    assert (made / "hmac_key").stat().st_size >= 32
