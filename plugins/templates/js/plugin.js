// PLUGIN_TITLE: chooses one of several words. Everything in this file runs in plain Node too: see test/.

import { ask, escape, Invalid, Plugin, View } from './sdk/freefans-plugin.js';

const MAX_WORDS = 50;

export const plugin = new Plugin('PLUGIN_NAME', '0.1.0');

// /PLUGIN_IDENT tea coffee   becomes a task PLUGIN_TYPE with the params {"text": "tea coffee"}.
plugin.command({
  name: 'PLUGIN_IDENT',
  description: 'Let PLUGIN_TITLE choose',
  task_type: 'PLUGIN_TYPE',
  argument: { param: 'text', required: false, example: 'tea coffee' },
});

// The host refuses a task whose params do not fit, so the handler need not check them again.
const params = {
  type: 'object',
  properties: { text: { type: 'string', maxLength: 200 } },
  additionalProperties: false,
};

plugin.task('PLUGIN_TYPE', { summary: 'Chooses one of several words.', params }, ({ text = 'heads tails' }) => {
  const words = text.split(/\s+/).filter((word) => word !== '');
  if (words.length === 0) throw new Invalid('Write some words to choose from, for instance: tea coffee');
  if (words.length > MAX_WORDS) throw new Invalid(`I choose from at most ${MAX_WORDS} words.`);
  const chosen = words[Math.floor(Math.random() * words.length)];
  const view = new View(`**PLUGIN_TITLE** chooses **${escape(chosen)}**.`);
  for (const word of words) view.item(word);
  view.row(ask('Again', 'PLUGIN_TYPE', { text: words.join(' ') }));
  return { words, chosen, view: view.build() };
});
