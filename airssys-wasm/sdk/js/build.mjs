#!/usr/bin/env node
// Makes a component of a module in JavaScript or TypeScript. The module is bundled with all that it imports, also from
// npm; what it imports from the world stays as it is.
//
// A module that exports `handle` is a service by the contract of airssys, and its world is made of what it exports.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { componentize } from "@bytecodealliance/componentize-js";
import { rolldown } from "rolldown";

const USAGE = `usage: airssys-js SOURCE --output COMPONENT [--wit FOLDER] [--world NAME] [--types FOLDER] [--contract FOLDER]

  --wit       interfaces of one's own: what it exports by itself, or what it imports and exports besides being a service
              of airssys
  --world     which world of them, where there are several
  --types     where to leave the types of that world, which are made for a module in TypeScript
  --contract  the folder of the contract, where that is not in the checkout that this stands in`;

const HERE = dirname(fileURLToPath(import.meta.url));
const OURS = { airssys: join(HERE, "index.js"), "airssys/children": join(HERE, "children.js") };
/** Nothing that a world imports is a file: `acme:shop/pricing`. */
const OF_THE_WORLD = /^(?!node:)[a-z][a-z0-9-]*:[a-z]/;
/** What a module may export, by the interface that it goes to. */
const EXPORTS = {
  handler: ["handle"],
  lifecycle: ["init", "stop"],
  health: ["check"],
  upgrade: ["snapshot", "restore", "migrate"],
  monitoring: ["down"],
};
const ENTRY = "airssys:entry";
const SUPERVISION = "airssys:actor/supervision@0.1.0";

/** One file of all modules: its text, what it exports, and what it imports from the world. */
async function bundled(input, entry) {
  const bundle = await rolldown({
    input,
    external: (name) => name !== ENTRY && OF_THE_WORLD.test(name),
    platform: "neutral",
    resolve: { mainFields: ["module", "main"], conditionNames: ["import", "default"] },
    checks: { eval: false },
    plugins: [
      {
        name: "airssys",
        resolveId: (id) => (id === ENTRY ? ENTRY : OURS[id]),
        load: (id) => (id === ENTRY ? entry : null),
      },
    ],
  });
  const { output } = await bundle.generate({ format: "esm", codeSplitting: false });
  await bundle.close();
  return output[0];
}

/** The module that makes the contract's exports of the service's functions. */
function entryOf(source, interfaces) {
  const lines = interfaces.map((name) => `export const ${name} = exporting.${name}(service);`);
  const from = (file) => JSON.stringify(file);
  return [
    `import * as exporting from ${from(join(HERE, "exporting.js"))};`,
    `import * as service from ${from(source)};`,
    `export * from ${from(source)};`,
    ...lines,
  ].join("\n");
}

/** A folder with the contract, with one's own interface where there is one, and the world of the service. */
async function worldOf(folder, interfaces, supervises, { contract, wit, world }) {
  const deps = join(folder, "wit", "deps");
  await mkdir(deps, { recursive: true });
  const optional = interfaces.filter((name) => name !== "handler");
  const included = ["actor", ...optional.map((name) => `with-${name}`)].map((name) => `airssys:actor/${name}@0.1.0`);
  if (supervises) included.push("airssys:actor/with-supervision@0.1.0");
  await withDependencies(contract, join(deps, "airssys-actor"), deps);
  if (wit) {
    const own = join(deps, "own");
    await withDependencies(wit, own, deps);
    included.push(await nameOf(own, world));
  }
  const text = ["package airssys:made;", "world service {", ...included.map((name) => `  include ${name};`), "}"];
  await writeFile(join(folder, "wit", "world.wit"), text.join("\n"));
  return { witPath: join(folder, "wit"), worldName: "service" };
}

/** A package to `own`, and those that it depends on beside it: of dependencies there is one level. */
async function withDependencies(from, own, deps) {
  await cp(from, own, { recursive: true, filter: (path) => path !== join(from, "deps") });
  await cp(join(from, "deps"), deps, { recursive: true, force: false }).catch((error) => {
    if (error.code !== "ENOENT") throw error;
  });
}

/** All that the package in a folder says. */
async function textOf(folder) {
  const files = (await readdir(folder)).filter((name) => name.endsWith(".wit"));
  return (await Promise.all(files.map((file) => readFile(join(folder, file), "utf8")))).join("\n");
}

/** `acme:shop/till@1.0.0`, for the world `till` of the package in a folder. */
async function nameOf(folder, world) {
  const found = /^\s*package\s+([^@;\s]+)(@[^;\s]+)?\s*;/m.exec(await textOf(folder));
  if (!found) throw new Error(`no file in ${folder} begins with \`package\``);
  return `${found[1]}/${world}${found[2] ?? ""}`;
}

