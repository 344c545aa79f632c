"""Rules by namespace: who may do what in which rooms, and what is kept of them."""

import subprocess

import pytest
from kit import CentrifugeClient, Closed, CommandError, Deployment, PlainClient
from kit.services import Broadcaster, Gateway, build_folder

_CONFIG = """
[room "support"]
publish = agent, moderator
history_size = 3

[room "vault"]
subscribe = none
publish = none

[room "quiet"]
presence = no
history_size = 0

[room "staff"]
subscribe = agent

[room]
history_size = 10
"""


@pytest.fixture(scope="module")
def warren(broker):
    with Deployment(broker, config=_CONFIG) as running:
        yield running


async def _connect(warren, user=None, gateway=0, **claims):
    token = warren.token(user, **claims) if user else None
    return await CentrifugeClient.connect(warren.gateways[gateway], token=token)


async def _refused(answer, code):
    with pytest.raises(CommandError) as error:
        await answer
    assert error.value.code == code


@pytest.mark.parametrize("room", ["support", "support:42", "support:a:b"])
async def test_only_an_agent_publishes_where_agents_speak(warren, room):
    async with await _connect(warren, "ann", roles=["agent"]) as agent, \
            await _connect(warren, "bob", gateway=1, roles=["guest", "agents"]) as bob, \
            await _connect(warren) as nobody:
        for client in (agent, bob, nobody):
            await client.subscribe(room)  # everybody may listen
        await _refused(bob.publish(room, "no"), 103)
        await _refused(nobody.publish(room, "no"), 103)
        await agent.publish(room, "yes")
        for client in (agent, bob, nobody):
            await client.expect_pub(room, "yes")
            assert [pub["data"] for pub in client.pubs(room)] == ["yes"]


@pytest.mark.parametrize("room", ["supporters", "suppor", "a:support", "Support"])
async def test_a_name_that_only_looks_alike_goes_by_the_defaults(warren, room):
    async with await _connect(warren, "bob") as bob:
        await bob.subscribe(room)
        await bob.publish(room, "yes")
        await bob.expect_pub(room, "yes")


@pytest.mark.parametrize("room", ["vault", "vault:1"])
async def test_none_means_nobody(warren, room):
    async with await _connect(warren, "ann", roles=["agent", "none", "*"]) as ann:
        await _refused(ann.subscribe(room), 103)
        await _refused(ann.publish(room, "no"), 103)


async def test_personal_rooms_are_for_those_whom_they_name(warren):
    async with await _connect(warren, "ann") as ann, \
            await _connect(warren, "bob", gateway=1, roles=["agent", "moderator"]) as bob, \
            await _connect(warren) as nobody:
        for room, others in (("#ann", (bob, nobody)), ("staff:notes#ann", (bob, nobody)),
                             ("talk#ann,bob", (nobody,))):
            for other in others:
                await _refused(other.subscribe(room), 103)
                await _refused(other.publish(room, "no"), 103)
            await ann.subscribe(room)
            await ann.publish(room, "mine")
            await ann.expect_pub(room, "mine")
            assert [pub["data"] for pub in ann.pubs(room)] == ["mine"]
        await bob.subscribe("talk#ann,bob")
        await bob.publish("talk#ann,bob", "ours")
        await ann.expect_pub("talk#ann,bob", "ours")
        for room in ("#an", "#anna", "#Ann", "#", "#ann,", "talk#bob#ann"):
            if room not in ("#ann,", "talk#bob#ann"):  # these name ann, too
                await _refused(ann.subscribe(room), 103)
        await _refused(bob.subscribe("talk#bob#ann"), 103)  # the last ones count


async def test_rooms_that_need_a_token_are_for_those_who_show_one(warren):
    async with await _connect(warren, "ann") as ann, \
            await _connect(warren, "bob", gateway=1) as bob:
        for client in (ann, bob):
            await _refused(client.subscribe("$vip"), 103)
            await _refused(client.publish("$vip", "no"), 103)
        await ann.subscribe("$vip", token=warren.token("ann", channel="$vip"))
        await ann.publish("$vip", "yes")
        await ann.expect_pub("$vip", "yes")
        for wrong in ({"channel": "$other"}, {}):
            async with await _connect(warren, "bob") as cheat:
                with pytest.raises((CommandError, Closed)):
                    await cheat.subscribe("$vip", token=warren.token("bob", **wrong))
        await _refused(bob.publish("$vip", "no"), 103)
        assert [pub["data"] for pub in ann.pubs("$vip")] == ["yes"]


