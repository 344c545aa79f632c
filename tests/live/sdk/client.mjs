// A client on the real JavaScript SDK, driven by lines of JSON: commands come in
// on standard input, results and events go out on standard output.

import readline from 'node:readline';
import { Centrifuge } from 'centrifuge';
import WebSocket from 'ws';

const [url, token] = process.argv.slice(2);
const say = (event, more = {}) => console.log(JSON.stringify({ event, ...more }));

const client = new Centrifuge(url, {
  websocket: WebSocket,
  token: token || '',
  minReconnectDelay: 50,
  maxReconnectDelay: 500,
});
client.on('connecting', (c) => say('connecting', { code: c.code, reason: c.reason }));
client.on('connected', (c) => say('connected', { client: c.client, data: c.data }));
client.on('disconnected', (c) => say('disconnected', { code: c.code, reason: c.reason }));
client.on('error', (c) => say('error', { code: c.error.code }));

function subscribe(channel) {
  const sub = client.newSubscription(channel, { recoverable: true, positioned: true });
  sub.on('subscribing', (c) => say('subscribing', { channel, code: c.code }));
  sub.on('subscribed', (c) => say('subscribed', {
    channel, recoverable: c.recoverable, recovered: c.recovered, wasRecovering: c.wasRecovering,
    offset: c.streamPosition?.offset, epoch: c.streamPosition?.epoch,
  }));
  sub.on('publication', (c) => say('publication', {
    channel, data: c.data, offset: c.offset, info: c.info,
  }));
  sub.on('unsubscribed', (c) => say('unsubscribed', { channel, code: c.code }));
  sub.subscribe();
}

const actions = {
  connect: () => client.connect(),
  disconnect: () => client.disconnect(),
  subscribe: ({ channel }) => subscribe(channel),
  unsubscribe: ({ channel }) => client.getSubscription(channel).unsubscribe(),
  publish: ({ channel, data }) => client.publish(channel, data),
  rpc: ({ method, data }) => client.rpc(method, data),
  presence: ({ channel }) => client.presence(channel),
  presenceStats: ({ channel }) => client.presenceStats(channel),
  history: ({ channel, ...options }) => client.history(channel, options),
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
