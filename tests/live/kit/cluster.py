"""Three RabbitMQ nodes of one cluster on this machine, with an epmd of their own."""

import secrets
from contextlib import contextmanager

import ports
import process

from kit.broker import Broker
from kit.waiting import eventually

SIZE = 3
_JOIN_PATIENCE = 300.0


class _Member(Broker):
    """A node among others: its name is its own, cookie and epmd are the cluster's."""

    def __init__(self, folder, name, cookie, epmd_port, peers):
        super().__init__(folder)
        self.name = f"{name}@127.0.0.1"
        self._cookie = cookie
        self._epmd_port = epmd_port
        self._peers = peers

    def _start_epmd(self):
        pass

    def _end_epmd(self):
        pass

    def _write_settings(self):
        super()._write_settings()
        cookie = self.folder / ".erlang.cookie"
        if not cookie.exists():
            cookie.write_text(self._cookie, encoding="ascii")
            cookie.chmod(0o400)
        lines = [f"cluster_formation.classic_config.nodes.{i} = {name}"
                 for i, name in enumerate(self._peers, 1)]
        (self.folder / "conf.d" / "cluster.conf").write_text(
            "\n".join(lines) + "\n", encoding="utf-8")

    def _env(self):
        return {**super()._env(), "RABBITMQ_NODENAME": self.name,
                "ERL_EPMD_PORT": str(self._epmd_port)}


class Cluster:
    """Stands for a broker where a deployment wants one."""

    def __init__(self, folder):
        self.folder = folder
        self._epmd_port = ports.claim_any()
        self._epmd = None
        cookie = secrets.token_hex(16)
        self.nodes = []
        for number in range(1, SIZE + 1):
            # The first one founds the cluster; the others look for it.
            peers = [node.name for node in self.nodes[:1]]
            self.nodes.append(_Member(folder / f"node-{number}", f"node-{number}", cookie,
                                      self._epmd_port, peers))

    def start(self):
        """Starts all nodes and waits until they are one cluster."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._epmd = process.spawn(
            ["epmd", "-address", "127.0.0.1", "-port", str(self._epmd_port)],
            self.folder / "epmd.log")
        process.until(lambda: ports.taken(self._epmd_port), 30.0, "epmd listens")
        first, *others = self.nodes
        first.start()
        first.wait_ready(_JOIN_PATIENCE)
        for node in others:
            node.start()
        for node in others:
            node.wait_ready(_JOIN_PATIENCE)
        eventually(lambda: sum(n["running"] for n in first.api("nodes")) == SIZE, _JOIN_PATIENCE,
                   "three nodes are one cluster")

    def remove(self):
        for node in self.nodes:
            node.remove()
        if self._epmd:
            process.end(self._epmd, 5.0)

    def url(self, user, first=0):
        """The addresses of all nodes, beginning with the one of that number."""
        order = self.nodes[first:] + self.nodes[:first]
        return ",".join(node.url(user) for node in order)

    def alive(self):
        return any(node.alive() for node in self.nodes)

    def living(self):
        """A node that serves now."""
        return next(node for node in self.nodes if node.alive() and node.ready())

    def api(self, path, **more):
        return self.living().api(path, **more)

    def forget(self, prefix):
        self.living().forget(prefix)

    def wait_whole(self, prefix):
        """Waits until every queue and stream with members has all of them running."""
        def whole():
            rows = [q for q in self.api("queues") if q["name"].startswith(f"{prefix}.")
                    and "members" in q]
            assert rows
            short = [q["name"] for q in rows if len(q.get("online", [])) < SIZE]
            assert not short, short
            return True
        eventually(whole, _JOIN_PATIENCE, "all queues have all their members")


@contextmanager
def running_cluster(folder):
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()
