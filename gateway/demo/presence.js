// Who is in the room: asked for on entering, then kept up to date by joins and leaves. These may be
// missed, so it is asked for again now and then, as long as somebody looks at the page.

import { asText, readPerson, readPresence } from "./reading.js";

const EVERY_MS = 10000;
const SOON_MS = 300;
const ANSWER_MS = 10000;
const ERROR_DENIED = 103;
const ERROR_TOO_MANY = 106;
const ERROR_NOT_AVAILABLE = 108;

export class Presence {
  // people: shows them.
  constructor(connection, room, people) {
    Object.assign(this, { connection, room, people });
    this.timer = 0;
    this.visit = 0; // counts rooms, so that a late answer about an old one is dropped
    this.refused = false;
    this.known = null; // client id -> person; null before the first answer, and of a crowd
    this.me = "";
  }

  // Another room, or none: what was shown is void.
  reset() {
    this.visit += 1;
    this.refused = false;
    this.known = null;
    this.people.clear();
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.poll(), SOON_MS);
  }

  // A message came from this client: asks soon if it is not known.
  met(client) {
    if (client !== "" && this.known !== null && !this.known.has(client)) {
      this.soon();
    }
  }

  // A join or leave push.
  moved({ join, leave }) {
    const info = (join ?? leave).info;
    const client = asText(info?.client);
    if (this.known === null || client === "") {
      return;
    }
    if (join) {
      this.known.set(client, readPerson(client, info));
    } else {
      this.known.delete(client);
    }
    this.people.show([...this.known.values()], this.me);
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
        this.known = new Map(readPresence(answer).map((person) => [person.client, person]));
        this.people.show([...this.known.values()], this.me);
      }
    } catch (error) {
      if (visit === this.visit) {
        this.#onRefused(channel, error);
      }
    }
  }

  #onRefused(channel, error) {
    if (error.code === ERROR_TOO_MANY) {
      this.known = null;
      this.#count(channel);
    } else if ([ERROR_DENIED, ERROR_NOT_AVAILABLE].includes(error.code)) {
      this.refused = true;
      this.known = null;
      this.people.clear("This room does not tell who is here.");
    }
  }

  // Too many to list: how many?
  async #count(channel) {
    const { visit } = this;
    try {
      const stats = await this.connection.call("presence_stats", { channel }, ANSWER_MS);
      if (visit === this.visit && Number.isSafeInteger(stats.num_clients)) {
        this.people.crowd(stats.num_clients);
      }
    } catch {
      // the next poll asks again
    }
  }
}
