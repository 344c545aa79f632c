"""The demo page of real gateways: two people in two browsers, each on a gateway of their own."""

import pytest
from kit import Deployment, PlainClient
from page import Page

HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>&lt;\u202e"\'\\'


@pytest.fixture(scope="module")
def browsers(tmp_path_factory):
    windows = []
    try:
        for name in ("ann", "bob"):
            windows.append(Page(tmp_path_factory.mktemp(name)))
        yield windows
    finally:
        for window in windows:
            window.quit()


@pytest.fixture(scope="module")
def warren(broker):
    with Deployment(broker, gateway={"gateway.demo": "yes"},
                    config='[room "crowd"]\npresence_max = 1\n') as running:
        yield running


@pytest.fixture
def pair(browsers, warren, request):
    """Ann on the first gateway and Bob on the second, in a room of this test's own."""
    room = request.node.name.replace("[", "-").replace("]", "")[-64:]
    for window, gateway, name in zip(browsers, warren.gateways, ("ann", "bob")):
        window.enter(gateway.url, name, room)
    yield browsers
    for window in browsers:
        assert not window.faults()


def test_two_people_on_two_gateways_talk(pair, warren):
    ann, bob = pair
    ann.say("hello")
    bob.wait_texts("hello")
    bob.say("hello yourself")
    look = ann.wait_texts("hello", "hello yourself")
    assert [(each["name"], each["own"]) for each in look["messages"]] == \
        [("ann", True), ("bob", False)]
    bob.wait_texts("hello", "hello yourself")
    assert look["status"] == f"connected to {warren.gateways[0].name}"


def test_everybody_sees_one_order(pair):
    ann, bob = pair
    for number in range(20):
        (ann, bob)[number % 2].say(f"message {number}")
    looks = [window.wait(lambda look: len(look["messages"]) == 20
                         and all(each["offset"] for each in look["messages"]), "all of them")
             for window in pair]
    seen = [[(each["offset"], each["text"]) for each in look["messages"]] for look in looks]
    assert seen[0] == seen[1]
    assert [offset for offset, _ in seen[0]] == list(range(1, 21))


def test_who_is_where(pair, warren):
    here = {"ann": warren.gateways[0].name, "bob": warren.gateways[1].name}
    for window in pair:
        look = window.wait_people(**here)
        assert sum(each["me"] for each in look["people"]) == 1
    pair[1].go("elsewhere")
    pair[0].wait_people(ann=here["ann"])


def test_another_room_and_back_shows_what_was_said(pair):
    ann, bob = pair
    room = ann.look()["title"]
    ann.say("one")
    bob.wait_texts("one")
    bob.go("elsewhere")
    bob.wait_line("You are in elsewhere")
    ann.say("two")
    ann.wait_texts("one", "two")
    bob.go(room)
    bob.wait_texts("one", "two")
    bob.say("three")
    ann.wait_texts("one", "two", "three")


def test_it_goes_on_after_the_gateway_was_killed(pair, warren):
    ann, bob = pair
    gateway = warren.gateways[1]
    ann.say("before")
    bob.wait_texts("before")
    gateway.kill()
    bob.wait_line("Trying again by itself.")
    ann.say("meanwhile")
    bob.say("typed while away")
    ann.wait_texts("before", "meanwhile")
    gateway.start()
    look = bob.wait_line(f"Back, on {gateway.name}.")
    assert look["state"] == "connected"
    bob.wait_texts("before", "meanwhile", "typed while away")
    ann.wait_texts("before", "meanwhile", "typed while away")
    ann.wait_people(ann=warren.gateways[0].name, bob=gateway.name)
    ann.say("after")
    bob.wait_texts("before", "meanwhile", "typed while away", "after")
    assert not any("missed" in line for line in bob.look()["lines"])
    # By recovery, not by reading the history again: the gateway is new and has only this return.
    assert sum(gateway.metric(f"warren_gateway_recovered_{by}_total")
               for by in ("local", "owner")) >= 1
    assert gateway.metric("warren_gateway_recovered_not_total") == 0


