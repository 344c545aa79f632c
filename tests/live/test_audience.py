"""Who may see a record: decided by the rules of its room, the same live, in history and recovery.

Two gateways, two broadcasters; everybody's roles come from tokens.
"""

import contextlib

import pytest
from kit import CentrifugeClient, CommandError, Deployment, PlainClient

_CONFIG = """
[room "whispers"]
audience = payload

[room "desk"]
audience = agent, "quoted"

[room "guarded"]
hidden = guest, anonymous
moderators = moderator, admin

[room "quiet"]
echo = no
"""


@pytest.fixture(scope="module")
def warren(broker):
    with Deployment(broker, config=_CONFIG) as running:
        yield running


@contextlib.asynccontextmanager
async def _people(warren, room, **roles):
    """A session for each name, in the room; anonymous when the roles are None."""
    async with contextlib.AsyncExitStack() as stack:
        people = {}
        for i, (name, of) in enumerate(roles.items()):
            token = warren.token(name, roles=of) if of is not None else None
            client = await CentrifugeClient.connect(warren.gateways[i % 2], token=token)
            people[name] = await stack.enter_async_context(client)
            await client.subscribe(room)
        yield people


def _said(client, room):
    return [pub["data"]["message"] for pub in client.pubs(room)]


async def _history(client, room, **params):
    answer = await client.call("history", channel=room, limit=-1, **params)
    return [pub["data"]["message"] for pub in answer["publications"]]


async def _expect(people, room, want):
    """Each has heard, and finds in history, what it should; the last one is for everybody."""
    for name, client in people.items():
        last = want[name][-1]
        await client.expect_pub(room, {"message": last})
        assert _said(client, room) == want[name], name
        assert await _history(client, room) == want[name], name


async def _recovers(warren, room, name, roles, offset, epoch, gateway):
    """What a session gets that comes back to some gateway, and where it is then."""
    token = warren.token(name, roles=roles) if roles is not None else None
    async with await CentrifugeClient.connect(warren.gateways[gateway], token=token) as client:
        answer = await client.subscribe(room, recover=True, offset=offset, epoch=epoch)
        assert answer["recovered"]
        said = [pub["data"]["message"] for pub in answer.get("publications", [])]
        return said, answer.get("offset", 0)


async def test_whispers_are_for_those_whom_the_payload_names(warren):
    room = "whispers:1"
    async with _people(warren, room, ann=[], bob=[], cy=["moderator"]) as people:
        ann, bob = people["ann"], people["bob"]
        await ann.publish(room, {"message": "all"})
        await ann.publish(room, {"message": "to bob", "to": "bob"})
        await bob.publish(room, {"message": "to nobody else", "to": ["bob"]})
        await bob.publish(room, {"message": "to moderators", "roles": "moderator"})
        await ann.publish(room, {"message": "to \u0062ob and cy", "to": ["bob", "cy"]})
        await ann.publish(room, {"message": "end"})
        want = {
            "ann": ["all", "to bob", "to bob and cy", "end"],
            "bob": ["all", "to bob", "to nobody else", "to moderators", "to bob and cy",
                    "end"],
            "cy": ["all", "to moderators", "to bob and cy", "end"],
        }
        await _expect(people, room, want)
        # A page is as long as was asked for, whatever lies between.
        page = await people["cy"].call("history", channel=room, limit=3, reverse=True)
        assert [p["data"]["message"] for p in page["publications"]] == [
            "end", "to bob and cy", "to moderators"]
        epoch = page["epoch"]
        for gateway in (0, 1):
            for name, roles in (("ann", []), ("bob", []), ("cy", ["moderator"])):
                got, _ = await _recovers(warren, room, name, roles, 0, epoch, gateway)
                assert got == want[name]
            got, _ = await _recovers(warren, room, "dan", [], 1, epoch, gateway)
            assert got == ["end"]
        # Nothing that it may see was missed: recovered all the same, and moved on.
        for i in range(2):
            await ann.publish(room, {"message": f"psst {i}", "to": "bob"})
        for client in (ann, bob):
            await client.expect_pub(room, {"message": "psst 1", "to": "bob"})
        for gateway in (0, 1):
            assert await _recovers(warren, room, "dan", [], 6, epoch, gateway) == ([], 8)


async def test_a_payload_that_names_nobody_properly_is_not_shown_to_all(warren):
    room = "whispers:2"
    async with _people(warren, room, ann=[], bob=[]) as people:
        for to in (5, "", None, ["bob", 1], {"bob": True}):
            with pytest.raises(CommandError) as error:
                await people["ann"].publish(room, {"message": "secret", "to": to})
            assert error.value.code == 107
        await people["ann"].publish(room, {"message": "end"})
        await _expect(people, room, {"ann": ["end"], "bob": ["end"]})


