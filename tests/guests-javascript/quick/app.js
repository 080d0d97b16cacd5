// Handles HTTP by WASI 0.3, on QuickJS. What it reads and writes are streams.

import types from "wasi:http/types@0.3.0";

const { Fields, Request, Response } = types;
/** Of texts that are ASCII: the engine has no `TextEncoder`. */
const bytes = (text) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
const string = (bytes) => String.fromCharCode(...bytes);
let seen = 0;

/** What is promised to whoever reads it. */
function kept(value, type) {
  const { readable, writable } = wit.Future(type);
  writable.write(value);
  return readable;
}

function respond(status, contents, headers = []) {
  const fields = Fields.fromList(headers.map(([name, value]) => [name, bytes(value)]));
  const [response] = Response.new(fields, contents, kept({ tag: "ok", val: null }, wit.Future.RESULT_OPTION_OTHER_ERROR_CODE));
  response.setStatusCode(status);
  return response;
}

const text = (status, said) =>
  respond(status, (async function* () { yield bytes(said); })(), [["content-type", "text/plain"]]);

/** The body of a request as it comes, each piece as it is made. */
async function* shouted(contents) {
  for await (const piece of contents) yield piece.map((byte) => (byte >= 97 && byte <= 122 ? byte - 32 : byte));
}

async function* counted(to) {
  for (let number = 1; number <= to; number += 1) yield bytes(`${number}\n`);
}

export const handler = {
  async handle(request) {
    seen += 1;
    const method = request.getMethod().tag;
    const [path, query] = (request.getPathWithQuery() ?? "/").split("?");
    switch (`${method} ${path}`) {
      case "get /":
        return text(200, `hello from ${request.getAuthority()}`);
      case "get /count":
        return respond(200, counted(Number(query)));
      case "post /shout": {
        const [contents] = Request.consumeBody(request, kept({ tag: "ok", val: null }, wit.Future.RESULT_VOID_ERROR_CODE));
        return respond(200, shouted(contents), [["x-shouted", "yes"]]);
      }
      case "get /headers": {
        const told = request.getHeaders().copyAll();
        return text(200, told.map(([name, value]) => `${name}: ${string(value)}\n`).join(""));
      }
      case "get /seen":
        return text(200, String(seen));
      case "get /spin":
        for (;;);
      case "get /refuse":
        throw { tag: "DNS-timeout" };
      default:
        return text(404, `nothing for ${method} ${path}`);
    }
  },
};
