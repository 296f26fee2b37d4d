// What the pages load is this client, bundled: its types are those of the sources.
export * from "../src/index.js";
