// The guest library of FreeFans Workers for JavaScript.
//
// A plugin is one `new Plugin(…)` with its task types and chat commands. A handler gets the params and a `Context`, and
// returns the answer (or a promise of it): an object, with a `view` where people shall see more than text. It fails by throwing
// `Invalid`, `NotFound`, `Retry` or `Fatal`. Nothing here needs a worker: `plugin.answer` runs a task in a plain test.
//
// The other half, `freefans-component.js`, connects a plugin to the host; only the file that is built names it.

/** Why a task has no answer. The text is shown to a person: plain words, no secrets. */
export class Failure extends Error {}

/** The params make no sense: the person has to ask differently. */
export class Invalid extends Failure {}

/** The params are fine, but there is nothing to answer with. */
export class NotFound extends Failure {}

/** Something outside is not available; the host tries again, after at least `afterMs` milliseconds. */
export class Retry extends Failure {
  constructor(reason, afterMs = undefined) {
    super(reason);
    this.afterMs = afterMs;
  }
}

/** It will never work as things are, for instance because a setting is missing. */
export class Fatal extends Failure {}

/** A view breaks a rule of the contract; the text names the rule and its limit. */
export class ViewError extends Error {}

/** What a plugin may ask its host for. This one keeps everything in memory, for tests. */
export class Host {
  constructor({ config = {}, data = {} } = {}) {
    this.settings = config;
    this.files = data;
    this.entries = new Map();
    this.lines = [];
    this.reports = [];
  }

  log(level, message) {
    this.lines.push([level, message]);
  }

  config(key) {
    return this.settings[key];
  }

  data(name) {
    if (!(name in this.files)) {
      throw new Fatal(`the settings file has no data file \`${name}\`: add it to [grants.data]`);
    }
    return this.files[name];
  }

  cacheGet(key) {
    return this.entries.get(key);
  }

  cacheSet(key, value, ttlSeconds) {
    if (ttlSeconds === 0) this.entries.delete(key);
    else this.entries.set(key, value);
    return true;
  }

  progress(text, percent) {
    this.reports.push([text, percent]);
  }
}

/** One task, and what its handler may ask the host for. */
export class Context {
  #host;

  constructor(host, { taskId = '', userId = 0n, attempt = 1, timeLeftMs = 30_000n, seed = 0n } = {}) {
    this.#host = host;
    Object.assign(this, { taskId, userId, attempt, timeLeftMs, seed });
  }

  /** Writes one line to the worker's log. `level`: trace, debug, info, warn or error. */
  log(message, level = 'info') {
    this.#host.log(level, String(message));
  }

  /** A value of [config] in the settings file, always a text. */
  config(key, otherwise = undefined) {
    return this.#host.config(key) ?? otherwise;
  }

  /** The bytes of a file of [grants.data]. Best read once, in `prepare`. */
  data(name) {
    return this.#host.data(name);
  }

  /** The bytes under `key`; undefined without them, and also without a cache. */
  cacheGet(key) {
    return this.#host.cacheGet(key);
  }

  /** Stores bytes. False if there is no cache or the value is too large: go on without it. */
  cacheSet(key, value, ttlSeconds) {
    return this.#host.cacheSet(key, value, ttlSeconds);
  }

  /** Shows the person how far a long task has come. */
  progress(text, percent = undefined) {
    this.#host.progress(text, percent);
  }
}

/** A plugin: its name, version, task types and chat commands. */
export class Plugin {
  #prepare = () => {};

  constructor(name, version) {
    this.name = name;
    this.version = version;
    this.taskTypes = new Map();
    this.commands = [];
  }

  /** Declares a task type: `params` is the JSON Schema (draft 2020-12) of what the handler gets. */
  task(name, { summary, params }, handler) {
    this.taskTypes.set(name, { summary, params, handler });
    return this;
  }

  /** Declares a chat command, with the names that the contract has for it. */
  command(command) {
    this.commands.push(command);
    return this;
  }

  /** Declares what runs once before all tasks, with a `Context` that has no task. What it throws refuses the plugin. */
  prepare(prepare) {
    this.#prepare = prepare;
    return this;
  }

  /** The `extensions` of the description. */
  extensions() {
    return { version: 1, commands: this.commands };
  }

  runPrepare(host) {
    return this.#prepare(new Context(host));
  }

  /** Runs a handler. Random numbers come from the task's own seed, not from the one that all tasks share. */
  handle(taskType, params, context) {
    Math.random = seededRandom(context.seed);
    return this.taskTypes.get(taskType).handler(params, context);
  }

  /** For tests: the answer as the host will read it, so that what is not JSON is found here. */
  async answer(taskType, params, { host = new Host(), ...task } = {}) {
    return JSON.parse(toJson(await this.handle(taskType, params, new Context(host, task))));
  }
}

/** JSON. JavaScript would leave an answer that is undefined without any text. */
export function toJson(value) {
  return JSON.stringify(value ?? null);
}

/** Numbers from 0 to below 1, made by SplitMix64 (Steele, Lea, Flood, 2014). */
function seededRandom(seed) {
  let state = BigInt.asUintN(64, seed);
  return () => {
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
    let mixed = BigInt.asUintN(64, (state ^ (state >> 30n)) * 0xbf58476d1ce4e5b9n);
    mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn);
    return Number((mixed ^ (mixed >> 31n)) >> 11n) / 2 ** 53;
  };
}

