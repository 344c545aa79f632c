// A client on the real JavaScript SDK, driven by lines of JSON: commands come in
// on standard input, results and events go out on standard output.

import readline from 'node:readline';
import { Centrifuge as CentrifugeJson } from 'centrifuge';
import { Centrifuge as CentrifugeProtobuf } from 'centrifuge/build/protobuf';
import WebSocket from 'ws';

const [url, token, codec] = process.argv.slice(2);
const Centrifuge = codec === 'protobuf' ? CentrifugeProtobuf : CentrifugeJson;

// What the Protobuf build takes and gives are bytes: here, too, they are JSON.
const pack = (data) => (codec === 'protobuf' ? new TextEncoder().encode(JSON.stringify(data)) : data);
const parse = (bytes) => (bytes.length > 0 ? JSON.parse(new TextDecoder().decode(bytes)) : undefined);
const unpack = (data) => (data instanceof Uint8Array ? parse(data) : data);
const unpackInfo = (info) => info && {
  ...info, connInfo: unpack(info.connInfo), chanInfo: unpack(info.chanInfo),
};
const say = (event, more = {}) => console.log(JSON.stringify({ event, ...more }));

// What goes over the wire as text, both ways: it is held against the schemas.
class Overheard extends WebSocket {
  constructor(...where) {
    super(...where);
    this.on('message', (text, isBinary) => isBinary || say('told', { text: String(text) }));
  }

  send(text, ...more) {
    if (typeof text === 'string') say('says', { text });
    super.send(text, ...more);
  }
}

// A token that the SDK asks for is asked of whoever drives it.
const askers = [];
const getToken = ({ channel } = {}) => new Promise((resolve) => {
  askers.push(resolve);
  say('getToken', { channel });
});

const client = new Centrifuge(url, {
  websocket: Overheard,
  token: token || '',
  ...(token ? { getToken } : {}),
  minReconnectDelay: 50,
  maxReconnectDelay: 500,
});
client.on('connecting', (c) => say('connecting', { code: c.code, reason: c.reason }));
client.on('connected', (c) => say('connected', { client: c.client, data: unpack(c.data) }));
client.on('disconnected', (c) => say('disconnected', { code: c.code, reason: c.reason }));
client.on('error', (c) => say('error', { code: c.error.code }));
client.on('message', (c) => say('message', { data: unpack(c.data) }));
// Of rooms that the server has put it into.
client.on('subscribed', (c) => say('serverSubscribed', {
  channel: c.channel, recovered: c.recovered, wasRecovering: c.wasRecovering,
  data: unpack(c.data),
}));
client.on('publication', (c) => say('serverPublication', {
  channel: c.channel, data: unpack(c.data),
}));
client.on('unsubscribed', (c) => say('serverUnsubscribed', { channel: c.channel }));
client.on('join', (c) => say('serverJoin', { channel: c.channel, info: unpackInfo(c.info) }));

function subscribe(channel, { withToken, ...options }) {
  const sub = client.newSubscription(channel, {
    recoverable: true, positioned: true, ...(withToken ? { getToken } : {}), ...options,
  });
  sub.on('subscribing', (c) => say('subscribing', { channel, code: c.code }));
  sub.on('subscribed', (c) => say('subscribed', {
    channel, recoverable: c.recoverable, recovered: c.recovered, wasRecovering: c.wasRecovering,
    offset: c.streamPosition?.offset, epoch: c.streamPosition?.epoch,
  }));
  sub.on('publication', (c) => say('publication', {
    channel, data: unpack(c.data), offset: c.offset, info: unpackInfo(c.info),
  }));
  sub.on('join', (c) => say('join', { channel, info: unpackInfo(c.info) }));
  sub.on('leave', (c) => say('leave', { channel, info: unpackInfo(c.info) }));
  sub.on('unsubscribed', (c) => say('unsubscribed', { channel, code: c.code }));
  sub.subscribe();
}

const actions = {
  connect: () => client.connect(),
  disconnect: () => client.disconnect(),
  subscribe: ({ channel, ...options }) => subscribe(channel, options),
  token: ({ token: given }) => askers.shift()(given),
  send: ({ data }) => client.send(pack(data)),
  unsubscribe: ({ channel }) => client.getSubscription(channel).unsubscribe(),
  publish: ({ channel, data }) => client.publish(channel, pack(data)),
  rpc: async ({ method, data }) => ({ data: unpack((await client.rpc(method, pack(data))).data) }),
  presence: ({ channel }) => client.presence(channel),
  presenceStats: ({ channel }) => client.presenceStats(channel),
  history: async ({ channel, ...options }) => {
    const { publications, ...position } = await client.history(channel, options);
    return {
      ...position,
      publications: publications.map((p) => ({
        ...p, data: unpack(p.data), info: unpackInfo(p.info),
      })),
    };
  },
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { id, action, ...more } = JSON.parse(line);
  try {
    say('result', { id, result: (await actions[action](more)) ?? null });
  } catch (error) {
    say('result', { id, error: { code: error.code, message: error.message } });
  }
}
client.disconnect();
