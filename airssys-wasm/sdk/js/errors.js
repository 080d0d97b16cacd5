// What goes wrong, each as an Error with a `code` that is stable, and a `text`: what the host said of it.

/** All errors of this package. */
export class AirssysError extends Error {
  constructor(code, text, message) {
    super(message ?? (text ? `${code}: ${text}` : code));
    this.name = new.target.name;
    this.code = code;
    this.text = text ?? "";
  }

  /** The fault that answers the message whose handler lets this error through. */
  fault() {
    return new Internal(this.message);
  }
}

/** An answer that says no. Its turn leaves no effects; the instance lives on. */
export class Fault extends AirssysError {
  constructor(code, reason) {
    super(code, String(reason), String(reason));
  }

  fault() {
    return this;
  }
}

/** The message makes no sense here. Sending it again will not help. */
export class Invalid extends Fault {
  constructor(reason) {
    super("invalid", reason);
  }
}

/** The message was understood, and the answer is no. */
export class Refused extends Fault {
  constructor(reason) {
    super("refused", reason);
  }
}

/** Something that is needed was not there. Sending it again later may help. */
export class Unavailable extends Fault {
  constructor(reason) {
    super("unavailable", reason);
  }
}

/** The service failed in a way that it did not foresee. */
export class Internal extends Fault {
  constructor(reason) {
    super("internal", reason);
  }
}

const FAULTS = { invalid: Invalid, refused: Refused, unavailable: Unavailable, internal: Internal };

/** Why a message was not sent: `denied`, `no-such-service`, `overloaded`, `too-large`, `stopped`. */
export class SendError extends AirssysError {
  fault() {
    const later = this.code === "overloaded" || this.code === "stopped";
    return later ? new Unavailable(this.message) : new Internal(this.message);
  }
}

/** Why a call has no answer: `not-sent`, `timeout`, `deadlock`, `fault`, `crashed`, `dropped`. */
export class CallError extends AirssysError {
  fault() {
    return this.code === "not-sent" ? this.cause.fault() : new Unavailable(this.message);
  }
}

/** Why the state could not be read or written: `no-state`, `state-denied`, `state`. */
export class StateError extends AirssysError {}

/** The configuration cannot be read: `config`. */
export class ConfigError extends AirssysError {}

/** Why nothing was done to a child: `denied`, `no-such-child`, `taken`, `overloaded`, `deaf`. */
export class ChildError extends AirssysError {}

// What the host's functions throw has the error of their result as its `payload`. It is no instance of our `Error`.
const payload = (thrown) => thrown?.payload ?? thrown;

function sendError({ tag, val }) {
  return new SendError(tag, val === undefined ? "" : String(val));
}

function callError({ tag, val }) {
  const caused = (cause) => Object.assign(new CallError(tag, cause.text, `${tag}: ${cause.message}`), { cause });
  if (tag === "not-sent") return caused(sendError(val));
  if (tag === "fault") return caused(new FAULTS[val.tag](val.val));
  return new CallError(tag, val);
}

function stateError({ tag, val }) {
  if (tag === "no-such-store") return new StateError("no-state", "", "this service has no state");
  if (tag === "access-denied") return new StateError("state-denied", "", "this service may not use its state");
  return new StateError("state", val);
}

/** Asks the host, and makes an Error of what it refuses with. */
const asking = (made) => (ask) => {
  try {
    return ask();
  } catch (thrown) {
    const refusal = payload(thrown);
    // What has no tag is none of the host's: a mistake in how it was asked.
    if (typeof refusal?.tag !== "string") throw thrown;
    throw made(refusal);
  }
};

export const sending = asking(sendError);
export const calling = asking(callError);
export const storing = asking(stateError);
export const configuring = asking(({ val }) => new ConfigError("config", val));
export const supervising = asking(({ tag, val }) => new ChildError(tag, val));
