// Bodies and values: bytes as they are, and anything else as JSON.

import { Invalid } from "./errors.js";

/** Bytes are themselves. */
export function bytesOf(value) {
  if (value instanceof Uint8Array) return value;
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError(`no JSON can be made of ${typeof value}`);
  return new TextEncoder().encode(text);
}

/** What the JSON in some bytes says. Where it is none, that is whoever wrote it to blame. */
export function valueOf(bytes, what) {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new Invalid(`${what} is no JSON: ${error.message}`);
  }
}