/** Text that a view's markup shows as it is. */
export function escape(text) {
  return text.replace(/[\\`*_[\]<>#~]/g, '\\$&');
}

/** A button: a task whose answer replaces the message. */
export function ask(text, taskType, params = {}) {
  return { text: label(text), ...request(taskType, params) };
}

/** A button that opens an address. */
export function link(text, url) {
  return { text: label(text), url: address(url) };
}

/** The contract's limits. */
export const LIMITS = Object.freeze({
  textChars: 16_000,
  textBytes: 32 << 10,
  items: 50,
  titleChars: 120,
  itemTextChars: 300,
  media: 10,
  captionChars: 200,
  rows: 8,
  inRow: 4,
  buttons: 24,
  labelChars: 48,
  paramsBytes: 2 << 10,
  paramsLevels: 32,
  addressBytes: 2_048,
  bytes: 48 << 10,
});

/** What a chat shows. Texts that are too long are cut; whatever else breaks the contract throws `ViewError`. */
export class View {
  #view = { version: 1, text: '', items: [], media: [], buttons: [] };

  constructor(text = '') {
    let shown = cut(text, LIMITS.textChars);
    while (bytes(shown) > LIMITS.textBytes) shown = cut(shown, [...shown].length - 100);
    this.#view.text = shown;
  }

  /** Adds an entry of the numbered list. */
  item(title, { url, text } = {}) {
    const item = { title: cut(filled(title, "an item's title"), LIMITS.titleChars) };
    if (url !== undefined) item.url = address(url);
    if (text !== undefined) item.text = cut(text, LIMITS.itemTextChars);
    return this.#add('items', item, LIMITS.items);
  }

  photo(url, caption) {
    return this.#media('photo', url, caption);
  }

  video(url, caption) {
    return this.#media('video', url, caption);
  }

  /** Adds a row of buttons, made by `ask` and `link`. */
  row(...buttons) {
    if (buttons.length < 1 || buttons.length > LIMITS.inRow) {
      throw new ViewError(`a row has 1 to ${LIMITS.inRow} buttons, not ${buttons.length}`);
    }
    if (this.#view.buttons.flat().length + buttons.length > LIMITS.buttons) {
      throw new ViewError(`a view has at most ${LIMITS.buttons} buttons`);
    }
    return this.#add('buttons', buttons, LIMITS.rows);
  }

  /** Adds the last button, which starts a task. */
  next(taskType, params = {}) {
    this.#view.next = request(taskType, params);
    return this;
  }

  /** The view for an answer: `{ view: new View('Hello').build() }`. */
  build() {
    const { version, text, ...parts } = this.#view;
    if (text.trim() === '' && parts.items.length === 0 && parts.media.length === 0) {
      throw new ViewError('a view needs text, items or media: without them it is not shown');
    }
    const size = bytes(toJson(this.#view));
    if (size > LIMITS.bytes) {
      throw new ViewError(`a view has at most ${LIMITS.bytes} bytes, not ${size}: show less, and the rest by next`);
    }
    const filledParts = Object.entries(parts).filter(([, part]) => part.length !== 0);
    return { version, text, ...Object.fromEntries(filledParts) };
  }

  #media(type, url, caption) {
    const media = { type, url: address(url) };
    if (caption !== undefined) media.caption = cut(caption, LIMITS.captionChars);
    return this.#add('media', media, LIMITS.media);
  }

  #add(part, value, limit) {
    if (this.#view[part].length === limit) {
      throw new ViewError(`a view has at most ${limit} ${part === 'buttons' ? 'rows of buttons' : part}`);
    }
    this.#view[part].push(value);
    return this;
  }
}

function bytes(text) {
  return new TextEncoder().encode(text).length;
}

/** Counts characters as the host does: those outside the basic plane are one, not two. */
function cut(text, limit) {
  if (text.length <= limit) return text;
  const letters = [...text];
  return letters.length <= limit ? text : `${letters.slice(0, limit - 1).join('')}…`;
}

function filled(text, what) {
  if (text.trim() === '') throw new ViewError(`${what} is empty`);
  return text;
}

function label(text) {
  return cut(filled(text, "a button's text"), LIMITS.labelChars);
}

function address(url) {
  if (!/^https?:\/\/[^/?#\s]/.test(url) || bytes(url) > LIMITS.addressBytes) {
    const shown = String(url).slice(0, 100);
    throw new ViewError(`an address is http or https, at most ${LIMITS.addressBytes} bytes: ${shown}`);
  }
  return url;
}

function request(taskType, params) {
  if (!/^[a-z][a-z0-9_]{0,63}$/.test(taskType)) {
    throw new ViewError(`\`${taskType}\` is no task type: 1 to 64 lower case letters, digits and _, a letter first`);
  }
  if (params === null || typeof params !== 'object' || Array.isArray(params)) {
    throw new ViewError(`the params of \`${taskType}\` are no object`);
  }
  const size = bytes(toJson(params));
  const depth = levels(params);
  if (size > LIMITS.paramsBytes || depth > LIMITS.paramsLevels) {
    throw new ViewError(
      `the params of \`${taskType}\` have ${size} bytes and ${depth} levels; at most ` +
        `${LIMITS.paramsBytes} bytes and ${LIMITS.paramsLevels} levels fit a button`,
    );
  }
  return { task_type: taskType, params };
}

function levels(value) {
  const inner = value !== null && typeof value === 'object' ? Object.values(value) : [];
  return 1 + Math.max(0, ...inner.map(levels));
}
