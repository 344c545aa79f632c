// Follows one room at a time over a connection, with its position.
//
// It promises: every publication of the room is given once and in order; what was missed while
// the connection was away is either given (recovered) or counted.

import { ANSWER_MS, CLOSE_STATE_INVALIDATED, ERROR_TOKEN_EXPIRED, backoff } from "./connection.js";

const LEFT_RESUBSCRIBE = 2500; // unsubscribe pushes from here on ask to come again
const LEFT_INVALIDATED = 2502;

export class Room {
  // handlers: onEntered(room, {fresh, missed, offset}), onRefused(room, error, final),
  // onLeft(room, reason), onPublication(room, pub), onMoved(room, push). `missed` counts the publications that
  // nobody will give us any more; NaN where the room's numbering began anew.
  constructor(connection, handlers) {
    this.connection = connection;
    this.handlers = handlers;
    this.wanted = null; // where we want to be
    this.inside = null; // where the gateway knows us to be
    this.position = null; // {epoch, offset, valid} in `wanted`; null before the first subscribe
    this.live = false;
    this.busy = false; // a subscribe or unsubscribe is on its way
    this.attempt = 0;
    this.timer = 0;
  }

  // Goes to another room, or to none with null. The position in the old one is forgotten.
  enter(room) {
    if (room !== this.wanted) {
      this.wanted = room;
      this.position = null;
    }
    this.attempt = 0;
    this.#settle();
  }

  connected() {
    this.live = true;
    this.#settle();
  }

  lost(code) {
    clearTimeout(this.timer);
    this.live = false;
    this.busy = false;
    this.inside = null;
    if (code === CLOSE_STATE_INVALIDATED) {
      this.#invalidate();
    }
  }

  push(push) {
    if (push.channel !== this.inside) {
      return;
    }
    if (push.pub) {
      this.#onPublication(push.pub);
    } else if (push.join || push.leave) {
      this.handlers.onMoved(this.inside, push);
    } else if (push.unsubscribe) {
      this.#onUnsubscribe(push.unsubscribe);
    }
  }

  #invalidate() {
    if (this.position !== null) {
      this.position.valid = false;
    }
  }

  // One step from where the gateway knows us to be towards where we want to be.
  #settle() {
    if (!this.live || this.busy || this.inside === this.wanted) {
      return;
    }
    clearTimeout(this.timer);
    this.busy = true;
    if (this.inside !== null) {
      const channel = this.inside;
      this.inside = null;
      this.connection.request("unsubscribe", { channel }, ANSWER_MS, (error) => {
        if (!error?.lost) {
          this.busy = false;
          this.#settle();
        }
      });
    } else {
      this.#subscribe(this.wanted);
    }
  }

  #subscribe(channel) {
    const params = { channel, recoverable: true, positioned: true, join_leave: true };
    if (this.position?.valid) {
      const { epoch, offset } = this.position;
      Object.assign(params, { recover: true, offset, epoch });
    }
    this.connection.request("subscribe", params, ANSWER_MS, (error, result) => {
      if (error?.lost) {
        return;
      }
      this.busy = false;
      if (error) {
        this.#onRefused(channel, error);
        return;
      }
      this.inside = channel;
      if (channel === this.wanted) {
        this.#onSubscribed(result);
      } else {
        this.#settle();
      }
    });
  }

  #again() {
    this.timer = setTimeout(() => this.#settle(), backoff(this.attempt));
    this.attempt += 1;
  }

  #onRefused(channel, error) {
    if (error.code === 0) {
      this.connection.fail("no answer from the gateway");
    } else if (channel !== this.wanted) {
      this.#settle();
    } else if (error.temporary || error.code === ERROR_TOKEN_EXPIRED) {
      this.#again();
      this.handlers.onRefused(channel, error, false);
    } else {
      this.wanted = null;
      this.position = null;
      this.handlers.onRefused(channel, error, true);
    }
  }

  #onSubscribed({ epoch = "", offset = 0, recovered = false, publications = [] }) {
    const before = this.position;
    const fresh = before === null;
    let missed = 0;
    this.attempt = 0;
    if (fresh) {
      this.position = { epoch, offset, valid: true };
    } else if (recovered) {
      publications.forEach((pub) => this.#onPublication(pub));
      const seen = Math.max(before.offset, offset);
      this.position = { epoch: epoch || before.epoch, offset: seen, valid: true };
    } else if (before.epoch === epoch || before.epoch === "") {
      // A room nobody had spoken in yet has no epoch; its first one goes on from there.
      missed = Math.max(0, offset - before.offset);
      this.position = { epoch, offset: Math.max(before.offset, offset), valid: true };
    } else {
      // A new epoch counts from 1: nobody can tell how many the old one had.
      missed = before.offset === 0 && offset === 0 ? 0 : NaN;
      this.position = { epoch, offset, valid: true };
    }
    this.handlers.onEntered(this.inside, { fresh, missed, offset });
  }

  #onPublication(pub) {
    const offset = pub.offset ?? 0;
    if (offset > 0) {
      if (offset <= this.position.offset) {
        return;
      }
      this.position.offset = offset;
    }
    this.handlers.onPublication(this.inside, pub);
  }

  #onUnsubscribe({ code = 0, reason = "" }) {
    const room = this.inside;
    this.inside = null;
    if (room !== this.wanted) {
      return;
    }
    if (code >= LEFT_RESUBSCRIBE) {
      if (code === LEFT_INVALIDATED) {
        this.#invalidate();
      }
      this.#again();
    } else {
      this.wanted = null;
      this.position = null;
      this.handlers.onLeft(room, `${reason || "left by the gateway"} (${code})`);
    }
  }
}
