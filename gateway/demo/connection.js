// One connection to a gateway by the Centrifuge JSON protocol, which comes back by itself.
//
// It promises: a command is answered exactly once, with a result or a CallError; after stop() or
// a final refusal nothing more is tried. It knows no rooms: pushes are handed on as they come.

const DELAY_MIN_MS = 500;
const DELAY_MAX_MS = 20000;
const STEADY_MS = 5000; // a connection that lived this long starts the delays from the beginning
const PING_GRACE_MS = 10000;
const TIMER_MAX_MS = 2 ** 31 - 1;

export const ANSWER_MS = 10000; // where silence for this long means a dead connection

export const ERROR_TOKEN_EXPIRED = 109;
const CLOSE_TOO_BIG = 1009;
export const CLOSE_STATE_INVALIDATED = 3014;

// A command that was not answered with a result. `lost`: the connection went away first, and
// nobody knows what became of it. Code 0: no answer in time.
export class CallError extends Error {
  constructor({ code = 0, message = "", temporary = false, lost = false }) {
    super(message || `error ${code}`);
    this.code = code;
    this.temporary = temporary;
    this.lost = lost;
  }
}

// "Full jitter": anywhere between the least delay and a ceiling that doubles with every attempt.
export function backoff(attempt) {
  const ceiling = Math.min(DELAY_MAX_MS, DELAY_MIN_MS * 2 ** Math.min(attempt + 1, 16));
  return DELAY_MIN_MS + Math.random() * (ceiling - DELAY_MIN_MS);
}

// Whether the protocol says not to come back after this close code.
function isFinalClose(code) {
  return code === CLOSE_TOO_BIG || (code >= 3500 && code < 4000) || (code >= 4500 && code < 5000);
}

export class Connection {
  // url: of the WebSocket. getToken: async, gives the text; an error with `final` set is not
  // retried. onState(state, detail) tells: "connecting", "connected" {gateway, client},
  // "waiting" {reason, delay, code}, "stopped" {reason, code}. onPush(push) gets what the gateway
  // says unasked.
  constructor({ url, getToken, name, onState, onPush }) {
    Object.assign(this, { url, getToken, name, onState, onPush });
    this.state = "stopped";
    this.socket = null;
    this.attempt = 0;
    this.openedAt = 0;
    this.turn = 0; // counts attempts, so that a late token of an old one is not used
    this.pingMs = 0;
    this.pong = false;
    this.nextId = 1;
    this.calls = new Map(); // id -> {method, done, timer}
    this.retryTimer = 0;
    this.silenceTimer = 0;
    this.refreshTimer = 0;
  }

  start() {
    if (this.state === "stopped") {
      this.attempt = 0;
      this.#open();
    }
  }

  stop() {
    this.#drop();
    this.#tell("stopped", { reason: "", code: 0 });
  }

  // Does not wait any longer for the next attempt.
  wake() {
    if (this.state === "waiting") {
      this.#open();
    }
  }

  // Drops the connection, for good or until the next attempt.
  fail(reason, { final = false, code = 0 } = {}) {
    if (this.state === "connected" && performance.now() - this.openedAt > STEADY_MS) {
      this.attempt = 0;
    }
    this.#drop();
    if (final) {
      this.#tell("stopped", { reason, code });
      return;
    }
    const delay = backoff(this.attempt);
    this.attempt += 1;
    this.retryTimer = setTimeout(() => this.#open(), delay);
    this.#tell("waiting", { reason, code, delay });
  }

  // Sends a command. done(error, result) is called in the order of the answers, before anything
  // that came after them is looked at. A timeout of 0 waits as long as the connection lives.
  request(method, params, timeout, done) {
    if (this.socket?.readyState !== WebSocket.OPEN) {
      done(new CallError({ message: "not connected", temporary: true, lost: true }));
      return;
    }
    const id = this.nextId++;
    const call = { method, done, timer: 0 };
    if (timeout > 0) {
      call.timer = setTimeout(() => {
        this.calls.delete(id);
        done(new CallError({ message: "no answer", temporary: true }));
      }, timeout);
    }
    this.calls.set(id, call);
    this.#send({ id, [method]: params });
  }

  // The same as a promise.
  call(method, params, timeout = 0) {
    return new Promise((resolve, reject) => {
      this.request(method, params, timeout, (error, result) => {
        if (error) {
          reject(error);
        } else {
          resolve(result);
        }
      });
    });
  }

  #tell(state, detail = {}) {
    this.state = state;
    this.onState(state, detail);
  }

