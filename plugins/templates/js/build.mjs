// Makes ./PLUGIN_NAME.wasm.part from app.js. Called by `build`.

import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { componentize } from '@bytecodealliance/componentize-js';

// For requests (`fetch`), take 'http' out and write `net = ["https://…"]` below [grants] in PLUGIN_NAME.toml. A component that
// could send requests is refused without that grant. 'fetch-event' is for servers.
const disableFeatures = ['http', 'fetch-event'];

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

// By the library: its command line does not run on Node 20 and newer.
const { component } = await componentize({
  sourcePath: here('app.js'),
  witPath: here('wit'),
  worldName: 'plugin',
  disableFeatures,
});
await writeFile(here('PLUGIN_NAME.wasm.part'), component);
