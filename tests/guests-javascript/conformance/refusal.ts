// Errors of the host as answers: `{"error": NAME, "text": TEXT}`, where the text is what the error carries.

import { AirssysError, CallError, Fault, Internal, Invalid, Refused, Unavailable } from "airssys";

export const faults: Record<string, new (reason: string) => Fault> = {
  invalid: Invalid,
  refused: Refused,
  unavailable: Unavailable,
  internal: Internal,
};

/** The value as an answer; or the error. */
export function told(ask: () => unknown): unknown {
  try {
    return ask();
  } catch (error) {
    if (!(error instanceof AirssysError) || error instanceof Fault) throw error;
    const cause = error instanceof CallError ? error.cause : undefined;
    return { error: cause ? `${error.code}/${cause.code}` : error.code, text: error.text };
  }
}
