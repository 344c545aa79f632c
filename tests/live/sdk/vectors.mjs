// The golden vectors through the SDK's own Protobuf codec: replies decoded to what they say, and
// the SDK's bytes of commands. Vectors come in on standard input, answers go out as JSON.

import { Centrifuge } from 'centrifuge/build/protobuf';
import WebSocket from 'ws';

const codec = new Centrifuge('ws://127.0.0.1:1', { websocket: WebSocket })._codec;
const text = new TextDecoder();

// Payloads are bytes in Protobuf and JSON in JSON; 64-bit numbers are numbers here; the empty maps
// of the decoder stand for nothing.
function plain(value) {
  if (value instanceof Uint8Array) return value.length ? JSON.parse(text.decode(value)) : undefined;
  if (Array.isArray(value)) return value.map(plain);
  if (value && typeof value === 'object') {
    if (typeof value.toNumber === 'function') return value.toNumber();
    return Object.fromEntries(Object.keys(value)
      .filter((key) => !['subs', 'tags'].includes(key) || Object.keys(value[key]).length > 0)
      .map((key) => [key, plain(value[key])]));
  }
  return value;
}

function pack(command) {
  for (const body of Object.values(command)) {
    if (body.data !== undefined) body.data = new TextEncoder().encode(JSON.stringify(body.data));
  }
  return command;
}

let input = '';
for await (const part of process.stdin) input += part;
const { replies, commands } = JSON.parse(input);
console.log(JSON.stringify({
  replies: replies.map((hex) => codec.decodeReplies(Buffer.from(hex, 'hex')).map(plain)),
  commands: commands.map((one) => Buffer.from(codec.encodeCommands([pack(one)])).toString('hex')),
}));
