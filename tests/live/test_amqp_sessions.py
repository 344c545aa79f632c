"""Programs are told who connects and who disconnects, and gateways can tell them nothing else."""

import asyncio
import json

import pytest
from kit import CentrifugeClient, Deployment, PlainClient
from kit.programs import Told, WithPika
from kit.waiting import eventually_async

_SETTINGS = {"gateway.events": "connect, disconnect"}


@pytest.fixture(scope="module")
def warren(broker):
    with Deployment(broker, gateway=_SETTINGS) as running:
        yield running


async def test_it_is_told_who_connects_and_disconnects_by_the_names_it_binds(warren, program):
    ann, bob = f"ann.{type(program).__name__}", f"bob-{type(program).__name__}"
    of_ann = Told(program, warren, [f"connect.{ann}", f"disconnect.{ann}"])
    of_all = Told(program, warren, ["connect.#", "disconnect.#"])
    async with await CentrifugeClient.connect(warren.gateways[0], warren.token(ann)) as client:
        client_id = client.client
        async with await PlainClient.join(warren.gateways[1], token=warren.token(bob)):
            await eventually_async(lambda: {bob, ann} <= {
                body.get("user") for _, body in of_all.take()})
    async with await PlainClient.settled(warren.gateways[1]):  # nobody known
        await eventually_async(lambda: "connect" in [
            kind for kind, body in of_all.take() if "user" not in body])
    await eventually_async(lambda: len(of_all.take()) == 6)
    await eventually_async(lambda: len(of_ann.take()) == 2)
    assert [kind for kind, _ in of_ann.all] == ["connect", "disconnect"]
    connect, disconnect = (body for _, body in of_ann.all)
    assert (connect["client"], disconnect["client"]) == (client_id, client_id)
    assert connect["gateway"] == warren.gateways[0].name
    assert connect["address"].startswith("127.0.0.1:")
    assert connect["info"]["gateway"] == connect["gateway"]
    assert disconnect["code"] == 1000 and disconnect["reason"] == "bye"
    assert "code" not in connect and connect["time"] <= disconnect["time"]


async def test_those_whom_a_gateway_ends_as_it_ends_are_told(broker, warren):
    with WithPika(broker, "listener") as program:
        told = Told(program, warren, ["disconnect.#"])
        gateway = warren.add_gateway(gateway__drain="0s")
        clients = [await CentrifugeClient.connect(gateway, warren.token(f"u{number}"))
                   for number in range(100)]
        await asyncio.to_thread(gateway.stop)
        for client in clients:
            await client.close()
        await eventually_async(lambda: len(told.take()) >= 100)
    assert {body["user"] for _, body in told.all} == {f"u{number}" for number in range(100)}
    assert {(body["code"], body["reason"]) for _, body in told.all} == {(3001, "shutdown")}


async def test_a_gateway_cannot_tell_of_records(broker, warren):
    with WithPika(broker, "listener") as program, WithPika(broker, "gateway") as forger:
        told = Told(program, warren, ["#"])
        for key in ("record.lobby", "join.lobby", "leave.lobby", "connected.ann", "x.connect.ann",
                    "", "connect.mallory"):
            body = {"client": "6f1c5c9e-0000-4000-8000-000000000000", "info": {}, "time": 1,
                    "gateway": "g", "address": key}
            forger.publish(f"{warren.prefix}.sessions", key, body, type="connect")
        await eventually_async(lambda: "connect.mallory" in [
            body["address"] for _, body in told.take()])
        assert [json.dumps(body) for _, body in told.all if body["gateway"] == "g"
                and body["address"] != "connect.mallory"] == []