/** The world of the package in a folder, where it has one. */
async function onlyWorld(folder) {
  const worlds = [...(await textOf(folder)).matchAll(/^\s*world\s+([^\s{]+)\s*\{/gm)].map((found) => found[1]);
  if (worlds.length === 1) return worlds[0];
  throw new Error(`${folder} has ${worlds.length ? `the worlds ${worlds.join(", ")}: name one by --world, or by [build] world in Component.toml` : "no world"}`);
}

/** The types of a world, each interface a module: what it imports under its own name, what it exports in the world's. */
async function typesOf(wit, world, folder) {
  await rm(folder, { recursive: true, force: true });
  const jco = join(packageOf("@bytecodealliance/jco"), "dist", "jco.js");
  run("its interfaces have no types", jco, ["guest-types", wit, "--world-name", world, "--quiet", "--out-dir", folder]);
  return [`import type * as world from ${JSON.stringify(await nameOf(wit, world))};`, "app satisfies typeof world;"];
}

/** Types are looked at where there are some, and then left out of what is built. */
async function checkTypes(source, folder, { wit, world, types = join(folder, "types") }) {
  if (!/\.[cm]?ts$/.test(source)) return;
  const lines = [`import * as app from ${JSON.stringify(source)};`];
  if (wit) lines.push(...(await typesOf(wit, world, types)));
  const entry = join(folder, "entry.ts");
  await writeFile(entry, lines.join("\n"));
  const paths = Object.fromEntries(Object.entries(OURS).map(([name, file]) => [name, [file.replace(/js$/, "d.ts")]]));
  const how = { noEmit: true, strict: true, target: "es2022", module: "esnext", moduleResolution: "bundler", paths };
  // Resources are disposable, and `console` and `TextEncoder` are among those of browsers.
  const lib = ["es2022", "dom", "esnext.disposable"];
  const compilerOptions = { ...how, lib, allowImportingTsExtensions: true, types: [] };
  const project = join(folder, "tsconfig.json");
  // Beside the source stand declarations of one's own.
  const include = [entry, join(dirname(source), "*.d.ts"), join(types, "**", "*.d.ts")];
  await writeFile(project, JSON.stringify({ compilerOptions, include }));
  run("its types are wrong", join(packageOf("typescript"), "bin", "tsc"), ["--project", project]);
}

/** Where a package is that this one needs. */
function packageOf(name) {
  const found = createRequire(import.meta.url).resolve.paths(name).map((folder) => join(folder, name));
  return found.find((folder) => existsSync(folder)) ?? name;
}

function run(wrong, script, args) {
  const ran = spawnSync(process.execPath, [script, ...args], { encoding: "utf8" });
  if (ran.status !== 0) throw new Error(`${wrong}:\n${ran.stdout}${ran.stderr}`);
}

async function build(source, values, folder) {
  await checkTypes(source, folder, values);
  const found = await bundled(source);
  let made = found;
  let world = { witPath: values.wit, worldName: values.world };
  if (found.exports.includes("handle")) {
    const interfaces = Object.keys(EXPORTS).filter((name) => EXPORTS[name].some((own) => found.exports.includes(own)));
    made = await bundled(ENTRY, entryOf(source, interfaces));
    world = await worldOf(folder, interfaces, found.imports.includes(SUPERVISION), values);
  } else if (!values.wit) {
    throw new Error(`${source} exports no \`handle\`, and no --wit says what it exports instead`);
  }
  const sourcePath = join(folder, "bundle.js");
  await writeFile(sourcePath, made.code);
  // A service has no HTTP of its own: `fetch` would bring its imports along.
  const { component } = await componentize({ sourcePath, ...world, disableFeatures: ["http", "fetch-event"] });
  await writeFile(values.output, component);
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      wit: { type: "string" },
      world: { type: "string" },
      types: { type: "string" },
      contract: { type: "string", default: resolve(HERE, "../../../wit") },
      output: { type: "string", short: "o" },
      version: { type: "boolean" },
    },
  });
  if (values.version) return console.log(JSON.parse(await readFile(join(HERE, "package.json"), "utf8")).version);
  if (positionals.length !== 1 || !values.output || (values.world && !values.wit)) throw new Error(USAGE);
  for (const name of ["wit", "types"]) if (values[name]) values[name] = resolve(values[name]);
  if (values.wit) values.world ??= await onlyWorld(values.wit);
  const folder = await mkdtemp(join(tmpdir(), "airssys-js-"));
  try {
    await build(resolve(positionals[0]), values, folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

main().catch((error) => {
  console.error(`error: ${error.message ?? error}`);
  process.exitCode = 1;
});
