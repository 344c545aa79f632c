"""What one gateway's API says of all gateways; orders that all have obeyed once answered."""

import pytest
from kit import CentrifugeClient, Closed
from kit.api import Api, deployed
from kit.waiting import eventually_async

_SOON = {"api.gather": "500ms"}  # where somebody does not answer


@pytest.fixture(scope="module")
def warren(broker):
    with deployed(broker) as running:
        yield running


@pytest.fixture
def brittle(broker):
    """A deployment whose services may be frozen and killed, and the first gateway's API."""
    with deployed(broker, broadcasters=1, gateway=_SOON) as running:
        api = Api(running.gateways[0])
        yield running, api
        api.hang_up()


def _names(info):
    return sorted(node["name"] for node in info["nodes"])


def _all(warren):
    return sorted(gateway.name for gateway in warren.gateways)


async def _all_answer(warren, api):
    """From some time on, nobody is missing."""
    await eventually_async(lambda: "missing" not in (found := api.info())
                           and _names(found) == _all(warren))


async def test_numbers_are_those_of_all_gateways(warren, api):
    ann = [await CentrifugeClient.connect(g, warren.token("ann")) for g in warren.gateways]
    bob = await CentrifugeClient.connect(warren.gateways[1], warren.token("bob"))
    for session in (*ann, bob):
        await session.subscribe("hall:1")
    await bob.subscribe("hall:2")
    for one in api:
        found = {node["name"]: node for node in one.info()["nodes"]}
        first, second = (found[gateway.name] for gateway in warren.gateways)
        assert (first["num_clients"], first["num_users"], first["num_subs"],
                first["num_channels"]) == (1, 1, 1, 1)
        assert (second["num_clients"], second["num_users"], second["num_subs"],
                second["num_channels"]) == (2, 2, 3, 2)
        assert first["uid"] != second["uid"]
        assert one.channels(pattern="hall:*") == {"channels": {
            "hall:1": {"num_clients": 3}, "hall:2": {"num_clients": 1}}}
        assert one.channels(pattern='"*') == {"channels": {}}
    for session in (*ann, bob):
        await session.close()


async def test_what_was_answered_holds_on_every_gateway(warren, api):
    for number in range(8):
        user = f"pest{number}"
        assert api[number % 2].ban(user=user) == {}
        for gateway in warren.gateways:
            with pytest.raises(Closed):
                await CentrifugeClient.connect(gateway, warren.token(user))


async def test_many_orders_at_once_are_answered_together(warren, api):
    asked = sum(gateway.metric("warren_gateway_surveys_total") for gateway in warren.gateways)
    answer = api[0].batch(commands=[{"mute": {"user": f"u{n}", "ttl": 60}} for n in range(200)])
    assert answer["replies"] == [{"mute": {}}] * 200
    now = sum(gateway.metric("warren_gateway_surveys_total") for gateway in warren.gateways)
    assert 1 <= now - asked < 200
    assert warren.gateways[0].metric("warren_gateway_gateways") == 2


async def test_a_gateway_that_does_not_answer_is_missing(brittle):
    running, api = brittle
    frozen = running.gateways[1]
    await _all_answer(running, api)
    frozen.pause()
    try:
        found = api.info()
        assert (_names(found), found["missing"]) == ([running.gateways[0].name], 1)
        assert api.channels() == {"channels": {}, "missing": 1}
        assert api.ban(user="pest") == {"missing": 1}
    finally:
        frozen.resume()
    assert running.gateways[0].metric("warren_gateway_orders_unheeded_total") == 1
    assert running.gateways[0].metric("warren_gateway_reports_missing_total") >= 3
    await _all_answer(running, api)
    await eventually_async(lambda: frozen.metric("warren_gateway_standing") == 1)
    with pytest.raises(Closed):  # the order stood
        await CentrifugeClient.connect(frozen, running.token("pest"))


async def test_a_gateway_that_is_killed_is_expected_no_more(brittle):
    running, api = brittle
    await _all_answer(running, api)
    running.gateways[1].kill()
    await eventually_async(lambda: "missing" not in (found := api.info())
                           and _names(found) == [running.gateways[0].name])
    assert api.ban(user="pest") == {}
    assert running.gateways[0].metric("warren_gateway_gateways") == 1
    running.gateways[1].start()
    await _all_answer(running, api)


async def test_without_owners_nobody_can_be_asked(brittle):
    running, api = brittle
    await _all_answer(running, api)
    running.broadcasters[0].kill()
    found = api.info()
    assert (_names(found), found["missing"]) == ([running.gateways[0].name], 1)
    assert api.mute(user="pest") == {"missing": 1}  # which the other one has obeyed, unheard
    await eventually_async(lambda: running.gateways[1].metric("warren_gateway_standing") == 1)
    running.broadcasters[0].start()
    await _all_answer(running, api)
