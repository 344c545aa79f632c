#!/usr/bin/python3
"""RabbitMQ's accounts: their rights are in definitions.json, their passwords come by chance.

Run by hand it makes what compose.yaml mounts into the containers, once:  compose/accounts.py
Or, for a RabbitMQ of one's own, definitions.json and the addresses of the accounts in a folder:
  compose/accounts.py --folder accounts --broker rabbitmq.example.com:5672
"""

import argparse
import base64
import copy
import hashlib
import json
import os
import re
import secrets
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_CONTAINERS = _HERE.parent / ".run" / "containers"  # as compose.yaml has it
_BROKER = "rabbitmq:5672"  # likewise
_GATEWAYS = ("gateway-1", "gateway-2")  # likewise
_SALT = 4  # bytes, as RabbitMQ has it

ADMIN = "warren"  # the account for the page
GATEWAY = "gateway"  # its rights are any gateway's; those of one are made from it


def private(path, text, mode=0o600):
    """Writes a file that nobody could open for a moment with more rights than `mode`."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w",
              encoding="ascii") as file:
        file.write(text)
    os.chmod(new, mode)  # whatever the umask is
    new.replace(path)


def kept(path, mode=0o600, make=lambda: secrets.token_urlsafe(32)):
    """The secret in a file, made by chance at the first time; who comes second takes what is there.
    """
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mine = path.with_name(f".{path.name}.{os.getpid()}")
        private(mine, make() + "\n", mode)
        try:
            os.link(mine, path)
        except FileExistsError:
            pass
        mine.unlink()
    return path.read_text(encoding="ascii").strip()


class Accounts:
    """A folder with a password for each account, NAME, addresses with them, NAME.url, and the
    definitions.json for RabbitMQ, which has their hashes.

    Each of `gateways` (their ids) has an account of its name, which is good for that gateway's
    exchange and queue only. Without any there is one that all of them share. `fixed` takes the
    name of an account for its password: for tests.
    """

    def __init__(self, folder, gateways=(), fixed=False, mode=0o600):
        self.folder = Path(folder)
        self._gateways = gateways
        self._fixed = fixed
        self._mode = mode

    def password(self, name):
        make = (lambda: name) if self._fixed else (lambda: secrets.token_urlsafe(32))
        return kept(self.folder / name, self._mode, make)

    def url(self, name, broker):
        """The AMQP address for an account, `broker` being HOST:PORT."""
        return f"amqp://{name}:{self.password(name)}@{broker}/"

    def url_file(self, name):
        return self.folder / f"{name}.url"

    def write(self, broker):
        """Makes all files; passwords that are there are kept. The path of the definitions."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        definitions = self._definitions()
        for user in definitions["users"]:
            user["password_hash"] = _hash(self.password(user["name"]))
            private(self.url_file(user["name"]), self.url(user["name"], broker) + "\n", self._mode)
        path = self.folder / "definitions.json"
        private(path, json.dumps(definitions, indent=2) + "\n", self._mode)
        return path

    def _definitions(self):
        text = (_HERE / "definitions.json").read_text(encoding="utf-8")
        definitions = json.loads(text)
        users, rights = definitions["users"], definitions["permissions"]
        shared = next(user for user in users if user["name"] == GATEWAY)
        granted = next(right for right in rights if right["user"] == GATEWAY)
        if self._gateways:  # one that is good for all would be good for forging, too
            users.remove(shared)
            rights.remove(granted)
        for name in self._gateways:
            users.append({**copy.deepcopy(shared), "name": name})
            rights.append({key: _only(name, value) if key in ("configure", "write", "read")
                           else value for key, value in {**granted, "user": name}.items()})
        return definitions


def _only(name, pattern):
    """A pattern for any gateway, for this one."""
    own = pattern.replace(r"gateway\..+", r"gateway\." + re.escape(name))
    assert own != pattern
    return own


def _hash(password):
    salt = secrets.token_bytes(_SALT)
    digest = hashlib.sha256(salt + password.encode("ascii")).digest()
    return base64.b64encode(salt + digest).decode("ascii")


def main(argv=()):
    parser = argparse.ArgumentParser(
        prog="compose/accounts.py", allow_abbrev=False,
        description="Makes the secrets of the containers, or of a RabbitMQ of one's own. "
                    "What is there is kept.")
    parser.add_argument("--folder", type=Path, default=_CONTAINERS, help="where they are to be")
    parser.add_argument("--broker", default=_BROKER, metavar="HOST:PORT", help="RabbitMQ")
    parser.add_argument("--gateway", action="append", default=[], metavar="ID",
                        help="a gateway that gets an account of its own; any number of times")
    arguments = parser.parse_args(argv)
    if arguments.folder == _CONTAINERS:
        arguments.gateway = list(dict.fromkeys([*_GATEWAYS, *arguments.gateway]))
    # In containers the files belong to other users: nobody but them gets through the folder.
    mode = 0o444 if arguments.folder == _CONTAINERS else 0o600
    Accounts(arguments.folder, arguments.gateway, mode=mode).write(arguments.broker)
    for name in ("hmac_key", "grafana") if arguments.folder == _CONTAINERS else ("hmac_key",):
        kept(arguments.folder / name, mode)
    print(f"the secrets are in {arguments.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
