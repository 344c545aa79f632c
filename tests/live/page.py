"""The demo page in a headless Chromium, as somebody uses it."""

import urllib.parse

from kit import eventually
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
          "--disable-background-networking", "--disable-component-update", "--disable-sync",
          "--disable-dev-shm-usage", "--proxy-server=direct://")
_FAULTS = ("Content Security Policy", "Uncaught", "TypeError", "ReferenceError")

# Everything a test wants to know, read in one go, so that nothing changes in between.
_LOOK = """
const text = (element, selector) => element.querySelector(selector)?.innerText ?? "";
const all = (selector, read) => [...document.querySelectorAll(selector)].map(read);
return {
  state: document.body.dataset.state,
  status: document.getElementById("state").innerText.trim(),
  title: document.getElementById("title").innerText,
  room_error: document.getElementById("room-error").innerText,
  name_error: document.getElementById("name-error").innerText,
  people_note: document.getElementById("people-note").innerText,
  lines: all("#log > .system", (line) => line.innerText),
  people: all("#people [data-client]", (person) => ({
    name: text(person, ".person-name"), gateway: person.dataset.gateway,
    client: person.dataset.client, me: person.classList.contains("me"),
  })),
  messages: all("#log > .message", (message) => ({
    text: text(message, ".text"), name: message.querySelector(".name").textContent,
    offset: Number(message.dataset.offset ?? 0), own: message.classList.contains("own"),
    pending: message.classList.contains("pending"), delivery: message.dataset.delivery ?? "",
    note: text(message, ".note > span"),
  })),
};
"""


class Page:
    """One window. Its browser is its own, so that it is always the visible one."""

    def __init__(self, folder, width=1200, height=800):
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for flag in (*_FLAGS, f"--user-data-dir={folder}", f"--window-size={width},{height}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        self.driver.set_page_load_timeout(120)

    def quit(self):
        self.driver.quit()

    def open(self, url, **query):
        self.driver.get(f"{url.rstrip('/')}/?{urllib.parse.urlencode(query)}")
        return self

    def enter(self, url, name, room="lobby"):
        """Opens the page in a room and waits until it is there."""
        self.open(url, name=name, room=room)
        self.wait(lambda look: look["state"] == "connected", "connected")
        self.wait(lambda look: any("You are in" in line for line in look["lines"]), "entered")
        return self

    def element(self, name):
        return self.driver.find_element(By.ID, name)

    def click(self, selector):
        self.driver.find_element(By.CSS_SELECTOR, selector).click()

    def fill(self, name, text):
        field = self.element(name)
        field.clear()
        field.send_keys(text)

    def go(self, room):
        """Another room, by the form."""
        if not self.element("room").is_displayed():
            self.element("panel-open").click()
        self.fill("room", room)
        self.element("join").click()

    def hurry(self):
        """Does not wait for the next attempt to connect, if there is one to wait for."""
        self.driver.execute_script(
            "const again = document.getElementById('again'); again.hidden || again.click();")

    def say(self, text):
        self.element("message").send_keys(text + "\n")

    def look(self):
        return self.driver.execute_script(_LOOK)

    def wait(self, condition, what):
        """Waits until `condition` holds for what look() gives; returns that."""
        def holds():
            look = self.look()
            assert condition(look), look
            return look
        return eventually(holds, what=what)

    def wait_state(self, state):
        return self.wait(lambda look: look["state"] == state, f"the page is {state}")

    def wait_line(self, part):
        """Waits for a line of the page itself that holds `part`."""
        return self.wait(lambda look: any(part in line for line in look["lines"]), part)

    def wait_texts(self, *texts):
        """Waits until exactly these messages are in the room, numbered in this order."""
        def holds(look):
            offsets = [message["offset"] for message in look["messages"]]
            return ([message["text"] for message in look["messages"]] == list(texts)
                    and all(offsets) and offsets == sorted(set(offsets)))
        return self.wait(holds, f"the messages {texts}")

    def wait_people(self, **people):
        """Waits until exactly these are here: name to gateway."""
        def holds(look):
            return {each["name"]: each["gateway"] for each in look["people"]} == people \
                and len(look["people"]) == len(people)
        return self.wait(holds, f"the people {people}")

    def faults(self):
        """What the browser complained about since the last call, if it is the page's fault."""
        return [entry["message"] for entry in self.driver.get_log("browser")
                if any(fault in entry["message"] for fault in _FAULTS)]
