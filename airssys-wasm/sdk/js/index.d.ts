/**
 * Services of airssys in JavaScript and TypeScript.
 *
 * A service is a module. It exports `handle`, and maybe more of what `Service` has:
 *
 * ```js
 * import { Refused, state } from "airssys";
 *
 * export function handle(message) {
 *   const { sku, qty } = message.json();
 *   const left = state.get(sku) ?? 0;
 *   if (qty > left) throw new Refused(`only ${left} of ${sku} are left`);
 *   state.set(sku, left - qty);
 *   return { sku, left: left - qty };
 * }
 * ```
 *
 * The handling of one message is a turn. State writes, sends, publishes, timers and what is done to children are held
 * back: they happen together when the handler returns, and not at all when it throws. A `call` and `cancel` are not.
 *
 * What is thrown and is a `Fault` is an ordinary answer, and the instance lives on. So are the other errors of this
 * package, which become the fault that fits. Anything else that is thrown is a crash: the instance ends, the supervisor
 * decides, and the stack is in the service's log. A handler may be `async`; no other message is handled meanwhile.
 *
 * Bodies and values: a `Uint8Array` is its bytes, anything else is written as JSON.
 */

/** What a module may export. `build.mjs` makes the world of the component of what is there. */
export interface Service {
  /** Handles a message. What it returns is the answer; `undefined` is one without a body. */
  handle(message: Message): unknown;
  /** Called once, before the first message, in every new instance. What is thrown is a failed start. */
  init?(): void | Promise<void>;
  /** Called once, after the last message, where the instance is stopped in order. */
  stop?(reason: "shutdown" | "restart" | "idle"): void | Promise<void>;
  /** Whether this instance can do its work: it throws where not. Its effects are always discarded. */
  check?(): void | Promise<void>;
  /** What is worth keeping of this instance's memory, for the release that takes over; `undefined` is nothing. */
  snapshot?(): unknown;
  /** Takes what the release before handed over: after `init`, before the first message. */
  restore?(snapshot: Snapshot): void | Promise<void>;
  /** Brings the stored state from another release's schema to this one's own. */
  migrate?(from: number): void | Promise<void>;
  /** Called once for each child that was monitored and has ended. */
  down?(notice: Down): void | Promise<void>;
}

export interface Message {
  /** Unique while the host runs. */
  readonly id: bigint;
  /** The address of the service that sent it; `undefined` from outside of the mesh. */
  readonly sender: string | undefined;
  /** The key it is addressed to. */
  readonly key: string | undefined;
  readonly delivery: "send" | "call" | "publish" | "timer";
  /** The milliseconds that are left to answer a call. */
  readonly left: number | undefined;
  /** What it was published on. */
  readonly topic: string | undefined;
  /** Which timer has run out. */
  readonly timer: Timer | undefined;
  /** How often its handling was begun before and ended in a crash. */
  readonly attempt: number;
  readonly body: Uint8Array;
  /** The body, as the JSON that it has to be. Throws `Invalid` where it is none. */
  json(): any;
  text(): string;
}

export interface Snapshot {
  readonly bytes: Uint8Array;
  /** Throws `Invalid` where it is no JSON. */
  json(): any;
}

export interface Down {
  readonly child: string;
  readonly reason: "normal" | "stopped" | "killed" | "crashed" | "no-child";
  readonly crash: { readonly code: string; readonly detail: string } | undefined;
  /** Whether its supervisor has started it again. */
  readonly restarted: boolean;
}

/** Names one timer of this service. */
export type Timer = bigint;

/**
 * Sends a message that nobody waits for. It leaves when the turn commits; its room is taken now. With a `key`, that of a
 * partitioned pool.
 *
 * @throws {SendError}
 */
export function send(to: string, body: unknown, options?: { key?: string }): void;
/**
 * Sends a message and waits for the answer, for `timeout` milliseconds and never longer than the turn has. It leaves at
 * once and is not undone when this turn fails. The answer is `undefined` where it has no body.
 *
 * @throws {CallError} and `Invalid` where the answer is no JSON.
 */
export function call(to: string, body: unknown, options: { timeout: number; key?: string }): any;
/** As `call`, for an answer that is bytes. */
export function callBytes(to: string, body: unknown, options: { timeout: number; key?: string }): Uint8Array | undefined;
/** @throws {SendError} */
export function publish(topic: string, body: unknown): void;
/** In a pattern `*` stands for one segment and a last `**` for one or more. @throws {SendError} */
export function subscribe(pattern: string): void;
/** @throws {SendError} */
export function unsubscribe(pattern: string): void;
/** Sends a message to this service itself, so many milliseconds after the turn commits. @throws {SendError} */
export function sendAfter(delay: number, body: unknown): Timer;
/** Cancels a timer at once, also when the turn fails later; whether it was still to come. */
export function cancel(timer: Timer): boolean;
/** This service's own address, with the key where it has one. */
export function selfAddress(): string;

/**
 * The state of this service, which survives restarts and upgrades. What a turn writes it reads back at once; everybody
 * else sees it when the turn commits. All of these throw `StateError`.
 */
export const state: {
  /** `undefined` where the key has no value. Throws `Invalid` where that is no JSON. */
  get(key: string): any;
  getBytes(key: string): Uint8Array | undefined;
  set(key: string, value: unknown): void;
  delete(key: string): void;
  has(key: string): boolean;
  /** Adds to a counter, which is no JSON; what it is then. */
  increment(key: string, by?: number | bigint): bigint;
  /** All keys, in order, a page in memory at a time. */
  keys(): Generator<string, void, undefined>;
  /** In the order of the keys, by one call of the host. */
  getMany(keys: Iterable<string>): any[];
  setMany(values: Map<string, unknown> | Record<string, unknown>): void;
  deleteMany(keys: Iterable<string>): void;
};

/** What the operator has configured for this service. Both throw `ConfigError`. */
export const config: {
  get(key: string): string | undefined;
  all(): Record<string, string>;
};

/** Log lines, which are written at once, whatever becomes of the turn. What is no text is written as JSON. */
export const log: Record<"trace" | "debug" | "info" | "warn" | "error", (...parts: unknown[]) => void>;

/** All errors of this package: a stable word, and what the host said. */
export class AirssysError extends Error {
  readonly code: string;
  readonly text: string;
  /** The fault that answers the message whose handler lets this error through. */
  fault(): Fault;
}
/** An answer that says no. Its turn leaves no effects; the instance lives on. */
export class Fault extends AirssysError {}
/** The message makes no sense here. Sending it again will not help. */
export class Invalid extends Fault {
  constructor(reason: string);
}
/** The message was understood, and the answer is no. */
export class Refused extends Fault {
  constructor(reason: string);
}
/** Something that is needed was not there. Sending it again later may help. */
export class Unavailable extends Fault {
  constructor(reason: string);
}
/** The service failed in a way that it did not foresee. */
export class Internal extends Fault {
  constructor(reason: string);
}
/** `denied`, `no-such-service`, `overloaded`, `too-large` (its text is the limit in bytes), `stopped`. */
export class SendError extends AirssysError {}
/** `not-sent` (its `cause` is a `SendError`), `timeout`, `deadlock`, `fault` (its `cause`), `crashed`, `dropped`. */
export class CallError extends AirssysError {
  readonly cause?: AirssysError;
}
/** `no-state`, `state-denied`, `state`. */
export class StateError extends AirssysError {}
/** `config`. */
export class ConfigError extends AirssysError {}
/** `denied`, `no-such-child`, `taken`, `overloaded`, `deaf`. */
export class ChildError extends AirssysError {}