async def test_the_plain_dialect_goes_by_the_same_rules(warren):
    agent = warren.token("ann", roles=["agent"])
    guest = warren.token("bob", roles=["guest"])
    gateway = warren.gateways[0]
    for room, token in (("vault", agent), ("staff:1", guest)):
        client = await PlainClient.join(gateway, room, token=token)
        assert (await client.expect())["error"]["code"] == 103
        assert (await client.expect_closed())[0] == 3501
    async with await PlainClient.settled(gateway, "support:plain", token=agent) as ann, \
            await PlainClient.join(gateway, "support:plain", token=guest) as bob:
        await bob.say("bob", "no")
        await bob.expect(lambda m: m.get("error", {}).get("code") == 103)
        while not any(m.get("message") == "yes" for m in bob.received):  # bob may still enter
            await ann.say("ann", "yes")
            await ann.expect({"username": "ann", "message": "yes"})
        assert all(m.get("message") != "no" for m in ann.received)


async def test_a_room_without_presence_does_not_tell_who_is_there(warren):
    async with await _connect(warren) as ann:
        for room in ("quiet:1", "loud:1"):
            await ann.subscribe(room)
        await _refused(ann.call("presence", channel="quiet:1"), 108)
        await _refused(ann.call("presence_stats", channel="quiet:1"), 108)
        assert (await ann.call("presence_stats", channel="loud:1"))["num_clients"] == 1


@pytest.mark.parametrize("room, size", [("support:history", 3), ("quiet:history", 0),
                                        ("other:history", 10)])
async def test_history_is_as_long_as_the_namespace_says(warren, room, size):
    async with await _connect(warren, "ann", roles=["agent"]) as ann:
        await ann.subscribe(room)
        for i in range(15):
            await ann.publish(room, i)
        await ann.expect_pub(room, 14)
        answer = await ann.call("history", channel=room, limit=-1)
        assert [pub["data"] for pub in answer["publications"]] == list(range(15 - size, 15))
        assert answer["offset"] == 15


@pytest.mark.parametrize("key, value", [
    ("rooms", "0"), ("rooms", "many"), ("user_sessions", "-1"), ("publish_rate", "1.5"),
    ("publish_burst", "0"), ("user_publish_rate", "fast"), ("user_publish_burst", "0")])
def test_limits_are_checked(tmp_path, key, value):
    config = tmp_path / "warren.ini"
    config.write_text(f"[auth]\nanonymous = yes\n[gateway]\n{key} = {value}\n", encoding="utf-8")
    done = subprocess.run([build_folder() / Gateway.program, "--check-config", "--config", config],
                          env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and f"{key}: must be a number" in done.stderr, done.stderr


@pytest.mark.parametrize("program", [Gateway.program, Broadcaster.program])
@pytest.mark.parametrize("text, complaint", [
    (_CONFIG, None),
    ('[room "support"]\npublishes = agent\n', "unknown key of a namespace"),
    ('[room "support"]\nhistory_size = many\n', "must be a number from 0 to 100000"),
    ('[room "support"]\npresence = no\npresence = no\n', "is given twice"),
    ('[room "support"]\npublish = * agent\n', "must be * or none, or roles"),
    ('[room "a:b"]\npresence = no\n', "without ':'"),
    ('[room support]\npresence = no\n', "unknown section"),
    ('[amqp "a"]\nurl = x\n', "only [room"),
    ("[room]\npublish =\n", "[room] publish: must be * or none"),
    ('[room "a"]\nsubscribers = -1\n', "must be a number from 0"),
    ('[room "a"]\nhistory_for = none staff\n', "must be * or none, or roles"),
    ('[room "a"]\npresence_for = \n', "must be * or none, or roles"),
    ('[room "a"]\nhidden = * guest\n', "must be * or none, or roles"),
    ('[room "a"]\necho = maybe\n', "must be yes or no"),
    ('[room "a"]\njoin_leave = 2\n', "must be yes or no"),
    ('[room "a"]\nmuted = silent\n', "muted"), ('[room "a"]\naudience =\n', "audience"),
    ('[room "a"]\nhistory_ttl = 1\n', "history_ttl"),
    ("".join(f'[room "n{i}"]\npresence = no\n' for i in range(257)), "at most 256 namespaces"),
])
def test_both_services_check_all_rules(tmp_path, program, text, complaint):
    config = tmp_path / "warren.ini"
    config.write_text("[auth]\nanonymous = yes\n" + text, encoding="utf-8")
    done = subprocess.run([build_folder() / program, "--check-config", "--config", config],
                          env={}, capture_output=True, text=True, check=False)
    if complaint is None:
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 2
        assert complaint in done.stderr and done.stderr.count("\n") == 1
