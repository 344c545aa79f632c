// The page: who we are, where we are, and what happens between the form, the connection, the
// room, the outbox and what is shown.

import { Connection } from "./connection.js";
import { checkName, checkRoom, remember, remembered } from "./entry.js";
import { Outbox, OUTBOX_MAX } from "./outbox.js";
import { Presence } from "./presence.js";
import { asText, readPublication } from "./reading.js";
import { Room } from "./room.js";
import { Log, People } from "./view.js";

const HISTORY_LIMIT = 50;
const FETCH_MS = 10000;

const $ = (id) => document.getElementById(id);
const narrow = matchMedia("(max-width: 760px)");
const log = new Log($("log"), $("newer"));
const people = new People($("people"), document.querySelectorAll(".people-count"), $("people-note"));

const me = { asked: "", name: "", user: "", client: "", gateway: "", room: null };
const clients = new Set(); // every client id this page has had
let isAway = false; // the log says that the connection was lost
let isFrozen = false;
let retryAt = 0;
let unread = 0;

// ---- the connection ----

const connection = new Connection({
  url: new URL("connection/websocket", location.href.replace(/^http/, "ws")).href,
  name: "warren-demo",
  getToken,
  onState,
  onPush: (push) => room.push(push),
});

async function getToken() {
  let response;
  try {
    response = await fetch(`demo/token?name=${encodeURIComponent(me.asked)}`, {
      cache: "no-store", signal: AbortSignal.timeout(FETCH_MS),
    });
  } catch {
    throw new Error("the gateway cannot be reached");
  }
  if (!response.ok) {
    const { status } = response;
    const final = status >= 400 && status < 500 && status !== 408 && status !== 429;
    if (status === 400) {
      complain("name", "The gateway does not accept this name.");
    }
    throw Object.assign(new Error(`no token from the gateway (${status})`), { final });
  }
  const { token, user, name } = await response.json();
  me.user = asText(user);
  me.name = asText(name) || me.asked;
  return token;
}

function onState(state, detail) {
  document.body.dataset.state = state;
  if (state === "connected") {
    me.client = detail.client;
    me.gateway = detail.gateway;
    clients.add(detail.client);
    presence.me = detail.client;
    room.connected();
  } else {
    room.lost(detail.code);
    outbox.suspend();
  }
  if (state === "waiting") {
    retryAt = performance.now() + detail.delay;
    if (me.room !== null && !isAway) {
      isAway = true;
      log.system(`${asSentence(detail.reason)} Trying again by itself.`, "warn");
    }
  } else if (state === "stopped") {
    isAway = false;
    presence.reset();
    if (detail.reason) {
      log.system(`Stopped: ${detail.reason}.`, "warn");
    }
  }
  showState(state, detail);
}

function asSentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

function showState(state, { reason = "" } = {}) {
  const seconds = Math.max(1, Math.ceil((retryAt - performance.now()) / 1000));
  $("state-text").textContent = {
    connecting: "connecting …",
    connected: me.gateway ? `connected to ${me.gateway}` : "connected",
    waiting: `reconnecting in ${seconds} s`,
    stopped: reason ? `stopped: ${reason}` : "not connected",
  }[state];
  $("again").hidden = state !== "waiting" && !(state === "stopped" && me.room !== null);
  $("again").textContent = state === "waiting" ? "Try now" : "Connect";
}

setInterval(() => {
  if (connection.state === "waiting") {
    showState("waiting");
  }
}, 250);

function reconnect() {
  connection.wake();
  connection.start();
}

// ---- the room ----

const room = new Room(connection, {
  onEntered(name, { fresh, missed, offset }) {
    if (fresh) {
      log.system(me.gateway ? `You are in ${name}, on ${me.gateway}.` : `You are in ${name}.`);
      showPast(name, offset);
    } else if (isAway) {
      log.system(me.gateway ? `Back, on ${me.gateway}.` : "Back.");
    }
    if (missed !== 0) {
      log.system(describeMissed(missed), "warn");
    }
    isAway = false;
    // What was answered before the connection was lost will not come by any more.
    outbox.takeSent(name).forEach((item) => log.settle(item.element, {}));
    outbox.resume();
    presence.poll();
  },
  onRefused(name, error, final) {
    if (final) {
      leave(`You cannot enter ${name}: ${error.message} (${error.code}).`);
    } else if (!isAway) {
      isAway = true;
      log.system(`${name} is not ready: ${error.message}. Trying again by itself.`, "warn");
    }
  },
  onLeft: (name, reason) => leave(`You were taken out of ${name}: ${reason}.`),
  onPublication,
  onMoved: (_, push) => presence.moved(push),
});
const presence = new Presence(connection, room, people);

function describeMissed(missed) {
  if (Number.isNaN(missed)) {
    return "The room began to count anew: messages may have been missed.";
  }
  return missed === 1 ? "1 message was missed." : `${missed} messages were missed.`;
}

// The room is closed to us; the connection stays for another one.
function leave(text) {
  me.room = null;
  setTitle();
  log.system(text, "warn");
  complain("room", text);
  presence.reset();
  $("message").disabled = true;
  $("send").disabled = true;
  openPanel(narrow.matches);
}

async function showPast(name, offset) {
  const { visit } = presence;
  let publications = [];
  try {
    const params = { channel: name, limit: HISTORY_LIMIT, reverse: true };
    ({ publications = [] } = await connection.call("history", params, FETCH_MS));
  } catch {
    return; // a room without a past
  }
  if (visit === presence.visit) {
    const past = publications.filter((pub) => (pub.offset ?? 0) <= offset).reverse();
    log.addPast(past.map(readMessage));
  }
}

