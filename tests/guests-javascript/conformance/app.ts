// The guest of the conformance suite, in TypeScript. What it does is described in `tests/conformance/README.md`, and is
// the same in each language.

import { call, cancel, config, Invalid, log, publish, selfAddress, send, sendAfter, state } from "airssys";
import { subscribe, unsubscribe } from "airssys";
import type { Down, Message, Snapshot, Timer } from "airssys";
import { demonitor, link, monitor, spawn, stop as stopChild } from "airssys/children";
import { exitWithCode } from "wasi:cli/exit@0.2.12";

import { environment, textOf } from "./machine";
import { faults, told } from "./refusal";

type Command = { do: string; [field: string]: any };

// What the instance holds in its own memory.
let count = 0;
let remembered: unknown = null;
let timer: Timer | undefined;

export async function handle(message: Message): Promise<unknown> {
  count += 1;
  const command = message.json();
  return command?.do === "nothing" ? undefined : perform(command, message);
}

export const init = () => performConfigured("on-init");
export const check = () => performConfigured("on-check");

export function stop(reason: string): void {
  const to = config.get("on-stop");
  if (to !== undefined) send(to, { do: "append", key: "stopped", value: reason });
}

export async function snapshot(): Promise<unknown> {
  await performConfigured("on-snapshot");
  return remembered;
}

export async function restore(snapshot: Snapshot): Promise<void> {
  await performConfigured("on-restore");
  remembered = snapshot.json();
}

export async function migrate(from: number): Promise<void> {
  state.set("migrated-from", from);
  await performConfigured("on-migrate");
}

export function down({ child, reason, crash, restarted }: Down): void {
  append("downs", { child, reason: crash ? `${reason}/${crash.code}` : reason, restarted });
}

/** Performs the command that stands under this key of the configuration, where there is one. */
async function performConfigured(key: string): Promise<void> {
  const text = config.get(key);
  if (text !== undefined) await perform(JSON.parse(text));
}

/** What comes of a command. An error of the host is answered; only `fault` makes a fault. */
async function perform(command: Command, message?: Message): Promise<unknown> {
  if (command?.do === "all") {
    const answers = [];
    for (const each of command.of) answers.push(await perform(each, message));
    return answers;
  }
  const act = typeof command?.do === "string" && Object.hasOwn(ACTS, command.do) ? ACTS[command.do] : undefined;
  if (act === undefined) throw new Invalid(`no command: ${JSON.stringify(command)}`);
  return (await act(command, message)) ?? null;
}

type Act = (command: Command, message?: Message) => unknown;

const ACTS: Record<string, Act> = {
  echo: ({ value }) => value,
  count: () => count,
  context: (_, message) => message && seen(message),
  address: () => selfAddress(),
  remember: ({ value }) => void (remembered = value),
  recall: () => remembered,
  fault: ({ kind, reason }) => {
    throw new faults[kind](reason);
  },
  "fault-if-set": ({ key, kind, reason }) => {
    if (state.has(key)) throw new faults[kind](reason);
  },
  "keep-context": ({ key }, message) => told(() => state.set(key, message ? seen(message) : null)),
  "tell-attempt": ({ to }, message) => {
    call(to, { do: "append", key: "attempts", value: message?.attempt ?? 0 }, { timeout: 60_000 });
  },
  trap: () => (undefined as any).field,
  exit: ({ status }) => exitWithCode(status),
  spin: () => {
    for (;;);
  },
  sleep: ({ ms }) => new Promise((done) => void setTimeout(() => done(null), ms)),
  get: ({ key }) => told(() => state.get(key)),
  set: ({ key, value }) => told(() => state.set(key, value)),
  delete: ({ key }) => told(() => state.delete(key)),
  exists: ({ key }) => told(() => state.has(key)),
  increment: ({ key, by }) => told(() => Number(state.increment(key, by))),
  keys: () => told(() => [...state.keys()].sort()),
  "get-many": ({ keys }) => told(() => state.getMany(keys).map((value) => value ?? null)),
  "set-many": ({ values }) => told(() => state.setMany(values)),
  "delete-many": ({ keys }) => told(() => state.deleteMany(keys)),
  append: ({ key, value }) => told(() => append(key, value)),
  send: ({ to, body, key }) => told(() => send(to, body, { key })),
  call: ({ to, body, key, timeout_ms }) => told(() => call(to, body, { key, timeout: timeout_ms })),
  publish: ({ topic, body }) => told(() => publish(topic, body)),
  subscribe: ({ pattern }) => told(() => subscribe(pattern)),
  unsubscribe: ({ pattern }) => told(() => unsubscribe(pattern)),
  "send-after": ({ delay_ms, body }) => told(() => void (timer = sendAfter(delay_ms, body))),
  cancel: () => timer !== undefined && cancel(timer),
  log: ({ level, line }) => log[level as keyof typeof log](line),
  config: ({ key }) => told(() => config.get(key)),
  "config-all": () => told(() => config.all()),
  spawn: ({ service, name }) => told(() => spawn(service, name)),
  stop: ({ child }) => told(() => stopChild(child)),
  monitor: ({ child }) => told(() => monitor(child)),
  demonitor: ({ child }) => told(() => demonitor(child)),
  link: ({ child }) => told(() => link(child)),
  environment: ({ name }) => environment(name),
  "read-file": ({ path }) => textOf(path),
};

function append(key: string, value: unknown): number {
  const all: unknown[] = state.get(key) ?? [];
  all.push(value);
  state.set(key, all);
  return all.length;
}

/** What a handler is told of a message, but for its body. */
function seen({ sender, key, delivery, topic, left, attempt }: Message): unknown {
  return {
    address: selfAddress(),
    sender: sender ?? null,
    key: key ?? null,
    delivery,
    topic: topic ?? null,
    "has-time": left !== undefined && left > 0,
    attempt,
  };
}
