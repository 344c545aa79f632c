// What the page shows: the log of a room and the people in it.
//
// Everything that came over the wire enters the document as text, never as markup.

const LINES_MAX = 1000;
const TOGETHER_MS = 5 * 60 * 1000; // messages of one person this close share one heading
const NEAR_END_PX = 48;
const HUES = 6;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

// An element with a class and a text or children.
export function make(tag, className, ...children) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children);
  return element;
}

// A color number for a gateway: numbered ones get neighbouring colors, others what falls to them.
export function hueOf(gateway) {
  const digits = /(\d{1,6})$/.exec(gateway);
  if (digits) {
    return (Number(digits[1]) + HUES - 1) % HUES;
  }
  let sum = 0;
  for (const letter of gateway) {
    sum = (sum * 31 + letter.codePointAt(0)) % 65521;
  }
  return sum % HUES;
}

function timeElement(ms) {
  const date = new Date(ms);
  const today = date.toDateString() === new Date().toDateString();
  const element = make("time", "time", (today ? clock : calendar).format(date));
  element.dateTime = date.toISOString();
  element.title = calendar.format(date);
  return element;
}

function gatewayElement(gateway) {
  const element = make("bdi", "gateway", gateway);
  element.dataset.hue = hueOf(gateway);
  return element;
}

export class Log {
  // element: scrolls and holds the lines. newer: the button shown when there are lines below.
  constructor(element, newer) {
    this.element = element;
    this.newer = newer;
    this.atEnd = true;
    this.seen = new Map(); // key of a message -> its element
    element.addEventListener("scroll", () => this.#onScroll());
    newer.addEventListener("click", () => this.toEnd());
    new ResizeObserver(() => this.atEnd && this.toEnd()).observe(element);
  }

  clear() {
    this.element.replaceChildren();
    this.seen.clear();
    this.toEnd();
  }

  toEnd() {
    this.element.scrollTop = this.element.scrollHeight;
    this.atEnd = true;
    this.newer.hidden = true;
  }

  // A line of the page itself; kind "quiet" or "warn".
  system(text, kind = "quiet") {
    const line = make("p", `system ${kind}`, make("span", "system-text", text));
    this.#place(line, this.#firstPending());
  }

  // message: {key, name, user, gateway, time, text, own, offset}. Nothing happens if one with
  // this key is here already, except that it learns its offset.
  add(message) {
    const known = message.key && this.seen.get(message.key);
    if (known) {
      this.#number(known, message.offset);
      return null;
    }
    const element = this.#build(message);
    this.#place(element, this.#firstPending());
    return element;
  }

  // Messages from before everything that is shown, oldest first.
  addPast(messages) {
    const first = this.element.firstChild;
    this.element.ariaLive = "off"; // nobody wants to hear all of them
    for (const message of messages) {
      if (!this.seen.has(message.key)) {
        this.#place(this.#build(message), first);
      }
    }
    requestAnimationFrame(() => {
      this.element.ariaLive = "polite";
    });
  }

  // An own message that is not in the room yet; it stays below all that are.
  addPending(message) {
    const element = this.#build(message);
    element.classList.add("pending");
    this.#place(element, null);
    this.toEnd();
    return element;
  }

  // note: what to say about a pending message. actions: [label, function] for buttons.
  note(element, state, note, actions = []) {
    element.dataset.delivery = state;
    element.querySelector(".note")?.remove();
    if (note !== "") {
      const line = make("p", "note", make("span", "", note));
      for (const [label, act] of actions) {
        const button = make("button", "quiet small", label);
        button.type = "button";
        button.addEventListener("click", act);
        line.append(button);
      }
      element.append(line);
      this.#follow(false);
    }
  }

  // A pending message takes its place in the room; without an offset: as the last one.
  settle(element, { key, time, offset }) {
    element.classList.remove("pending");
    delete element.dataset.delivery;
    element.querySelector(".note")?.remove();
    this.#number(element, offset);
    if (time) {
      element.querySelector(".time").replaceWith(timeElement(time));
      element.dataset.time = time;
    }
    if (key) {
      this.seen.set(key, element);
      element.dataset.key = key;
    }
    const pending = this.#firstPending();
    if (pending && pending.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_FOLLOWING) {
      this.element.insertBefore(element, pending);
    }
    this.#joinUp(element);
    this.#joinUp(element.nextElementSibling);
  }

  remove(element) {
    const next = element.nextElementSibling;
    element.remove();
    this.#joinUp(next);
  }

  #build({ key, name, user, gateway, time, text, own, offset }) {
    const head = make("p", "head", make("bdi", "name", name));
    if (own) {
      head.append(make("span", "you", "you"));
    }
    if (gateway) {
      head.append(gatewayElement(gateway));
    }
    head.append(timeElement(time));
    const body = make("p", "text", text);
    body.dir = "auto";
    const element = make("article", own ? "message own" : "message", head, body);
    element.dataset.sender = `${user}\n${name}\n${gateway}`;
    element.dataset.time = time;
    this.#number(element, offset);
    if (key) {
      this.seen.set(key, element);
      element.dataset.key = key;
    }
    return element;
  }

