// Handles HTTP by the functions of WASI 0.2 themselves. Its tool chain keeps the handle of each request as long as the
// instance lives; what is asked for below `/keep/` keeps some more.

import { Fields, OutgoingBody, OutgoingResponse, ResponseOutparam } from "wasi:http/types@0.2.12";

const kept = [];
let seen = 0;

export const incomingHandler = {
  handle(request, out) {
    seen += 1;
    const [, keep, many] = request.pathWithQuery().split("/");
    if (keep === "keep") {
      for (let number = 0; number < Number(many); number += 1) kept.push(new Fields());
    }
    const response = new OutgoingResponse(Fields.fromList([["content-type", new TextEncoder().encode("text/plain")]]));
    const body = response.body();
    ResponseOutparam.set(out, { tag: "ok", val: response });
    const stream = body.write();
    stream.blockingWriteAndFlush(new TextEncoder().encode(String(seen)));
    stream[Symbol.dispose]();
    OutgoingBody.finish(body, undefined);
  },
};
