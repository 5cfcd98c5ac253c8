// What componentize-js builds: the plugin, connected to the host. There is nothing to change here.

import { plugin } from './plugin.js';
import { component } from './sdk/freefans-component.js';

export const { describe, init, handle } = component(plugin);
