// Messages on their way out: kept until they were seen in the room, sent one at a time and in
// order, and sent again when the connection was lost before the answer.
//
// Every message carries an id of its own, by which it is known again in the room: so one that
// was sent twice because nobody knew its fate is shown once.

import { backoff } from "./connection.js";

const GRACE_MS = 1500; // after a reconnect, for a message of unknown fate to show up by itself

export const OUTBOX_MAX = 100;

export class Outbox {
  // publish(item): promise, resolved once the gateway answers with success. changed(item): its
  // state is another now. Item: {id, room, text, state, error, tries}; its states: "waiting",
  // "sending", "sent" (answered, not seen yet), "retrying" (refused for now), "refused".
  constructor(publish, changed) {
    this.publish = publish;
    this.changed = changed;
    this.items = [];
    this.open = false;
    this.busy = false;
    this.turn = 0; // counts connections: an answer of an old one must not be mixed up
    this.timer = 0; // not 0: what is due waits until then
  }

  get isFull() {
    return this.items.length >= OUTBOX_MAX;
  }

  add(item) {
    this.items.push(Object.assign(item, { state: "waiting", error: null, tries: 0, unsure: false }));
    if (this.timer === 0) {
      this.#pump();
    }
    return item;
  }

  // The connection is there, and the room has caught up with what was missed.
  resume() {
    this.open = true;
    this.#later(this.items.some((item) => item.unsure) ? GRACE_MS : 0);
  }

  suspend() {
    this.#hurry();
    this.open = false;
    this.busy = false;
    this.turn += 1;
    for (const item of this.items) {
      if (item.state === "sending") {
        item.unsure = true;
      }
      if (item.state === "sending" || item.state === "retrying") {
        this.#set(item, "waiting");
      }
    }
  }

  // A publication with this id was seen in the room, or will never be: gives the item, or null.
  take(id) {
    const index = this.items.findIndex((item) => item.id === id);
    return index < 0 ? null : this.items.splice(index, 1)[0];
  }

  // Answered ones of a room that are not going to be seen any more: gives them.
  takeSent(room) {
    const sent = this.items.filter((item) => item.room === room && item.state === "sent");
    this.items = this.items.filter((item) => !sent.includes(item));
    return sent;
  }

  // Does not wait any longer.
  retry(item) {
    if (item.state === "retrying" || item.state === "refused") {
      this.#hurry();
      this.#set(item, "waiting");
      this.#pump();
    }
  }

  #hurry() {
    clearTimeout(this.timer);
    this.timer = 0;
  }

  #set(item, state, error = null) {
    item.state = state;
    item.error = error;
    this.changed(item);
  }

  #later(delay) {
    this.#hurry();
    this.timer = setTimeout(() => {
      this.timer = 0;
      this.#pump();
    }, delay);
  }

  // Sends the first that is due. One that is refused for now holds back those behind it, so that
  // they keep their order; one that is refused for good does not.
  async #pump() {
    const item = this.items.find((each) => each.state === "waiting" || each.state === "retrying");
    if (!this.open || this.busy || !item) {
      return;
    }
    const turn = this.turn;
    this.busy = true;
    this.#set(item, "sending");
    let error = null;
    try {
      await this.publish(item);
    } catch (caught) {
      error = caught;
    }
    if (turn !== this.turn) {
      return; // suspend() has already said what becomes of it
    }
    this.busy = false;
    if (!this.items.includes(item)) {
      this.#pump(); // seen in the room before it was answered
    } else if (error === null) {
      item.unsure = false;
      this.#set(item, "sent");
      this.#pump();
    } else if (error.temporary) {
      item.tries += 1;
      this.#set(item, "retrying", error);
      this.#later(backoff(item.tries));
    } else {
      this.#set(item, "refused", error);
      this.#pump();
    }
  }
}
