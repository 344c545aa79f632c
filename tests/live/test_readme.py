"""What README says about settings and metrics is what the programs say."""

import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from kit import PATIENCE, Deployment, PlainClient, certs
from kit.services import build_folder

_TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(_TOP / "tests"))

import settings  # noqa: E402 (needs the path)

_README = (_TOP / "README.md").read_text(encoding="utf-8")


def test_the_table_of_settings_is_what_the_programs_print():
    missing = [row for row in settings.table(build_folder()) if row not in _README]
    assert not missing, "tests/settings.py prints what README should say"


def test_the_metrics_that_readme_names_exist(deployment):
    named = set(re.findall(r"`(warren_(?:gateway|broadcaster)_\w+)", _README))
    assert len(named) > 5
    printed = "".join(service.get("/metrics")[1]
                      for service in deployment.gateways + deployment.broadcasters)
    assert not {name for name in named if f"# HELP {name} " not in printed}


def test_the_folders_and_files_that_readme_names_exist():
    links = re.findall(r"\]\(([\w/.-]+)\)", _README)
    assert len(links) > 10
    assert not [link for link in links if not (_TOP / link).exists()]


def test_the_example_of_settings_is_what_the_programs_print():
    example = (_TOP / "compose/warren.ini").read_text(encoding="utf-8")
    assert example == settings.ini(build_folder()), "tests/settings.py --ini prints it"


@pytest.mark.parametrize("program", settings.PROGRAMS.values())
def test_one_file_with_all_settings_serves_both_programs(tmp_path, program):
    text = (_TOP / "compose/warren.ini").read_text(encoding="utf-8")
    text = re.sub(r"^;", "", text, flags=re.MULTILINE)
    for name in set(re.findall(r"_file = /etc/warren/(\w+)$", text, re.MULTILINE)):
        secret = "amqp://guest:guest@127.0.0.1/" if name == "amqp_url" else "k" * 32
        (tmp_path / name).write_text(secret, encoding="ascii")
    certs.openssl(tmp_path, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
                  "-out", "private.pem")
    certs.openssl(tmp_path, "pkey", "-in", "private.pem", "-pubout", "-out", "2026-11.pem")
    path = tmp_path / "warren.ini"
    path.write_text(text.replace("/etc/warren", str(tmp_path)), encoding="utf-8")
    subprocess.run([str(build_folder() / program), "--config", str(path), "--check-config"],
                   check=True, env={}, capture_output=True)


def _example(number):
    """A block of JavaScript in README."""
    return re.findall(r"```js\n(.*?)```", _README, re.DOTALL)[number]


async def _says(script, wanted):
    """Runs a script among the SDK's packages until it has printed a line."""
    process = await asyncio.create_subprocess_exec(
        shutil.which("node"), "--input-type=module", "-", cwd=Path(__file__).with_name("sdk"),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    try:
        process.stdin.write(script.encode())
        process.stdin.close()
        seen = []
        async with asyncio.timeout(PATIENCE):
            while wanted not in seen:
                line = await process.stdout.readline()
                assert line, f"it ended; it said {seen}"
                seen.append(line.decode().strip())
    finally:
        process.kill()
        await process.wait()


async def test_the_client_without_an_sdk_talks(deployment):
    script = "import WebSocket from 'ws';\n" + _example(0).replace(
        "127.0.0.1:8080", f"127.0.0.1:{deployment.gateways[0].port}")
    async with await PlainClient.settled(deployment.gateways[1], "lobby") as bob:

        async def answer():  # until the script is in the room
            await bob.expect({"username": "ann", "message": "hello"})
            while True:
                await bob.say("bob", "hi ann")
                await bob.expect({"username": "bob"})

        answering = asyncio.create_task(answer())
        await _says(script, "bob: hi ann")
        answering.cancel()


async def test_the_client_with_the_sdk_talks(deployment):
    token = deployment.token("ann")
    script = ("import WebSocket from 'ws';\nglobalThis.WebSocket = WebSocket;\n" +
              _example(1).replace("127.0.0.1:8080", f"127.0.0.1:{deployment.gateways[0].port}")
              .replace("eyJ...", token))
    await _says(script, "1 ann { username: 'ann', message: 'hello' }")


def test_programs_that_publish_through_rabbitmq_do(broker, deployment):
    async def heard(number, script):
        async with await PlainClient.settled(deployment.gateways[1], "lobby") as bob:
            program = await asyncio.create_subprocess_exec(
                sys.executable, "-", stdin=asyncio.subprocess.PIPE)
            await program.communicate(script.encode())
            assert program.returncode == 0
            await bob.expect({"message": "hello"})
            print(f"example {number} was heard")

    blocks = re.findall(r"```python\n(.*?)```", _README, re.DOTALL)
    examples = [block for block in blocks if "warren.publish" in block]
    assert len(examples) == 2
    for number, script in enumerate(examples):
        script = _here(script, broker).replace("warren.", f"{deployment.prefix}.")
        asyncio.run(heard(number, script))


def _here(script, broker):
    """The same for a broker of the tests."""
    script = script.replace(".run/accounts", str(broker.accounts.folder))
    return script.replace("127.0.0.1:5672", broker.address)


async def _hears(deployment, script):
    """A program that listens prints a record that is published again and again."""
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    program.stdin.write(script.encode())
    program.stdin.close()
    line = asyncio.create_task(program.stdout.readline())
    try:
        async with await PlainClient.settled(deployment.gateways[0], "lobby") as ann:
            async with asyncio.timeout(PATIENCE):
                while not line.done():
                    await ann.send({"message": "hello"})
                    await asyncio.wait([line], timeout=0.1)
        kind, said = line.result().decode().split(" ", 1)
        assert kind == "record" and "lobby" in said
    finally:
        line.cancel()
        program.kill()
        await program.wait()


def test_programs_that_listen_through_rabbitmq_do(broker):
    blocks = re.findall(r"```python\n(.*?)```", _README, re.DOTALL)
    examples = [block for block in blocks if "warren.events" in block]
    assert len(examples) == 2
    with Deployment(broker, gateways=1, broadcasters=1,
                    settings={"room.events": "record"}) as running:
        for number, script in enumerate(examples):
            script = _here(script, broker).replace("app.audit", f"app.{running.prefix}-{number}")
            asyncio.run(_hears(running, script.replace("warren.", f"{running.prefix}.")))
