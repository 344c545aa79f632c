"""The services under systemd: what they tell it, and what their units leave them."""

import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from kit import Deployment, PlainClient, eventually
from kit.services import build_folder

_UNITS = Path(__file__).resolve().parents[2] / "compose" / "systemd"
_EXPOSURE_MAX = 1.5
# What a unit has to say, so that it is not loosened by accident.
_DIRECTIVES = {
    "Type": "notify", "WatchdogSec": "10s", "Restart": "always", "RestartSec": "500ms",
    "RestartPreventExitStatus": "2", "StartLimitIntervalSec": "0", "TasksMax": "64",
    "ExecReload": "/bin/kill -HUP $MAINPID", "DynamicUser": "yes", "UMask": "0077",
    "NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "AmbientCapabilities": "",
    "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes", "PrivateDevices": "yes",
    "PrivateUsers": "yes", "ProtectKernelTunables": "yes", "ProtectKernelModules": "yes",
    "ProtectKernelLogs": "yes", "ProtectControlGroups": "yes", "ProtectClock": "yes",
    "ProtectHostname": "yes", "ProtectProc": "invisible", "ProcSubset": "pid",
    "RestrictNamespaces": "yes", "RestrictRealtime": "yes", "RestrictSUIDSGID": "yes",
    "LockPersonality": "yes", "MemoryDenyWriteExecute": "yes", "RemoveIPC": "yes",
    "KeyringMode": "private", "SystemCallArchitectures": "native",
    "SystemCallFilter": "@system-service ~@privileged @resources @obsolete",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
}
_OF_ONE = {
    "gateway": {"LimitNOFILE": "1048576"},
    "broadcaster": {"IPAddressDeny": "any", "IPAddressAllow": "localhost"},
}
_DRAIN = 2 + 10 + 15  # seconds: [gateway] drain_accept and drain by default, and some more


class _Manager:
    """The socket that a service manager listens on."""

    def __init__(self, name):
        self.heard = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(name.replace("@", "\0", 1))
        self.socket.setblocking(False)

    def count(self, state):
        """How often it was told this so far."""
        while True:
            try:
                self.heard.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return self.heard.count(state)


@pytest.mark.parametrize("kind, abstract", [("gateway", False), ("broadcaster", True)])
def test_a_service_says_when_it_is_ready_alive_and_stopping(broker, tmp_path, monkeypatch, kind,
                                                            abstract):
    name = f"@warren-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    manager = _Manager(name)
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    counts = {"gateways": 0, "broadcasters": 0, f"{kind}s": 1}
    with Deployment(broker, **counts) as running:
        [service] = running.gateways + running.broadcasters
        assert manager.count("READY=1") == 1
        eventually(lambda: manager.count("WATCHDOG=1") >= 3)
        service.pause()  # it hangs: nobody feeds the watchdog
        try:
            eventually(_is_silent(manager), what="nothing is said")
        finally:
            service.resume()
        fed = manager.count("WATCHDOG=1")
        eventually(lambda: manager.count("WATCHDOG=1") > fed)
        assert manager.count("STOPPING=1") == 0
        service.send_signal(signal.SIGHUP)  # ExecReload: it lives on
        fed = manager.count("WATCHDOG=1")
        eventually(lambda: manager.count("WATCHDOG=1") > fed + 1)
    assert manager.count("STOPPING=1") == 1
    assert manager.count("READY=1") == 1


def _is_silent(manager):
    """True once nothing new was heard at twenty looks in a row, a second together."""
    looks = []

    def condition():
        looks.append(manager.count("WATCHDOG=1"))
        return len(looks) > 20 and looks[-21] == looks[-1]
    return condition


