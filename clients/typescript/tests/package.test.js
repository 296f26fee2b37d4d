// What is committed and what is packed: that it is current, small, and usable elsewhere.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { bundle, makeDist, root, served, tsc } from "../scripts/build.js";

const MOST_BYTES = 5_000;
const text = (path) => readFileSync(path, "utf8");
const read = (name) => text(join(root, name));

let folder;
before(() => (folder = mkdtempSync(join(tmpdir(), "harken-client-"))));
after(() => rmSync(folder, { recursive: true }));

const node = (script, ...options) => {
  const given = { cwd: folder, encoding: "utf8", stdio: "pipe" };
  try {
    return execFileSync(process.execPath, [script, ...options], given);
  } catch (error) {
    throw new Error(`${error.stdout}\n${error.stderr}`);
  }
};
const npm = (...options) => execFileSync("npm", options, { cwd: folder, encoding: "utf8" });

test("the types are those of the OpenAPI document", () => {
  const { scripts } = JSON.parse(read("package.json"));
  const [program, document, ...options] = scripts.types.split(" ");
  options[options.indexOf("src/schema.ts")] = join(folder, "schema.ts");
  node(join(root, "node_modules", program, "bin/cli.js"), join(root, document), ...options);
  assert.equal(read("src/schema.ts"), text(join(folder, "schema.ts")), "run: npm run types");
});

test("the file that the service serves is what the sources make", async () => {
  const made = Buffer.from(await bundle());
  assert.ok(made.equals(readFileSync(served)), "run: npm run build");
});

test("it is small, whole, and needs nothing else", () => {
  const module = readFileSync(served);
  const size = gzipSync(module, { level: 9 }).length;
  assert.ok(size < MOST_BYTES, `${size} bytes gzipped; fewer than ${MOST_BYTES} are wanted`);
  assert.doesNotMatch(module.toString(), /\bimport\b|\beval\b|\brequire\b/);
  const { dependencies, peerDependencies } = JSON.parse(read("package.json"));
  assert.deepEqual([dependencies, peerDependencies], [undefined, undefined]);
});

test("the licence is that of the whole", () => {
  assert.equal(read("LICENSE"), read("../../LICENSE"));
});

const shown = /```ts\n((?:(?!```).)*)```\n\n```text\n(.*?)```/gs;
const url = process.env["HARKEN_TEST_URL"];
test("examples print what they show, with a real service", { skip: !url }, async () => {
  const examples = [...read("README.md").matchAll(shown)];
  assert.equal(examples.length, 1);
  for (const [, example, printed] of examples) {
    const outfile = join(folder, "example.mjs");
    await build({
      stdin: { contents: example.replace("https://feed.example.org", url), loader: "ts", resolveDir: root },
      alias: { "harken-client": `${root}src/index.ts`, "harken-client/feeds": `${root}src/feeds.ts` },
      bundle: true,
      platform: "node",
      format: "esm",
      outfile,
    });
    assert.equal(node(outfile), printed);
  }
});

test("a packed tarball installs in an empty project, type-checks and runs there", async () => {
  await makeDist();
  const [packed] = JSON.parse(
    npm("pack", root, "--ignore-scripts", "--json", "--pack-destination", folder),
  );
  assert.deepEqual(
    packed.files.map((file) => file.path).sort(),
    [
      "LICENSE", "README.md", "dist/assignment.d.ts", "dist/assignment.js", "dist/client.d.ts",
      "dist/feeds.d.ts", "dist/feeds.js", "dist/harken-client.js", "dist/index.d.ts", "dist/schema.d.ts", "dist/types.d.ts",
      "package.json",
    ],
  );

  writeFileSync(join(folder, "package.json"), '{"name": "empty", "private": true, "type": "module"}');
  npm("install", "--offline", "--no-audit", "--no-fund", `./${packed.filename}`);
  writeFileSync(
    join(folder, "program.ts"),
    `import { createClient, type Answer } from "harken-client";
     const client = createClient({ userId: "ada", baseUrl: "http://127.0.0.1:9" });
     export const answer: Promise<Answer> = client.record({ kblock_id: "hello", action: "engage" });`,
  );
  const shown = read("README.md").matchAll(/```ts\n(.*?)```/gs);
  const programs = ["program.ts"];
  for (const [, example] of shown) {
    programs.push(`readme-${programs.length}.ts`);
    writeFileSync(join(folder, programs.at(-1)), example);
  }
  assert.equal(programs.length, 6);
  for (const module of ["NodeNext", "ESNext --moduleResolution bundler"]) {
    const options = `--noEmit --strict --target ES2022 --lib ES2022,DOM,DOM.Iterable --module ${module}`;
    node(tsc, ...options.split(" "), ...programs);
  }

  writeFileSync(
    join(folder, "wrong.ts"),
    `import type { NewEvent } from "harken-client";
     export const wrong: NewEvent = { kblock_id: "hello", action: "applaud" };`,
  );
  assert.throws(() => node(tsc, "--noEmit", "--module", "NodeNext", "wrong.ts"), /'"applaud"'/);

  writeFileSync(
    join(folder, "program.js"),
    'import { createClient } from "harken-client"; console.log(typeof createClient);',
  );
  assert.equal(node("program.js"), "function\n");
});
