"""Three RabbitMQ nodes: any one of them may die, and nothing that was confirmed is lost."""

import asyncio
import time

import pytest
from kit import Deployment
from kit.cluster import running_cluster
from kit.talk import Talk, all_go_on, finish_all
from pika_gateway import ROOMS

_PATIENCE = 240.0


@pytest.fixture
def cluster(tmp_path):
    with running_cluster(tmp_path / "cluster") as running:
        yield running


def _deploy(cluster):
    """Two services of each kind; no node is the first one for all of them."""
    running = Deployment(cluster, gateways=0, broadcasters=0,
                         settings={"topology.queue_type": "quorum"})
    for number in range(2):
        running.add_broadcaster(start=False, amqp__url=cluster.url("broadcaster", number + 1))
        running.add_gateway(start=False, amqp__url=cluster.url("gateway", number))
    return running


async def test_each_node_may_be_killed(cluster):
    with _deploy(cluster) as running:
        one, two = running.gateways
        talks = [await Talk.start(f"{room}", one, two, pause=0.01) for room in ROOMS]
        talks += [await Talk.start(f"{room}2", two, one, pause=0.01) for room in ROOMS]
        await all_go_on(talks, timeout=_PATIENCE)
        for node in cluster.nodes:
            killed = time.monotonic()
            await asyncio.to_thread(node.kill)
            await all_go_on(talks, timeout=_PATIENCE)
            print(f"{node.name} killed: silent for at most",
                  f"{max(talk.silence(killed) for talk in talks):.2f} s")
            back = time.monotonic()
            await asyncio.to_thread(node.start)
            await asyncio.to_thread(node.wait_ready, _PATIENCE)
            await all_go_on(talks, timeout=_PATIENCE)
            print(f"{node.name} back: silent for at most",
                  f"{max(talk.silence(back) for talk in talks):.2f} s")
            await asyncio.to_thread(cluster.wait_whole, running.prefix)
        await all_go_on(talks, timeout=_PATIENCE)
        await finish_all(talks)