  #send(command) {
    if (this.socket?.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify(command));
    }
  }

  // ---- opening and ending ----

  async #open() {
    this.#drop();
    const turn = this.turn;
    this.#tell("connecting");
    let token;
    try {
      token = await this.getToken();
    } catch (error) {
      if (turn === this.turn) {
        this.fail(error.message, { final: Boolean(error.final) });
      }
      return;
    }
    if (turn === this.turn) {
      this.#openSocket(token);
    }
  }

  #openSocket(token) {
    const socket = new WebSocket(this.url);
    this.socket = socket;
    this.silenceTimer = setTimeout(() => this.fail("no answer from the gateway"), ANSWER_MS);
    const when = (type, react) => socket.addEventListener(type, (event) => {
      if (socket === this.socket) {
        react(event);
      }
    });
    when("open", () => this.request("connect", { token, name: this.name }, 0,
      (error, result) => this.#onConnect(error, result)));
    when("message", (event) => this.#onFrame(event.data));
    when("close", (event) => this.#onClose(event.code, event.reason));
  }

  // Forgets the connection and everything that waits for it.
  #drop() {
    this.turn += 1;
    clearTimeout(this.retryTimer);
    clearTimeout(this.silenceTimer);
    clearTimeout(this.refreshTimer);
    const socket = this.socket;
    const calls = [...this.calls.values()];
    this.socket = null;
    this.calls.clear();
    this.pingMs = 0;
    this.pong = false;
    socket?.close();
    for (const call of calls) {
      clearTimeout(call.timer);
      call.done(new CallError({ message: "connection lost", temporary: true, lost: true }));
    }
  }

  #onClose(code, reason) {
    if (code < 3000 && code !== CLOSE_TOO_BIG) {
      this.fail("connection lost", { code });
    } else {
      const text = `${reason || "closed by the gateway"} (${code})`;
      this.fail(text, { final: isFinalClose(code), code });
    }
  }

  #onConnect(error, result) {
    if (error) {
      if (!error.lost) {
        const again = error.temporary || error.code === ERROR_TOKEN_EXPIRED;
        this.fail(`${error.message} (${error.code})`, { final: !again, code: error.code });
      }
      return;
    }
    this.pingMs = (result.ping ?? 0) * 1000;
    this.pong = Boolean(result.pong);
    this.openedAt = performance.now();
    this.#planRefresh(result);
    clearTimeout(this.silenceTimer);
    this.#listen();
    this.#tell("connected", {
      gateway: String(result.data?.gateway ?? ""),
      client: String(result.client ?? ""),
    });
  }

  // A connection that ends with its token is given a new one in time.
  #planRefresh({ expires, ttl }) {
    clearTimeout(this.refreshTimer);
    if (!expires || !(ttl > 0)) {
      return;
    }
    const turn = this.turn;
    this.refreshTimer = setTimeout(async () => {
      try {
        const token = await this.getToken();
        if (turn === this.turn) {
          this.#planRefresh(await this.call("refresh", { token }, ANSWER_MS));
        }
      } catch (error) {
        if (turn === this.turn && !error.lost) {
          this.fail(error.message, { final: Boolean(error.final) });
        }
      }
    }, Math.min(ttl * 1000, TIMER_MAX_MS));
  }

  // ---- what comes in ----

  // The clock of the gateway's silence begins again; it runs only where pings were promised.
  #listen() {
    if (this.pingMs > 0) {
      clearTimeout(this.silenceTimer);
      this.silenceTimer = setTimeout(() => this.fail("the gateway fell silent"),
        this.pingMs + PING_GRACE_MS);
    }
  }

  #onFrame(data) {
    this.#listen();
    const socket = this.socket;
    let replies;
    try {
      replies = data.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
    } catch {
      this.fail("the gateway's answer cannot be read");
      return;
    }
    for (const reply of replies) {
      if (socket !== this.socket) {
        return;
      }
      try {
        this.#onReply(Object(reply));
      } catch (error) {
        reportError(error); // a fault of the page must not cost the replies behind this one
      }
    }
  }

  #onReply(reply) {
    if (reply.push) {
      if (reply.push.disconnect) {
        this.#onClose(reply.push.disconnect.code ?? 0, reply.push.disconnect.reason);
      } else {
        this.onPush(reply.push);
      }
    } else if (reply.id) {
      const call = this.calls.get(reply.id);
      if (call) {
        this.calls.delete(reply.id);
        clearTimeout(call.timer);
        call.done(reply.error ? new CallError(reply.error) : null, reply[call.method] ?? {});
      }
    } else if (this.pong) {
      this.#send({});
    }
  }
}
