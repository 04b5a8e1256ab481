// Makes {name}.wasm of plugin.js and the world of wit/plugin.wit.

import { writeFileSync } from "node:fs";
import { componentize } from "@bytecodealliance/componentize-js";

const { component } = await componentize({
  sourcePath: "plugin.js",
  witPath: "wit",
  worldName: "plugin",
  // Nothing of WASI: the server offers none of it.
  disableFeatures: ["stdio", "random", "clocks", "http", "fetch-event"],
});
writeFileSync("{name}.wasm", component);
