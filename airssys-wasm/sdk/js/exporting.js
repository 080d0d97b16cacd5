// From a service's own functions to what the contract exports. `build.mjs` writes the module that uses this.

import { AirssysError, Refused } from "./errors.js";
import { bytesOf, valueOf } from "./json.js";

/** A message, as a handler gets it. */
class Message {
  constructor({ id, sender, key, delivery, attempt, body }) {
    this.id = id;
    this.sender = sender;
    this.key = key;
    this.delivery = delivery.tag;
    this.left = delivery.tag === "call" ? Number(delivery.val) : undefined;
    this.topic = delivery.tag === "publish" ? delivery.val : undefined;
    this.timer = delivery.tag === "timer" ? delivery.val : undefined;
    this.attempt = attempt;
    this.body = body;
  }

  json() {
    return valueOf(this.body, "the message");
  }

  text() {
    return new TextDecoder().decode(this.body);
  }
}

/** An answer is made by one turn, also where the function waits for something. */
async function turn(act, answered) {
  try {
    return answered(await act());
  } catch (error) {
    if (error instanceof AirssysError) {
      const { code, text } = error.fault();
      throw { tag: code, val: text };
    }
    tell(error);
    throw error;
  }
}

/** Whatever is no error of ours is a trap. The engine says no more than that, so its text goes to the log first. */
function tell(error) {
  console.error(error instanceof Error ? `${error}\n${error.stack}` : String(error));
}

const nothing = () => undefined;
const body = (value) => (value === undefined ? undefined : bytesOf(value));

export const handler = (service) => ({
  handle: (message) => turn(() => service.handle(new Message(message)), body),
});

export const lifecycle = (service) => ({
  init: () => turn(() => service.init?.(), nothing),
  async stop(reason) {
    try {
      await service.stop?.(reason);
    } catch (error) {
      tell(error);
      throw error;
    }
  },
});

export const health = (service) => ({ check: () => turn(() => service.check(), nothing) });

export const upgrade = (service) => ({
  snapshot: () => turn(() => service.snapshot?.(), body),
  restore: (bytes) => turn(() => service.restore?.(new Snapshot(bytes)), nothing),
  migrate: (from) => turn(() => (service.migrate ?? unheardOf)(from), nothing),
});

function unheardOf(from) {
  throw new Refused(`this release has no \`migrate\` from the state schema ${from}`);
}

/** What another release has handed over. */
class Snapshot {
  constructor(bytes) {
    this.bytes = bytes;
  }

  json() {
    return valueOf(this.bytes, "the snapshot");
  }
}

export const monitoring = (service) => ({
  down: ({ child, reason, restarted }) => {
    const { tag, val } = reason;
    return turn(() => service.down({ child, reason: tag, crash: val, restarted }), nothing);
  },
});
