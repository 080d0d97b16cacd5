// Services of airssys: messages, state, configuration and log lines. What they are is in index.d.ts.

import { getAll, get as getConfigured } from "wasi:config/store@0.2.0-rc.1";
import { increment } from "wasi:keyvalue/atomics@0.2.0-draft";
import { deleteMany, getMany, setMany } from "wasi:keyvalue/batch@0.2.0-draft";
import { open } from "wasi:keyvalue/store@0.2.0-draft";
import { write } from "airssys:actor/log@0.1.0";
import * as messaging from "airssys:actor/messaging@0.1.0";

import { calling, configuring, sending, storing } from "./errors.js";
import { bytesOf, valueOf } from "./json.js";

export {
  AirssysError,
  CallError,
  ChildError,
  ConfigError,
  Fault,
  Internal,
  Invalid,
  Refused,
  SendError,
  StateError,
  Unavailable,
} from "./errors.js";

const milliseconds = (ms) => BigInt(Math.max(0, Math.ceil(ms)));

export const send = (to, body, { key } = {}) => sending(() => messaging.send(to, key, bytesOf(body)));

export const callBytes = (to, body, { timeout, key }) =>
  calling(() => messaging.call(to, key, bytesOf(body), milliseconds(timeout)));

export function call(to, body, options) {
  const answer = callBytes(to, body, options);
  return answer === undefined ? undefined : valueOf(answer, `the answer of ${to}`);
}

export const publish = (topic, body) => sending(() => messaging.publish(topic, bytesOf(body)));
export const subscribe = (pattern) => sending(() => messaging.subscribe(pattern));
export const unsubscribe = (pattern) => sending(() => messaging.unsubscribe(pattern));
export const sendAfter = (delay, body) => sending(() => messaging.sendAfter(milliseconds(delay), bytesOf(body)));
export const cancel = (timer) => messaging.cancel(timer);
export const selfAddress = () => messaging.selfAddress();

// Opened at the first use, kept for the life of the instance: opening costs a call of the host. Not while the component
// is made, where there is no host.
let opened;
const bucket = () => (opened ??= open("default"));

export const state = {
  getBytes: (key) => storing(() => bucket().get(key)),
  get(key) {
    const bytes = state.getBytes(key);
    return bytes === undefined ? undefined : valueOf(bytes, `the value of ${key}`);
  },
  set: (key, value) => storing(() => bucket().set(key, bytesOf(value))),
  delete: (key) => storing(() => bucket().delete(key)),
  has: (key) => storing(() => bucket().exists(key)),
  increment: (key, by = 1) => storing(() => increment(bucket(), key, BigInt(by))),
  *keys() {
    let cursor;
    do {
      const page = storing(() => bucket().listKeys(cursor));
      yield* page.keys;
      // A cursor that does not move would never end.
      cursor = page.cursor === cursor ? undefined : page.cursor;
    } while (cursor !== undefined);
  },
  getMany(keys) {
    const found = storing(() => getMany(bucket(), [...keys]));
    return found.map((pair) => (pair === undefined ? undefined : valueOf(pair[1], `the value of ${pair[0]}`)));
  },
  setMany(values) {
    const pairs = values instanceof Map ? [...values] : Object.entries(values);
    storing(() => setMany(bucket(), pairs.map(([key, value]) => [key, bytesOf(value)])));
  },
  deleteMany: (keys) => storing(() => deleteMany(bucket(), [...keys])),
};

export const config = {
  get: (key) => configuring(() => getConfigured(key)),
  all: () => Object.fromEntries(configuring(() => getAll())),
};

const line = (level) => (...parts) => write(level, parts.map((part) => shown(part)).join(" "));
const shown = (part) => {
  if (typeof part === "string") return part;
  if (part instanceof Error) return part.stack ? `${part}\n${part.stack}` : String(part);
  return JSON.stringify(part) ?? String(part);
};

export const log = {
  trace: line("trace"),
  debug: line("debug"),
  info: line("info"),
  warn: line("warn"),
  error: line("error"),
};
