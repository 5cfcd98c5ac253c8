// Connects a plugin to the host. The imports exist only in a component, so tests use `freefans-plugin.js` alone.

import { get as cacheGet, set as cacheSet } from 'freefans:plugin/cache@1.0.0';
import { get as configGet } from 'freefans:plugin/config@1.0.0';
import { read } from 'freefans:plugin/data@1.0.0';
import { write } from 'freefans:plugin/log@1.0.0';
import { report } from 'freefans:plugin/progress@1.0.0';

import { Context, Failure, Fatal, Invalid, NotFound, Retry, toJson } from './freefans-plugin.js';

const HOST = {
  log: write,
  config: configGet,
  data(name) {
    try {
      return read(name);
    } catch (error) {
      throw dataFailure(name, error);
    }
  },
  cacheGet(key) {
    try {
      return cacheGet(key);
    } catch {
      return undefined;
    }
  },
  cacheSet(key, value, ttlSeconds) {
    try {
      cacheSet(key, value, ttlSeconds);
      return true;
    } catch {
      return false;
    }
  },
  progress: report,
};

function dataFailure(name, error) {
  const { tag, val } = error.payload ?? {};
  if (tag === 'not-granted') {
    return new Fatal(`the settings file has no data file \`${name}\`: add it to [grants.data]`);
  }
  if (tag === 'too-large') {
    return new Fatal(`the data file \`${name}\` is larger than ${val} bytes`);
  }
  return new Retry(`the data file \`${name}\` cannot be read at the moment`);
}

/** The failure as the contract has it. What is no `Failure` is a bug: it ends the task, and its stack is in the log. */
function failureOf(error) {
  if (error instanceof Invalid) return { tag: 'invalid', val: error.message };
  if (error instanceof NotFound) return { tag: 'not-found', val: error.message };
  if (error instanceof Retry) {
    const afterMs = error.afterMs === undefined ? undefined : BigInt(error.afterMs);
    return { tag: 'retry', val: { reason: error.message, afterMs } };
  }
  if (error instanceof Failure) return { tag: 'fatal', val: error.message };
  console.error(`${error}\n${error?.stack ?? ''}`);
  throw error;
}

/** What a component exports: `export const { describe, init, handle } = component(plugin)`. */
export function component(plugin) {
  return {
    describe: () => ({
      name: plugin.name,
      version: plugin.version,
      taskTypes: [...plugin.taskTypes].map(([name, { summary, params }]) => {
        return { name, summary, paramsSchema: toJson(params) };
      }),
      extensions: toJson(plugin.extensions()),
    }),
    async init() {
      try {
        await plugin.runPrepare(HOST);
      } catch (error) {
        throw String(error.message ?? error);
      }
    },
    async handle({ id, taskType, params, ...task }) {
      try {
        const context = new Context(HOST, { taskId: id, ...task });
        const answer = await plugin.handle(taskType, JSON.parse(params), context);
        return { data: toJson(answer), metadata: '{}' };
      } catch (error) {
        throw failureOf(error);
      }
    },
  };
}