def test_another_processs_watchdog_is_not_ours(broker, tmp_path, monkeypatch):
    manager = _Manager(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "1000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    with Deployment(broker, gateways=1, broadcasters=0):
        pass
    assert manager.count("WATCHDOG=1") == 0
    assert manager.heard == ["READY=1", "STOPPING=1"]


@pytest.mark.parametrize("bad", ["", "@", "relative", "/nowhere/at/all", "/" + "x" * 200])
def test_a_manager_that_is_none_harms_nobody(broker, monkeypatch, bad):
    monkeypatch.setenv("NOTIFY_SOCKET", bad)
    monkeypatch.setenv("WATCHDOG_USEC", "not a number")
    with Deployment(broker, gateways=1, broadcasters=0):
        pass


@pytest.mark.parametrize("kind", ["gateway", "broadcaster"])
def test_a_unit_is_valid_and_leaves_little_to_gain(tmp_path, kind):
    unit = tmp_path / f"warren-{kind}.service"
    text = (_UNITS / unit.name).read_text(encoding="utf-8")
    program = build_folder() / kind / f"warren-{kind}"
    assert f"ExecStart=/usr/local/bin/warren-{kind} " in text
    unit.write_text(text.replace(f"/usr/local/bin/warren-{kind}", str(program)), encoding="utf-8")
    said = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True,
                          text=True, timeout=60, check=False)
    mine = [line for line in said.stderr.splitlines() if unit.name in line]
    assert said.returncode == 0 and not mine, said.stderr
    said = subprocess.run(["systemd-analyze", "security", "--no-pager", "--offline=yes",
                           f"--threshold={int(_EXPOSURE_MAX * 10)}", str(unit)],
                          capture_output=True, text=True, timeout=60, check=False)
    [exposure] = re.findall(r"Overall exposure level for \S+: ([\d.]+)", said.stdout)
    assert said.returncode == 0 and float(exposure) <= _EXPOSURE_MAX, said.stdout


@pytest.mark.parametrize("kind", ["gateway", "broadcaster"])
def test_a_unit_says_all_that_confines_and_revives_its_service(kind):
    said = {}
    for line in (_UNITS / f"warren-{kind}.service").read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            said[key] = f"{said[key]} {value}" if key in said else value
    wanted = {**_DIRECTIVES, **_OF_ONE[kind]}
    assert {key: said.get(key) for key in wanted} == wanted
    assert int(said["TimeoutStopSec"].removesuffix("s")) >= _DRAIN
    assert int(said["LimitNOFILE"]) >= 65536 and re.fullmatch(r"\d+G", said["MemoryMax"])


@pytest.mark.parametrize("kind", ["gateway", "broadcaster"])
def test_a_unit_brings_its_secrets_as_credentials(kind, tmp_path):
    text = (_UNITS / f"warren-{kind}.service").read_text(encoding="utf-8")
    env, given = {"WARREN_AUTH_ANONYMOUS": "yes"} if kind == "gateway" else {}, set()
    for name in re.findall(r"^LoadCredential=(\w+):/etc/warren/\w+$", text, re.MULTILINE):
        given.add(f"%d/{name}")
        secret = "amqp://guest:guest@127.0.0.1/" if name == "amqp_url" else "k" * 32
        (tmp_path / name).write_text(secret + "\n", encoding="utf-8")
    assert given
    for key, value in re.findall(r"^Environment=(\w+)=(\S+)$", text, re.MULTILINE):
        assert key.endswith("_FILE") and value in given
        env[key] = value.replace("%d", str(tmp_path))
    done = subprocess.run([str(build_folder() / kind / f"warren-{kind}"), "--check-config"],
                          env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


async def test_a_service_lives_without_capabilities_and_writes_no_file(broker, monkeypatch):
    """As in the containers, whose root is read-only, and under the units."""
    if os.geteuid() == 0:
        monkeypatch.setenv("WARREN_UNDER",
                           "setpriv --no-new-privs --bounding-set -all --inh-caps -all --")
    with Deployment(broker, gateways=1, broadcasters=1) as running:
        async with await PlainClient.settled(running.gateways[0], "lobby") as ann:
            await ann.say("ann", "hello")
            await ann.expect({"message": "hello"})
        for service in running.gateways + running.broadcasters:
            service.send_signal(signal.SIGHUP)
            eventually(lambda one=service: "reloaded" in one.log_text())
            status = Path(f"/proc/{service.pid}/status").read_text(encoding="ascii")
            for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                assert re.search(rf"^{kind}:\s*0+$", status, re.MULTILINE), status
            for opened in Path(f"/proc/{service.pid}/fd").iterdir():
                info = Path(f"/proc/{service.pid}/fdinfo/{opened.name}").read_text(encoding="ascii")
                flags = int(re.search(r"^flags:\s*(\d+)$", info, re.MULTILINE)[1], 8)
                file = opened.resolve()
                is_written = flags & os.O_ACCMODE != os.O_RDONLY and file.is_file()
                assert not is_written or file == service.log.resolve(), file