  #number(element, offset) {
    if (offset) {
      element.dataset.offset = offset;
    }
  }

  #firstPending() {
    return this.element.querySelector(":scope > .pending");
  }

  #place(element, before) {
    this.element.insertBefore(element, before);
    this.#joinUp(element);
    this.#joinUp(element.nextElementSibling);
    while (this.element.childElementCount > LINES_MAX) {
      this.seen.delete(this.element.firstElementChild.dataset.key);
      this.element.firstElementChild.remove();
    }
    this.#follow(element.classList.contains("message"));
  }

  // Several messages of one person in a row share one heading.
  #joinUp(element) {
    const before = element?.previousElementSibling;
    element?.classList.toggle("joined", Boolean(before?.dataset.sender)
      && before.dataset.sender === element.dataset.sender
      && element.dataset.time - before.dataset.time < TOGETHER_MS);
  }

  #follow(isMessage) {
    if (this.atEnd) {
      this.toEnd();
    } else if (isMessage) {
      this.newer.hidden = false;
    }
  }

  #onScroll() {
    const { scrollHeight, scrollTop, clientHeight } = this.element;
    this.atEnd = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    if (this.atEnd) {
      this.newer.hidden = true;
    }
  }
}

export class People {
  // element: where the gateways go; counts: elements that show how many; note: says why nobody.
  constructor(element, counts, note) {
    this.element = element;
    this.counts = counts;
    this.note = note;
    this.shown = "";
  }

  // people: [{client, name, gateway}]; me: the own client id.
  show(people, me) {
    const order = (a, b) => a.gateway.localeCompare(b.gateway, undefined, { numeric: true })
      || a.name.localeCompare(b.name) || a.client.localeCompare(b.client);
    const sorted = [...people].sort(order);
    const shown = JSON.stringify([sorted, me]);
    if (shown === this.shown) {
      return;
    }
    this.shown = shown;
    const burrows = new Map();
    for (const person of sorted) {
      if (!burrows.has(person.gateway)) {
        burrows.set(person.gateway, this.#burrow(person.gateway));
      }
      burrows.get(person.gateway).querySelector("ul").append(this.#person(person, me));
    }
    this.element.replaceChildren(...burrows.values());
    for (const count of this.counts) {
      count.textContent = people.length > 0 ? String(people.length) : "";
    }
    this.say(people.length > 0 ? "" : "Nobody yet.");
  }

  say(text) {
    this.note.textContent = text;
    this.note.hidden = text === "";
  }

  clear(text = "Nobody yet.") {
    this.show([], "");
    this.say(text);
  }

  // Too many to be shown one by one.
  crowd(count) {
    this.clear(`${count} are here: too many to be listed.`);
    this.shown = ""; // whatever comes next is shown
    for (const element of this.counts) {
      element.textContent = String(count);
    }
  }

  #burrow(gateway) {
    const title = make("h3", "burrow-name", make("bdi", "", gateway || "somewhere"));
    title.title = gateway;
    const section = make("section", "burrow", title, make("ul", "burrow-people"));
    section.dataset.hue = hueOf(gateway);
    return section;
  }

  #person({ client, name, gateway }, me) {
    const item = make("li", "person", make("bdi", "person-name", name));
    item.dataset.client = client;
    item.dataset.gateway = gateway;
    item.title = name;
    if (client === me) {
      item.classList.add("me");
      item.append(make("span", "you", "you"));
    }
    return item;
  }
}
