"""compose/: the command that starts everything, and the files of the containers."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import accounts
import node
import pika
import ports
import process
import pytest
import yaml
from kit import Deployment, PlainClient, certs, eventually, evidence

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "compose"
START_PATIENCE = 900.0  # it may have to build
END_PATIENCE = 120.0


class Up:
    """A compose/up with a run folder and ports of its own."""

    def __init__(self, run_dir, *options):
        self.run_dir = Path(run_dir)
        self.base_port = free_block(3)
        self.options = options
        self.output = self.run_dir.with_suffix(".out")
        self.process = None
        evidence.add("compose/up", self.output, lambda: False)

    def command(self, *options):
        return [str(COMPOSE / "up"), "--run-dir", str(self.run_dir), *options]

    def start(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("WARREN_")}
        self.output.write_text("", encoding="ascii")
        self.process = process.spawn(
            self.command("--base-port", str(self.base_port), *self.options), self.output, env)
        process.until(self.is_ready_or_dead, START_PATIENCE, "compose/up is ready", pause=0.2)
        for name in ("gateway-1", "gateway-2", "broadcaster-1", "broadcaster-2", "rabbitmq"):
            evidence.add(name, self.run_dir / f"{name}.log", self.alive)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def is_ready_or_dead(self):
        assert self.alive(), self.output.read_text(encoding="utf-8")
        return self.lines()[-1:] == ["ready"]

    def lines(self):
        return self.output.read_text(encoding="utf-8").splitlines()

    def pid(self, name):
        """The pid in the pid file of a process, None while there is none."""
        try:
            return int((self.run_dir / f"{name}.pid").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    def ports(self):
        """All ports that it said it uses."""
        return {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", "\n".join(self.lines()))}

    def relatives(self):
        """The pids of all processes that were started for this run folder."""
        mark = f"COMPOSE_UP_RUN_DIR={self.run_dir}".encode()
        found = []
        for environ in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark in environ.read_bytes().split(b"\0"):
                    found.append(int(environ.parent.name))
            except OSError:
                continue
        return found

    def ws_url(self, offset, room):
        """Of the balancer (0) or of a gateway (1, 2)."""
        return f"ws://127.0.0.1:{self.base_port + offset}/ws?room={room}"

    def assert_nothing_is_left(self):
        assert not self.relatives()
        assert not list(self.run_dir.glob("*.pid"))
        assert not [port for port in self.ports() if ports.taken(port)]

    def abandon(self):
        if self.alive():
            process.end(self.process, END_PATIENCE)
        for pid in self.relatives():
            os.kill(pid, signal.SIGKILL)


def free_block(count):
    """The first of some free ports in a row, away from those that people use."""
    for first in range(18080, 30000, 10):
        if not any(ports.taken(port) for port in range(first, first + count)):
            return first
    raise OSError("no free ports in a row")


@pytest.fixture(name="up", scope="module")
def _up(tmp_path_factory):
    running = Up(tmp_path_factory.mktemp("up") / "run")
    try:
        running.start()
        yield running
    finally:
        running.abandon()


async def converse(up, room, text):
    """People on both gateways and behind the balancer hear each other."""
    people = [await PlainClient.settled(up.ws_url(offset, room)) for offset in (1, 2, 0)]
    try:
        for number, person in enumerate(people):
            await person.say(f"person{number}", f"{text} {number}")
            for listener in people:
                await listener.expect({"message": f"{text} {number}"})
    finally:
        for person in people:
            await person.close()


async def test_people_on_two_gateways_and_behind_the_balancer_talk(up):
    await converse(up, "compose", "hello")


async def test_a_killed_broadcaster_comes_back_and_the_conversation_goes_on(up):
    room = "survivors"
    async with (await PlainClient.settled(up.ws_url(1, room)) as ann,
                await PlainClient.settled(up.ws_url(2, room)) as bob):
        for name in ("broadcaster-1", "broadcaster-2"):
            killed = up.pid(name)
            os.kill(killed, signal.SIGKILL)
            eventually(lambda: up.pid(name) not in (None, killed), what=f"{name} comes back")
            await ann.say("ann", f"after {name}")
            await ann.expect({"message": f"after {name}"})
            await bob.expect({"message": f"after {name}"})


async def test_a_killed_gateway_comes_back(up):
    killed = up.pid("gateway-1")
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: up.pid("gateway-1") not in (None, killed), what="gateway-1 comes back")
    eventually(lambda: ports.taken(up.base_port + 1), what="gateway-1 listens")
    await converse(up, "again", "back")


async def test_a_token_makes_a_person_known(up):
    printed = subprocess.run(up.command("--token", "ann"), capture_output=True, text=True,
                             stdin=subprocess.DEVNULL, check=True)
    token = printed.stdout.strip()
    assert len(token.split(".")) == 3
    async with await PlainClient.settled(up.ws_url(0, "known"), token=token) as person:
        await person.say("somebody else", "it is me")
        heard = await person.expect({"message": "it is me"})
        assert heard["username"] == "ann"


def test_secrets_are_in_files_for_their_owner_alone_and_nowhere_else(up):
    folder = up.run_dir / "accounts"
    assert folder.stat().st_mode & 0o777 == 0o700
    files = [*folder.iterdir(), up.run_dir / "hmac_key"]
    for file in files:
        assert file.stat().st_mode & 0o777 == 0o600, file
    names = {"warren", "gateway-1", "gateway-2", "broadcaster", "backend", "listener"}
    assert {file.name for file in folder.iterdir()} == (
        names | {f"{name}.url" for name in names} | {"definitions.json"})
    secrets = {name: (folder / name).read_bytes().strip() for name in names}
    secrets["hmac_key"] = (up.run_dir / "hmac_key").read_bytes().strip()
    [cookie] = (up.run_dir / "rabbitmq").rglob(".erlang.cookie")
    assert cookie.stat().st_mode & 0o77 == 0
    secrets["cookie"] = cookie.read_bytes().strip()
    assert len(set(secrets.values())) == len(secrets)
    assert all(len(secret) >= 20 for secret in secrets.values())

    relatives = [*up.relatives(), up.process.pid]
    assert len(relatives) >= 8  # RabbitMQ, its epmd, all services, the balancer, and compose/up
    where = {f"/proc/{pid}/{what}": Path(f"/proc/{pid}/{what}").read_bytes()
             for pid in relatives for what in ("cmdline", "environ")}
    where.update({str(log): log.read_bytes() for log in [*up.run_dir.glob("*.log"), up.output]})
    where["definitions"] = (folder / "definitions.json").read_bytes()
    assert where[f"/proc/{up.pid('gateway-1')}/environ"].count(b"WARREN_AMQP_URL_FILE=") == 1
    for place, text in where.items():
        for name, secret in secrets.items():
            assert secret not in text, (name, place)


def test_each_gateway_has_an_account_that_is_good_for_its_own_things_only(up):
    url = (up.run_dir / "accounts" / "gateway-1.url").read_text(encoding="ascii").strip()
    connection = pika.BlockingConnection(pika.URLParameters(url))
    own, other = "warren.gateway.gateway-1", "warren.gateway.gateway-2"
    for act, is_allowed in (
            (lambda c: c.basic_publish(own, "", b"x"), True),
            (lambda c: c.exchange_bind(own, "warren.gateways", "gateway-1"), True),
            (lambda c: c.basic_publish(other, "", b"x"), False),
            (lambda c: c.exchange_bind(other, "warren.gateways", "gateway-1"), False),
            (lambda c: c.queue_bind(own, other, ""), False),
            (lambda c: c.exchange_delete(other), False),
            (lambda c: c.queue_delete(other), False),
            (lambda c: c.queue_delete("warren.control"), False),
            (lambda c: c.queue_delete("warren.publish"), False),
            (lambda c: c.basic_consume(other, lambda *_: None), False),
            (lambda c: c.queue_declare(f"{own}0"), False),
            (lambda c: c.queue_declare(f"{own}.x"), False)):
        channel = connection.channel()
        channel.confirm_delivery()
        if is_allowed:
            act(channel)
            channel.close()
            continue
        with pytest.raises(pika.exceptions.ChannelClosedByBroker) as refused:
            act(channel)
        assert refused.value.reply_code == 403
    connection.close()
    # No password is easy to guess, and no account is good for all gateways.
    for name in ("guest", "warren", "gateway", "gateway-1", "broadcaster"):
        with pytest.raises(pika.exceptions.AMQPConnectionError):
            pika.BlockingConnection(pika.URLParameters(
                re.sub("//.*@", f"//{name}:{name}@", url)))


@pytest.mark.parametrize("kind", ["gateway", "broadcaster"])
def test_the_programs_are_built_so_that_a_bug_is_hard_to_use(up, kind):
    program = Path(f"/proc/{up.pid(f'{kind}-2')}/exe")
    shown = subprocess.run(["readelf", "-hldW", "--dyn-syms", str(program)], check=True, text=True,
                           capture_output=True).stdout
    assert re.search(r"Type:\s+DYN \(Position-Independent Executable", shown)
    assert re.search(r"GNU_RELRO", shown) and re.search(r"FLAGS_1\)\s+Flags: NOW PIE", shown)
    assert re.search(r"GNU_STACK.* RW ", shown) and not re.search(r"(LOAD|GNU_STACK).* RWE ", shown)
    assert "__stack_chk_fail@" in shown  # -fstack-protector-strong
    assert re.search(r"__v?snprintf_chk@|__memcpy_chk@", shown)  # _FORTIFY_SOURCE
    assert not re.search(r"\((RPATH|RUNPATH|TEXTREL)\)", shown)


def test_the_balancer_logs_no_token(up):
    for query in ("token=sesame-token", "room=sesame-token"):
        assert node.http_status(up.base_port, f"/nowhere?{query}") == 404


    def said():
        """What it has said of requests, an object for each."""
        lines = (up.run_dir / "haproxy.log").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]
    eventually(lambda: [line for line in said() if line["path"] == "/nowhere"])
    assert {line["status"] for line in said() if line["path"] == "/nowhere"} == {404}
    for log in up.run_dir.glob("*.log"):
        assert b"sesame-token" not in log.read_bytes(), log


def test_a_second_one_in_the_same_folder_is_refused_in_one_line(up):
    second = subprocess.run(up.command(), capture_output=True, text=True,
                            stdin=subprocess.DEVNULL, check=False)
    assert second.returncode == 1
    assert re.search(r"^compose/up: already running in .*\(pid \d+\)", second.stderr, re.MULTILINE)
    assert up.alive()


def test_a_taken_port_is_told_in_one_line(up, tmp_path):
    second = subprocess.run(
        [str(COMPOSE / "up"), "--run-dir", str(tmp_path), "--base-port", str(up.base_port)],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert second.returncode == 1
    assert f"compose/up: port {up.base_port} is taken; choose others with --base-port\n" in (
        second.stderr)
    assert not list(tmp_path.glob("*.pid"))


def test_ctrl_c_ends_everything_and_leaves_nothing(up):
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(END_PATIENCE) == 0
    up.assert_nothing_is_left()


async def test_it_starts_over_what_a_killed_one_has_left(up):
    up.start()
    up.process.send_signal(signal.SIGKILL)
    up.process.wait(END_PATIENCE)
    up.start()
    await converse(up, "third", "hello")
    up.process.send_signal(signal.SIGTERM)
    assert up.process.wait(END_PATIENCE) == 0
    up.assert_nothing_is_left()


def test_a_service_that_cannot_start_is_told_with_its_last_line(tmp_path):
    (tmp_path / "hmac_key").write_text("short", encoding="ascii")
    failed = subprocess.run(
        [str(COMPOSE / "up"), "--run-dir", str(tmp_path), "--base-port", str(free_block(3))],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert failed.returncode == 1
    [line] = re.findall(r"^compose/up: (.*)$", failed.stderr, re.MULTILINE)
    assert re.match(r"gateway-\d ended \(exit code \d+\): .*hmac_key", line)
    assert not list(tmp_path.glob("*.pid"))


def test_the_balancer_has_nothing_to_warn_about(tmp_path):
    certs.make(tmp_path, "site", host="chat.example.com")
    pair = tmp_path / "pair.pem"
    pair.write_bytes(b"".join((tmp_path / f"site.{end}").read_bytes() for end in ("pem", "key")))
    for listen in (":8080", f":8443 ssl crt {pair} alpn http/1.1"):
        checked = subprocess.run(
            ["haproxy", "-c", "-f", str(COMPOSE / "haproxy.cfg"),
             "-f", str(COMPOSE / "gateways.cfg")],
            env={**os.environ, "LISTEN": listen}, capture_output=True, text=True, check=False)
        said = checked.stdout + checked.stderr
        assert checked.returncode == 0, said
        assert not re.search("warning|alert", said, re.IGNORECASE), said


def test_the_balancer_turns_away_who_comes_too_often(tmp_path):
    nobody = tmp_path / "nobody.cfg"
    nobody.write_text("backend gateways from balancing\n", encoding="ascii")
    port = ports.claim_any()
    balancer = process.spawn(
        ["haproxy", "-db", "-f", str(COMPOSE / "haproxy.cfg"), "-f", str(nobody)],
        tmp_path / "haproxy.log",
        {**os.environ, "LISTEN": f"127.0.0.1:{port}", "ADDRESS_RATE": "5"})
    try:
        eventually(lambda: ports.taken(port), what="it listens")
        eventually(lambda: node.http_status(port, "/") == 429, what="it has had enough")
    finally:
        process.end(balancer)


@pytest.fixture(name="accounts_of_containers")
def _accounts_of_containers(tmp_path, monkeypatch):
    monkeypatch.setattr(accounts, "_CONTAINERS", tmp_path / "containers")
    assert accounts.main() == 0
    before = {file: file.read_bytes() for file in (tmp_path / "containers").iterdir()}
    assert accounts.main(["--gateway", "gateway-3"]) == 0  # what is there stays
    for file, text in before.items():
        assert file.stat().st_mode & 0o777 == 0o444
        assert file.name == "definitions.json" or file.read_bytes() == text
    assert (tmp_path / "containers").stat().st_mode & 0o777 == 0o700
    return tmp_path / "containers"


GATEWAYS = {"gateway-1", "gateway-2"}  # in containers


def _secrets(service):
    """What a service finds in its folder of secrets: {name there: name in the compose file}."""
    pairs = [(secret["target"], secret["source"]) if isinstance(secret, dict) else (secret, secret)
             for secret in service.get("secrets", [])]
    return dict(pairs)


def test_the_compose_file_names_files_and_settings_that_exist(accounts_of_containers):
    whole = yaml.safe_load((COMPOSE / "compose.yaml").read_text(encoding="utf-8"))
    services = whole["services"]
    assert set(services) == GATEWAYS | {"rabbitmq", "broadcaster", "haproxy", "prometheus",
                                        "grafana"}
    made = {file.name for file in accounts_of_containers.iterdir()}
    for name, secret in whole["secrets"].items():
        assert Path(secret["file"]).name in made, name
    for name, service in services.items():
        assert set(_secrets(service).values()) <= set(whole["secrets"])
        for key, value in service.get("environment", {}).items():
            assert not key.endswith(("_KEY", "_URL", "PASSWORD")), key
            if key.endswith("_FILE"):
                assert value.removeprefix("/run/secrets/") in _secrets(service)
        assert ("image" in service) != ("build" in service), name
        for volume in service.get("volumes", []):
            source = re.sub(r"^\$\{\w+:-(.*?)\}", r"\1", volume).split(":")[0]
            assert source in whole["volumes"] or (COMPOSE / source).is_file(), source
        for needed in service.get("depends_on", []):
            assert needed in services
        for published in service.get("ports", []):
            assert published.startswith(("127.0.0.1:", "${ADDRESS:-127.0.0.1}:")), published
        assert service["read_only"] and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"]
    assert services["broadcaster"]["deploy"]["replicas"] == 2
    for name in GATEWAYS | {"broadcaster"}:
        service = services[name]
        assert "container_name" not in service and "ports" not in service
        assert (COMPOSE / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
        assert all(key.startswith("WARREN_") for key in service["environment"])
        assert service["command"] == ["--config", "/etc/warren/warren.ini"]
    for key in ("WARREN_GATEWAY_DEMO", "WARREN_AUTH_ANONYMOUS"):  # only if somebody wants it
        assert services["gateway-1"]["environment"][key] is None


def test_each_gateway_in_containers_has_an_account_of_its_own(accounts_of_containers):
    whole = yaml.safe_load((COMPOSE / "compose.yaml").read_text(encoding="utf-8"))
    text = (accounts_of_containers / "definitions.json").read_text(encoding="ascii")
    rights = {right["user"]: right for right in json.loads(text)["permissions"]}
    assert {name for name in rights if name.startswith("gateway")} == GATEWAYS | {"gateway-3"}
    [alias] = re.findall(r"server-template \S+ \d+ (\w+):8080",
                         (COMPOSE / "gateways.cfg").read_text(encoding="utf-8"))
    for name in GATEWAYS:
        service = whole["services"][name]
        assert "deploy" not in service, "an id is for one"
        assert service["networks"]["default"]["aliases"] == [alias]
        assert service["environment"]["WARREN_GATEWAY_ID"] == name
        file = Path(whole["secrets"][_secrets(service)["gateway_url"]]["file"])
        assert file.name == f"{name}.url"
        assert (accounts_of_containers / file.name).read_text(
            encoding="ascii").startswith(f"amqp://{name}:")
        for right in ("configure", "write", "read"):
            for other in rights:
                fits = re.search(rights[name][right], f"warren.gateway.{other}") is not None
                assert fits == (other == name), (right, other)


@pytest.mark.parametrize("service", ["gateway", "broadcaster"])
def test_an_image_is_built_in_two_stages_and_does_not_run_as_root(service):
    text = (COMPOSE / f"{service}.Dockerfile").read_text(encoding="utf-8")
    assert len(re.findall(r"^FROM debian:bookworm-slim", text, re.MULTILINE)) == 2
    last = text.rsplit("\nFROM ", 1)[1]
    [user] = re.findall(r"^USER (\d+):\d+$", last, re.MULTILINE)
    assert int(user) > 0
    assert "HEALTHCHECK" in last and f'ENTRYPOINT ["warren-{service}"]' in last
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        assert (ROOT / source).exists(), source


def test_an_image_tells_a_live_service_from_a_dead_one(broker):
    with Deployment(broker, gateways=1, broadcasters=1) as running:
        for name, service in (("gateway", running.gateways[0]),
                              ("broadcaster", running.broadcasters[0])):
            text = (COMPOSE / f"{name}.Dockerfile").read_text(encoding="utf-8")
            [command] = re.findall(r"^HEALTHCHECK .* CMD (\[(?:.|\n)*?\])$", text, re.MULTILINE)
            for port, healthy in ((service.admin_port, True), (ports.claim_any(), False)):
                words = json.loads(re.sub(r"127\.0\.0\.1/\d+", f"127.0.0.1/{port}",
                                          command.replace("\\\n", "")))
                checked = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True,
                                         check=False, timeout=END_PATIENCE)
                assert (checked.returncode == 0) == healthy, (name, checked)