// ---- messages ----

const outbox = new Outbox(
  ({ id, room: channel, text }) =>
    connection.call("publish", { channel, data: { username: me.name, message: text, id } }),
  onItem,
);

function onItem(item) {
  if (item.state === "sent" && item.room !== me.room) {
    outbox.take(item.id); // nobody here will see it come by
  }
  const reason = item.error ? `${item.error.message} (${item.error.code})` : "";
  const retry = ["Retry", () => outbox.retry(item)];
  if (item.state === "retrying") {
    log.note(item.element, item.state, `not sent yet: ${reason}; trying again`, [retry]);
  } else if (item.state === "refused") {
    const discard = ["Discard", () => {
      outbox.take(item.id);
      log.remove(item.element);
    }];
    log.note(item.element, item.state, `not sent: ${reason}`, [retry, discard]);
  } else {
    log.note(item.element, item.state, item.state === "waiting" ? "waiting to be sent" : "");
  }
}

function sendMessage() {
  const field = $("message");
  const text = field.value.trim();
  complain("message", "");
  if (text === "" || me.room === null) {
    return;
  }
  if (outbox.isFull) {
    complain("message", `${OUTBOX_MAX} messages are waiting already.`);
    return;
  }
  const item = { id: randomId(), room: me.room, text: text.toWellFormed?.() ?? text };
  item.element = log.addPending({
    name: me.name, user: me.user, gateway: me.gateway, time: Date.now(), text, own: true,
  });
  field.value = "";
  outbox.add(item);
  if (item.state === "waiting") {
    onItem(item);
  }
}

function readMessage(publication) {
  const message = readPublication(publication);
  const isMe = message.user !== "" && message.user === me.user && message.name === me.name;
  return { ...message, own: isMe || clients.has(message.client) };
}

function onPublication(_, publication) {
  const message = readMessage(publication);
  const item = outbox.take(message.id);
  if (item) {
    log.settle(item.element, message);
    return;
  }
  if (log.add(message) && document.hidden) {
    unread += 1;
    setTitle();
  }
  presence.met(message.client);
}

function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// ---- the form ----

function complain(field, text) {
  $(`${field}-error`).textContent = text;
  if (text) {
    $(field).setAttribute("aria-invalid", "true");
  } else {
    $(field).removeAttribute("aria-invalid");
  }
  return text !== "";
}

function join() {
  const name = $("name").value.trim();
  const where = $("room").value.trim();
  const badName = complain("name", checkName(name));
  const badRoom = complain("room", checkRoom(where));
  if (badName || badRoom) {
    openPanel(narrow.matches);
    $(badName ? "name" : "room").focus();
    return;
  }
  remember("name", name);
  remember("room", where);
  const url = new URL(location.href);
  url.searchParams.set("room", where);
  history.replaceState(null, "", url);
  if (name !== me.asked) {
    connection.stop();
    me.asked = name;
    me.name = name;
  }
  if (where !== me.room) {
    enter(where);
  }
  document.body.dataset.joined = "yes";
  openPanel(false);
  $("message").disabled = false;
  $("send").disabled = false;
  if (!narrow.matches) {
    $("message").focus();
  }
  reconnect();
}

function enter(where) {
  me.room = where;
  isAway = false;
  log.clear();
  presence.reset();
  for (const item of outbox.items.filter((each) => each.room === where)) {
    item.element = log.addPending({
      name: me.name, user: me.user, gateway: "", time: Date.now(), text: item.text, own: true,
    });
    onItem(item);
  }
  setTitle();
  room.enter(where);
}

function setTitle() {
  $("title").textContent = me.room ?? "warren";
  document.title = (unread > 0 ? `(${unread}) ` : "") + (me.room ? `${me.room} · warren` : "warren");
}

// On a narrow screen the panel covers the room.
function openPanel(open) {
  document.body.dataset.panel = open ? "open" : "closed";
  document.querySelector("main").inert = open && narrow.matches;
  $("panel-open").setAttribute("aria-expanded", String(open));
}

// ---- the start ----

$("entry").addEventListener("submit", (event) => {
  event.preventDefault();
  join();
});
$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  sendMessage();
});
$("message").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    sendMessage();
  }
});
$("again").addEventListener("click", reconnect);
$("panel-open").addEventListener("click", () => {
  openPanel(true);
  $("panel-close").focus();
});
$("panel-close").addEventListener("click", () => {
  openPanel(false);
  $("panel-open").focus();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && document.body.dataset.panel === "open" && me.room !== null) {
    openPanel(false);
    $("panel-open").focus();
  }
});
narrow.addEventListener("change", () => openPanel(false));
// A page that is left may be kept by the browser, frozen, to be shown again. Nobody is in the
// room meanwhile.
addEventListener("pagehide", () => {
  isFrozen = connection.state !== "stopped";
  if (isFrozen) {
    connection.stop();
  }
});
addEventListener("pageshow", () => {
  if (isFrozen) {
    isFrozen = false;
    connection.start();
  }
});
addEventListener("online", () => connection.wake());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) {
    unread = 0;
    setTitle();
    connection.wake();
    presence.poll();
  }
});

const query = new URLSearchParams(location.search);
$("name").value = query.get("name") ?? remembered("name");
$("room").value = query.get("room") ?? (remembered("room") || "lobby");
$("message").disabled = true;
$("send").disabled = true;
if ($("name").value !== "") {
  join();
} else {
  $("name").focus();
}
