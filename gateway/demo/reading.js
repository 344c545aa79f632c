// From what comes over the wire to what can be shown, whatever it holds: nothing of it is
// trusted to have the type or the size it should have.

const NAME_SHOWN_MAX = 128;
const TEXT_SHOWN_MAX = 8000;

// Strings stay, everything else is nothing.
export function asText(value) {
  return typeof value === "string" ? value.slice(0, NAME_SHOWN_MAX) : "";
}

// A publication as a message. The name is the one the gateway vouches for, if there is one, not
// the one the sender wrote into it. `key` is the same for a message that was sent twice.
export function readPublication({ data, info, offset, time }) {
  const user = asText(info?.user);
  const id = asText(data?.id);
  const isChat = typeof data?.message === "string";
  return {
    id,
    key: id && `${user}\n${id}`,
    client: asText(info?.client),
    user,
    name: asText(info?.conn_info?.name) || user || asText(data?.username) || "nameless",
    gateway: asText(info?.conn_info?.gateway),
    time: Number.isFinite(time) ? time : Date.now(),
    text: (isChat ? data.message : JSON.stringify(data) ?? "").slice(0, TEXT_SHOWN_MAX),
    offset: Number.isSafeInteger(offset) ? offset : 0,
  };
}

// Somebody who is in a room, by the info that presence, joins and leaves have.
export function readPerson(client, info) {
  return {
    client,
    name: asText(info?.conn_info?.name) || asText(info?.user) || "nameless",
    gateway: asText(info?.conn_info?.gateway),
  };
}

// The members in the answer to a presence command.
export function readPresence({ presence }) {
  return Object.entries(presence ?? {}).map(([client, info]) => readPerson(client, info));
}
