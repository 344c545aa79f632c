// Asks again and again who is in the room, as long as somebody looks at the page.

import { readPresence } from "./reading.js";

const EVERY_MS = 4000;
const SOON_MS = 300;
const ANSWER_MS = 10000;
const ERROR_DENIED = 103;
const ERROR_NOT_AVAILABLE = 108;

export class Presence {
  // people: shows them.
  constructor(connection, room, people) {
    Object.assign(this, { connection, room, people });
    this.timer = 0;
    this.visit = 0; // counts rooms, so that a late answer about an old one is dropped
    this.refused = false;
    this.me = "";
  }

  // Another room, or none: what was shown is void.
  reset() {
    this.visit += 1;
    this.refused = false;
    this.people.clear();
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.poll(), SOON_MS);
  }

  // A message came from this client: asks soon if it is not known.
  met(client) {
    if (client !== "" && !this.people.clients.has(client)) {
      this.soon();
    }
  }

  async poll() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.poll(), EVERY_MS);
    const { visit } = this;
    const channel = this.room.inside;
    if (document.hidden || this.refused || channel === null) {
      return;
    }
    try {
      const answer = await this.connection.call("presence", { channel }, ANSWER_MS);
      if (visit === this.visit) {
        this.people.show(readPresence(answer), this.me);
      }
    } catch (error) {
      if (visit === this.visit && [ERROR_DENIED, ERROR_NOT_AVAILABLE].includes(error.code)) {
        this.refused = true;
        this.people.clear("This room does not tell who is here.");
      }
    }
  }
}
