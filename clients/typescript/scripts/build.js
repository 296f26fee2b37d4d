// Build `dist/`, and copy the module for the pages of the service.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

export const root = fileURLToPath(new URL("..", import.meta.url));
export const tsc = `${root}node_modules/typescript/bin/tsc`;
export const served = `${root}../../src/harken/protocols/pages/static/harken-client.js`;

/** The files of the package; other declarations are internal. */
const DIST = [
  "harken-client.js", "index.d.ts", "client.d.ts", "types.d.ts", "schema.d.ts",
  "assignment.js", "assignment.d.ts", "feeds.js", "feeds.d.ts",
];

/** Bundle and minify the client, or another entry, into one ES module, and return its bytes. */
export async function bundle(entry = "src/index.ts", name = "harken-client") {
  const made = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    charset: "utf8",
    write: false,
    banner: { js: "// harken-client, made from clients/typescript; MIT licence" },
    outfile: `dist/${name}.js`,
  });
  return made.outputFiles[0].contents;
}

/** Build `dist/`: the module and its types. */
export async function makeDist() {
  rmSync(`${root}dist`, { recursive: true, force: true });
  mkdirSync(`${root}dist`);
  writeFileSync(`${root}dist/harken-client.js`, await bundle());
  for (const name of ["assignment", "feeds"]) {
    writeFileSync(`${root}dist/${name}.js`, await bundle(`src/${name}.ts`, name));
  }
  execFileSync(process.execPath, [tsc, "-p", `${root}tsconfig.types.json`], { stdio: "inherit" });
  for (const name of readdirSync(`${root}dist`)) {
    if (!DIST.includes(name)) rmSync(`${root}dist/${name}`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await makeDist();
  mkdirSync(dirname(served), { recursive: true });
  copyFileSync(`${root}dist/harken-client.js`, served);
}