def test_who_comes_later_sees_what_was_said_and_who_is_here(browsers, warren):
    ann, bob = browsers
    ann.enter(warren.gateways[0].url, "ann", "later")
    for text in ("one", "two", "three"):
        ann.say(text)
    ann.wait_texts("one", "two", "three")
    bob.enter(warren.gateways[1].url, "bob", "later")
    bob.wait_texts("one", "two", "three")
    for window in browsers:
        window.wait_people(ann=warren.gateways[0].name, bob=warren.gateways[1].name)
        assert not window.faults()


def test_it_goes_on_after_the_gateway_was_stopped(pair, warren):
    ann, bob = pair
    warren.gateways[0].restart()
    ann.wait_line(f"Back, on {warren.gateways[0].name}.")
    ann.say("here again")
    bob.wait_texts("here again")


def test_it_goes_on_after_all_owners_were_killed(pair, warren):
    ann, bob = pair
    ann.say("before")
    bob.wait_texts("before")
    for broadcaster in warren.broadcasters:
        broadcaster.kill()
    ann.say("meanwhile")
    for broadcaster in warren.broadcasters:
        broadcaster.start(wait=False)
    for window in pair:
        window.wait_texts("before", "meanwhile")
    bob.say("after")
    ann.wait_texts("before", "meanwhile", "after")


def test_hostile_text_is_shown_as_text(pair):
    ann, bob = pair
    ann.driver.execute_script("document.getElementById('message').value = arguments[0]", HOSTILE)
    ann.say("")
    for window in (ann, bob):
        window.wait_texts(HOSTILE)
        assert window.driver.execute_script(
            "return document.querySelectorAll('#log img, #log script').length") == 0
        assert window.driver.title == f"{window.look()['title']} · warren"


@pytest.mark.parametrize("name", ["<b>ann</b>", "a&b=c#d", "J\u00fcrgen", "\u540d\u524d", "a" * 32])
def test_any_name_is_shown_as_it_is(browsers, warren, name):
    window = browsers[0].enter(warren.gateways[0].url, name, "names")
    window.wait_people(**{name: warren.gateways[0].name})
    window.say("hello")
    look = window.wait(lambda look: look["messages"] and look["messages"][-1]["name"] == name
                       and look["messages"][-1]["offset"], "the message")
    assert look["messages"][-1]["own"]
    assert not window.faults()


def test_an_invalid_room_shows_an_error(pair):
    look = pair[0].look()
    pair[0].go("no such room")
    now = pair[0].wait(lambda look: look["room_error"], "the error")
    assert now["title"] == look["title"]
    assert now["state"] == "connected"


async def test_the_plain_dialect_is_in_the_same_room(pair, warren):
    ann, _ = pair
    room = ann.look()["title"]
    token = warren.token("cleo", name="Cleo")
    cleo = await PlainClient.join(warren.gateways[1], room, token=token)
    await cleo.say("whoever", "from the shell")
    look = ann.wait_texts("from the shell")
    assert look["messages"][0]["name"] == "Cleo"
    ann.say("hello, shell")
    assert (await cleo.expect(lambda data: data["message"] == "hello, shell"))["username"] == "ann"
    await cleo.close()


def test_a_room_closed_to_all_says_so(browsers, warren):
    gateway = warren.add_gateway(room__subscribe="nobody-has-this-role")
    browsers[0].open(gateway.url, name="ann", room="closed")
    look = browsers[0].wait(lambda look: look["room_error"], "the error")
    assert look["room_error"] == "You cannot enter closed: permission denied (103)."


def test_a_crowd_is_counted_and_not_listed(browsers, warren):
    first, second = browsers[:2]
    first.enter(warren.gateways[0].url, "ann", "crowd:1")
    first.wait_people(ann=warren.gateways[0].name)
    second.enter(warren.gateways[1].url, "bob", "crowd:1")
    second.wait(lambda look: look["people_note"].startswith("2 are here"), "the number of people")
    assert second.look()["people"] == []
