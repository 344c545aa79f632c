"""The demo page with a gateway that answers as the test wants it to."""

import urllib.parse

import pytest
from kit import eventually
from page import Page
from scripted_gateway import DENIED, TEMPORARY, Hub, ScriptedGateway
from selenium.webdriver.common.keys import Keys

HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>&amp;'
HOSTILE_DATA = [
    {"username": HOSTILE, "message": HOSTILE}, {"message": 1}, {"message": None}, {"message": {}},
    {}, [], [1], 1, 1e300, True, None, "text", {"id": {}, "message": "x"},
    {"id": "__proto__", "message": "x"}, {"message": "\u0000\u202e\ufffe\U0001f407"},
    {"message": "x" * 60000},
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    window = Page(tmp_path_factory.mktemp("browser"))
    yield window
    window.quit()


@pytest.fixture
def hub():
    rooms = Hub()
    yield rooms
    rooms.stop()


@pytest.fixture
def gateway(hub):
    one = ScriptedGateway(hub, "gateway-1").start()
    yield one
    one.stop()


@pytest.fixture
def page(browser, gateway):
    browser.enter(gateway.url, "ann")
    yield browser
    assert not browser.faults()


def info(name, gateway="gateway-2"):
    return {"user": name, "client": f"client-of-{name}",
            "conn_info": {"name": name, "gateway": gateway}}


def chat(hub, text, room="lobby", name="bob", **more):
    hub.publish(room, {"username": name, "message": text, **more}, info(name))


def lose_connection(page, gateway):
    gateway.stop()
    page.wait_state("waiting")


def come_back(page, gateway):
    gateway.start()
    page.hurry()
    page.wait_line("Back, on gateway-1")


def test_what_was_said_before_is_shown_above(browser, hub, gateway):
    chat(hub, "one")
    chat(hub, "two")
    browser.enter(gateway.url, "ann").wait_texts("one", "two")
    chat(hub, "three")
    browser.wait_texts("one", "two", "three")


def test_own_messages_are_marked_and_shown_once(page, hub):
    page.say("mine")
    page.wait_texts("mine")
    chat(hub, "yours")
    look = page.wait_texts("mine", "yours")
    assert [message["own"] for message in look["messages"]] == [True, False]
    assert [message["name"] for message in look["messages"]] == ["ann", "bob"]


def test_people_are_listed_with_their_gateway(page, hub, gateway):
    page.wait_people(ann=gateway.name)
    assert [person["me"] for person in page.look()["people"]] == [True]
    hub.room("lobby").members["other"] = type("Member", (), {"info": info("bob")})
    page.wait_people(ann="gateway-1", bob="gateway-2")
    del hub.room("lobby").members["other"]
    page.wait_people(ann="gateway-1")


def test_messages_written_while_away_wait_and_are_sent_once(page, gateway):
    lose_connection(page, gateway)
    page.say("one")
    page.say("two")
    look = page.look()
    assert [message["delivery"] for message in look["messages"]] == ["waiting", "waiting"]
    assert "waiting" in look["messages"][0]["note"]
    come_back(page, gateway)
    look = page.wait_texts("one", "two")
    assert not any(message["pending"] for message in look["messages"])


def test_it_comes_back_by_itself(page, gateway):
    gateway.stop()
    look = page.wait_state("waiting")
    assert "reconnecting in" in look["status"]
    gateway.start()
    page.wait_line("Back, on gateway-1")
    assert page.look()["status"] == "connected to gateway-1"


def test_what_was_said_while_away_is_given_in_order(page, hub, gateway):
    chat(hub, "before")
    page.wait_texts("before")
    lose_connection(page, gateway)
    chat(hub, "one")
    chat(hub, "two")
    come_back(page, gateway)
    look = page.wait_texts("before", "one", "two")
    assert not any("missed" in line for line in look["lines"])


@pytest.mark.parametrize("count, line", [(1, "1 message was missed."),
                                         (3, "3 messages were missed.")])
def test_what_cannot_be_given_is_counted(page, hub, gateway, count, line):
    chat(hub, "before")
    page.wait_texts("before")
    lose_connection(page, gateway)
    gateway.recovers = False
    for number in range(count):
        chat(hub, f"lost {number}")
    come_back(page, gateway)
    assert page.look()["lines"][-1] == line
    chat(hub, "after")
    page.wait_texts("before", "after")


def test_nothing_missed_is_not_called_missed(page, gateway):
    lose_connection(page, gateway)
    gateway.recovers = False
    come_back(page, gateway)
    assert not any("missed" in line for line in page.look()["lines"])


def test_a_new_count_of_the_room_is_told_and_followed(page, hub, gateway):
    chat(hub, "old one")
    chat(hub, "old two")
    page.wait_texts("old one", "old two")
    lose_connection(page, gateway)
    hub.forget("lobby")
    come_back(page, gateway)
    page.wait_line("began to count anew")
    chat(hub, "new one")
    page.wait(lambda look: [m["text"] for m in look["messages"]]
              == ["old one", "old two", "new one"], "the new count")


def test_a_repeated_publication_is_shown_once(page, hub):
    chat(hub, "one")
    chat(hub, "two")
    again = {"push": {"channel": "lobby", "pub": hub.room("lobby").publications[0]}}
    hub.push("lobby", again)
    chat(hub, "three")
    page.wait_texts("one", "two", "three")


def test_a_message_sent_twice_is_shown_once(page, hub):
    chat(hub, "same", id="1")
    chat(hub, "same", id="1")
    chat(hub, "same", id="1", name="cleo")
    page.wait_texts("same", "same")
    assert [m["name"] for m in page.look()["messages"]] == ["bob", "cleo"]


def test_a_message_refused_for_now_is_kept_and_sent_in_order(page, gateway):
    gateway.publish_errors = [TEMPORARY] * 3
    page.say("one")
    page.say("two")
    look = page.wait(lambda look: look["messages"][0]["delivery"] == "retrying", "refused")
    assert "internal server error" in look["messages"][0]["note"]
    page.wait_texts("one", "two")


def test_retry_does_not_wait(page, gateway):
    gateway.publish_errors = [TEMPORARY]
    page.say("one")
    page.wait(lambda look: look["messages"][0]["delivery"] == "retrying", "refused")
    page.driver.execute_script("document.querySelector('.message .note button').click()")
    page.wait_texts("one")


def test_a_message_refused_for_good_is_marked_and_can_be_discarded(page, gateway):
    gateway.publish_errors = [DENIED]
    page.say("one")
    page.say("two")
    look = page.wait(lambda look: len(look["messages"]) == 2 and look["messages"][0]["offset"],
                     "the second is sent")
    assert [m["text"] for m in look["messages"]] == ["two", "one"]
    assert look["messages"][1]["delivery"] == "refused"
    assert "permission denied" in look["messages"][1]["note"]
    page.click(".message .note button:last-child")
    page.wait_texts("two")


def test_a_message_whose_answer_was_lost_is_shown_once(page, gateway):
    gateway.silent_publish = True
    page.say("one")
    page.wait_texts("one")
    lose_connection(page, gateway)
    gateway.silent_publish = False
    come_back(page, gateway)
    page.say("two")
    page.wait_texts("one", "two")


def test_a_message_of_unknown_fate_is_sent_again(page, gateway):
    gateway.deaf_publish = True
    page.say("one")
    page.say("two")
    page.wait(lambda look: look["messages"][0]["delivery"] == "sending", "on its way")
    lose_connection(page, gateway)
    gateway.deaf_publish = False
    come_back(page, gateway)
    page.wait_texts("one", "two")


def test_a_message_of_unknown_fate_that_arrived_while_away_is_not_sent_again(page, hub, gateway):
    gateway.deaf_publish = True
    page.say("one")
    page.wait(lambda look: look["messages"][0]["delivery"] == "sending", "on its way")
    eventually(lambda: gateway.unheard, what="it is kept")
    lose_connection(page, gateway)
    data = gateway.unheard[0]["data"]
    hub.publish("lobby", data, info("ann"))
    gateway.deaf_publish = False
    come_back(page, gateway)
    page.say("two")
    page.wait_texts("one", "two")
    assert hub.room("lobby").top == 2


@pytest.mark.parametrize("code", [1001, 3000, 3001, 3008, 3010, 3012, 3014, 3499, 4000, 4499])
def test_it_comes_back_after_close(page, gateway, code):
    gateway.close(code, "because")
    page.wait_line("Trying again by itself.")
    page.hurry()
    page.wait_line("Back, on gateway-1")


@pytest.mark.parametrize("code", [1009, 3500, 3501, 3503, 3509, 3999, 4500, 4999])
def test_it_stops_after_close(page, gateway, code):
    gateway.close(code, "because")
    look = page.wait_state("stopped")
    assert look["status"] == f"stopped: because ({code})"
    assert look["lines"][-1] == f"Stopped: because ({code})."
    page.hurry()
    page.wait_state("connected")


@pytest.mark.parametrize("error, line", [
    (TEMPORARY, "Internal server error (100). Trying again by itself."),
    ({"code": 109, "message": "token expired"}, "Token expired (109). Trying again by itself."),
    (DENIED, "Stopped: permission denied (103)."),
])
def test_a_refused_connect(browser, gateway, error, line):
    gateway.connect_errors = [error]
    browser.open(gateway.url, name="ann", room="lobby")
    browser.wait_line(line)
    browser.hurry()
    browser.wait_line("You are in lobby, on gateway-1.")


def test_a_room_that_is_not_ready_is_asked_for_again(browser, gateway):
    gateway.subscribe_errors = [TEMPORARY]
    browser.open(gateway.url, name="ann", room="lobby")
    browser.wait_line("lobby is not ready: internal server error")
    browser.wait_line("You are in lobby, on gateway-1.")


def test_a_room_that_is_taken_away_is_entered_again_or_left(page, hub):
    hub.push("lobby", {"push": {"channel": "lobby", "unsubscribe": {
        "code": 2500, "reason": "insufficient state"}}}, leave=True)
    page.wait(lambda _: hub.room("lobby").members, "entered again")
    chat(hub, "still here")
    page.wait_texts("still here")
    hub.push("lobby", {"push": {"channel": "lobby", "unsubscribe": {
        "code": 2000, "reason": "server unsubscribe"}}}, leave=True)
    look = page.wait_line("You were taken out of lobby: server unsubscribe (2000).")
    assert look["state"] == "connected"
    assert not page.element("message").is_enabled()


@pytest.mark.parametrize("room", ["a room", "ünder", "x" * 65, "a/b", "<b>", "a\u00a0b"])
def test_an_invalid_room_shows_an_error(page, room):
    page.go(room)
    look = page.wait(lambda look: look["room_error"], "the error")
    assert "1 to 64 of the characters" in look["room_error"]
    assert look["title"] == "lobby"
    page.go("lobby-2")
    look = page.wait_line("You are in lobby-2")
    assert look["room_error"] == ""


def test_an_invalid_room_in_the_address_is_not_entered(browser, gateway):
    browser.open(gateway.url, name="ann", room="no such/room")
    look = browser.wait(lambda look: look["room_error"], "the error")
    assert look["state"] == "stopped"
    assert not gateway.sessions


def test_a_forbidden_room_says_why(page, gateway):
    gateway.denied.add("secret")
    page.go("secret")
    look = page.wait(lambda look: look["room_error"], "the error")
    assert look["room_error"] == "You cannot enter secret: permission denied (103)."
    assert look["state"] == "connected"
    page.go("lobby")
    page.wait_line("You are in lobby")


def test_another_room_without_a_reload(page, hub):
    page.driver.execute_script("window.same = true")
    chat(hub, "here")
    page.wait_texts("here")
    chat(hub, "elsewhere", room="garden")
    page.go("garden")
    page.wait_texts("elsewhere")
    chat(hub, "not heard")
    page.say("in the garden")
    look = page.wait_texts("elsewhere", "in the garden")
    assert look["title"] == "garden"
    assert "room=garden" in page.driver.current_url
    assert page.driver.execute_script("return window.same")
    assert not hub.room("lobby").members


def test_changing_rooms_in_a_hurry_ends_in_the_last_one(page, hub):
    for room in ("one", "two", "three", "four"):
        page.go(room)
    chat(hub, "here", room="four")
    page.wait_line("You are in four")
    page.wait_texts("here")
    page.wait(lambda _: [name for name, room in hub.rooms.items() if room.members] == ["four"],
              "the others are left")


def test_another_name_is_another_session(page, hub):
    page.fill("name", "anna")
    page.element("join").click()
    page.wait_people(anna="gateway-1")
    page.say("hello")
    page.wait_texts("hello")
    assert hub.room("lobby").publications[0]["info"]["user"] == "anna"


def test_name_and_room_are_remembered(page, gateway):
    page.go("garden")
    page.wait_line("You are in garden")
    page.driver.get(gateway.url)
    page.wait_line("You are in garden")
    assert page.element("name").get_attribute("value") == "ann"


@pytest.mark.parametrize("name, error", [
    ("", "Choose a name."), ("  ", "Choose a name."), ("\u540d" * 22, "This name is too long."),
])
def test_an_invalid_name_shows_an_error(page, name, error):
    page.fill("name", name)
    page.element("join").click()
    look = page.wait(lambda look: look["name_error"], "the error")
    assert look["name_error"] == error
    assert look["status"] == "connected to gateway-1"


def test_a_name_that_the_gateway_refuses_shows_an_error(page, gateway):
    gateway.token_status = 400
    page.fill("name", "bob")
    page.element("join").click()
    look = page.wait_state("stopped")
    assert look["name_error"] == "The gateway does not accept this name."
    gateway.token_status = 200
    page.element("join").click()
    page.wait_people(bob="gateway-1")
    assert page.look()["name_error"] == ""


@pytest.mark.parametrize("name", [HOSTILE[:32], "ünïcödé", "a&b=c#d", "名前"])
def test_any_name_is_shown_as_it_is(browser, gateway, name):
    browser.enter(gateway.url, name)
    browser.wait_people(**{name: "gateway-1"})
    browser.say("hello")
    assert browser.wait_texts("hello")["messages"][0]["name"] == name
    assert not browser.faults()


@pytest.mark.parametrize("sender", [
    None, {}, {"user": HOSTILE, "client": HOSTILE, "conn_info": {"name": HOSTILE}},
    {"user": 1, "client": [], "conn_info": 7}, {"conn_info": {"name": {}, "gateway": []}},
])
def test_no_message_can_hurt(page, hub, sender):
    for data in HOSTILE_DATA:
        hub.publish("lobby", data, sender)
    chat(hub, "after")
    look = page.wait(lambda look: len(look["messages"]) == len(HOSTILE_DATA) + 1, "all of them")
    assert [m["offset"] for m in look["messages"]] == list(range(1, len(HOSTILE_DATA) + 2))
    assert look["messages"][0]["text"] == HOSTILE
    assert look["messages"][-1]["text"] == "after"
    assert page.driver.execute_script(
        "return document.querySelectorAll('#log img, #log script').length") == 0
    assert page.driver.title == "lobby · warren"


@pytest.mark.parametrize("frame", [
    "not json", "42", "null", "[]", '"text"', '{"push":1}', '{"push":{}}', '{"id":99}', "{}\n\n{}",
    '{"push":{"channel":"lobby"}}', '{"push":{"channel":"lobby","pub":{}}}',
    '{"push":{"channel":"other","pub":{"data":{"message":"x"}}}}', '{"id":1,"error":null}',
])
def test_no_frame_can_stop_the_page(page, hub, frame):
    hub.send("lobby", frame)
    chat(hub, "after")
    page.wait(lambda look: [m["text"] for m in look["messages"]][-1:] == ["after"], "goes on")


def test_ping_is_answered(page, hub, gateway):
    assert page.look()["state"] == "connected"
    hub.send("lobby", "{}")
    page.wait(lambda _: gateway.pongs == 1, "the pong")


def test_enter_sends_and_shift_enter_does_not(page):
    keys = page.element("message")
    assert page.driver.switch_to.active_element == keys
    keys.send_keys("one", Keys.SHIFT, Keys.ENTER, Keys.NULL, "two")
    assert page.look()["messages"] == []
    keys.send_keys(Keys.ENTER)
    page.wait_texts("one\ntwo")
    assert keys.get_attribute("value") == ""


def test_an_empty_message_is_not_sent(page, hub):
    page.say("   ")
    page.say("x")
    page.wait_texts("x")
    assert hub.room("lobby").top == 1


def test_every_field_and_button_has_a_name(page):
    nameless = page.driver.execute_script("""
        return [...document.querySelectorAll("input, textarea, button, [tabindex]")]
          .filter((each) => !(each.labels?.length || each.innerText.trim()
            || each.textContent.trim() || each.ariaLabel)).map((each) => each.outerHTML)""")
    assert nameless == []


@pytest.mark.parametrize("width, height", [(320, 560), (390, 844), (768, 1024), (1920, 1080)])
@pytest.mark.parametrize("joined", [False, True])
def test_nothing_sticks_out_of_the_window(browser, hub, gateway, width, height, joined):
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})
    try:
        chat(hub, "w" * 500, name="n" * 32)
        chat(hub, "two words")
        if joined:
            browser.enter(gateway.url, "a" * 32, "r" * 64).go("lobby")
            browser.wait_texts("w" * 500, "two words")
            browser.wait(lambda look: look["people"], "people")
        else:
            browser.open(gateway.url, name="", room="lobby")
            browser.wait(lambda look: look["name_error"] == "", "the form")
        wide = browser.driver.execute_script("""
            const root = document.scrollingElement;
            return [root.scrollWidth > innerWidth, root.scrollHeight > innerHeight,
              ...["log", "panel"].map((id) => document.getElementById(id))
                .map((each) => each.scrollWidth > each.clientWidth)]""")
        assert wide == [False] * 4
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_leaving_the_page_leaves_the_room_and_coming_back_enters_it(page, hub, gateway):
    chat(hub, "before")
    page.wait_texts("before")
    page.driver.get(gateway.url + "icon.svg")
    eventually(lambda: not gateway.sessions, what="nobody is there")
    chat(hub, "meanwhile")
    page.driver.back()
    page.wait_texts("before", "meanwhile")
    page.say("after")
    page.wait_texts("before", "meanwhile", "after")


def test_it_asks_for_nothing_but_its_own_files(page, gateway):
    addresses = page.driver.execute_script(
        "return performance.getEntriesByType('resource').map((each) => each.name)")
    hosts = {urllib.parse.urlsplit(address).netloc for address in addresses}
    assert hosts == {urllib.parse.urlsplit(gateway.url).netloc}
