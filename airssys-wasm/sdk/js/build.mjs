#!/usr/bin/env node
// Makes a component of a module in JavaScript or TypeScript: it is bundled with all that it imports, and what imports
// the world has stays as it is.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { componentize } from "@bytecodealliance/componentize-js";
import { rolldown } from "rolldown";

const USAGE = "usage: airssys-js SOURCE --wit FOLDER --world NAME --output COMPONENT";

/** Nothing that a world imports is a file: `acme:shop/pricing`. */
const OF_THE_WORLD = /^[a-z][a-z0-9-]*:[a-z]/;

/** One file of all modules. */
async function bundled(source, folder) {
  const bundle = await rolldown({
    input: resolve(source),
    external: (name) => OF_THE_WORLD.test(name) && !name.startsWith("node:"),
    platform: "neutral",
    logLevel: "warn",
  });
  const file = join(folder, "bundle.js");
  await bundle.write({ file, format: "esm" });
  await bundle.close();
  return file;
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { wit: { type: "string" }, world: { type: "string" }, output: { type: "string", short: "o" } },
  });
  const [source] = positionals;
  if (positionals.length !== 1 || !values.wit || !values.world || !values.output) throw new Error(USAGE);
  const folder = await mkdtemp(join(tmpdir(), "airssys-js-"));
  try {
    const { component } = await componentize({
      sourcePath: await bundled(source, folder),
      witPath: resolve(values.wit),
      worldName: values.world,
      // A service has no HTTP of its own: `fetch` would bring its imports along.
      disableFeatures: ["http", "fetch-event"],
    });
    await writeFile(values.output, component);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

main().catch((error) => {
  console.error(`error: ${error.message ?? error}`);
  process.exitCode = 1;
});