async def test_a_room_is_heard_by_some_roles_and_by_whoever_speaks(warren):
    room = "desk:1"
    before = [g.metric("warren_gateway_records_kept_back_total", rule="roles")
              for g in warren.gateways]
    async with _people(warren, room, ann=[], bob=["guest"], eve=["agent"],
                       fay=["x", "\"quoted\""], nobody=None) as people:
        await people["ann"].publish(room, {"message": "help"})
        await people["nobody"].publish(room, {"message": "me too"})
        await people["eve"].publish(room, {"message": "for agents"})
        for name in ("bob", "ann", "nobody"):
            await people[name].publish(room, {"message": f"end {name}"})
        everything = ["help", "me too", "for agents", "end bob", "end ann", "end nobody"]
        await _expect(people, room, {
            "ann": ["help", "end ann"], "bob": ["end bob"], "eve": everything, "fay": everything,
            "nobody": ["me too", "end nobody"]})
        for gateway, count in zip(warren.gateways, before):  # refusals are counted by rule
            assert gateway.metric("warren_gateway_records_kept_back_total", rule="roles") > count


async def test_what_hidden_people_say_is_seen_by_them_and_moderators(warren):
    room = "guarded:1"
    async with _people(warren, room, ann=[], gus=["guest"], mia=["moderator"], adm=["admin"],
                       nobody=None) as people:
        await people["gus"].publish(room, {"message": "spam"})
        await people["nobody"].publish(room, {"message": "more"})
        await people["ann"].publish(room, {"message": "end"})
        everything = ["spam", "more", "end"]
        await _expect(people, room, {
            "ann": ["end"], "gus": ["spam", "end"], "mia": everything, "adm": everything,
            "nobody": ["more", "end"]})
        epoch = (await people["ann"].call("history", channel=room))["epoch"]
        assert await _recovers(warren, room, "gus", ["guest"], 0, epoch, 1) == (["spam", "end"], 0)
        assert await _recovers(warren, room, "x", None, 0, epoch, 0) == (["end"], 0)


async def test_without_echo_all_but_the_sending_session_get_it(warren):
    room = "quiet:1"
    async with _people(warren, room, ann=[], bob=[]) as people, \
            _people(warren, room, other=[], ann=[]) as more:
        await people["ann"].publish(room, {"message": "mine"})
        await people["bob"].publish(room, {"message": "end"})
        await more["other"].publish(room, {"message": "really"})
        await _expect({"ann": people["ann"], "bob": people["bob"]}, room,
                      {"ann": ["end", "really"], "bob": ["mine", "really"]})
        await _expect({"ann": more["ann"]}, room, {"ann": ["mine", "end", "really"]})


async def test_the_plain_dialect_obeys_the_same_rules(warren):
    room = "whispers:plain"
    tokens = {name: warren.token(name) for name in ("ann", "bob", "cy")}
    async with await PlainClient.settled(warren.gateways[0], room, token=tokens["ann"]) as ann, \
            await PlainClient.settled(warren.gateways[1], room, token=tokens["bob"]) as bob, \
            await PlainClient.settled(warren.gateways[0], room, token=tokens["cy"]) as cy:
        await ann.send({"message": "for bob", "to": "bob"})
        await bob.expect({"message": "for bob"})
        await bob.send({"message": "for all"})
        for client in (ann, bob, cy):
            await client.expect(lambda m: m.get("message") == "for all")
        assert [m["message"] for m in bob.received if m.get("message", "").startswith("for")] == [
            "for bob", "for all"]
        assert any(m.get("message") == "for bob" for m in ann.received)
        assert all(m.get("message") != "for bob" for m in cy.received)


async def test_who_takes_over_knows_who_may_see_what(warren):
    """From the log, where the audience stands with the record."""
    room = "whispers:taken"
    async with _people(warren, room, ann=[], bob=[], cy=[]) as people:
        await people["ann"].publish(room, {"message": "one", "to": "bob"})
        await people["ann"].publish(room, {"message": "two"})
        await _expect(people, room, {"ann": ["one", "two"], "bob": ["one", "two"], "cy": ["two"]})
        for broadcaster in warren.broadcasters:
            broadcaster.kill()
            broadcaster.start()
        await people["bob"].publish(room, {"message": "three", "to": "ann"})
        await people["ann"].publish(room, {"message": "four"})
        await _expect(people, room, {
            "ann": ["one", "two", "three", "four"], "bob": ["one", "two", "three", "four"],
            "cy": ["two", "four"]})
