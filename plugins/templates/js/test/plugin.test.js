// Run by `./build test`, without a worker.

import assert from 'node:assert/strict';
import test from 'node:test';

import { plugin } from '../plugin.js';
import { Invalid } from '../sdk/freefans-plugin.js';

const ask = (params, seed = 7n) => plugin.answer('PLUGIN_TYPE', params, { seed });

test('one word is chosen', async () => {
  assert.deepEqual(await ask({ text: 'tea' }), {
    words: ['tea'],
    chosen: 'tea',
    view: {
      version: 1,
      text: '**PLUGIN_TITLE** chooses **tea**.',
      items: [{ title: 'tea' }],
      buttons: [[{ text: 'Again', task_type: 'PLUGIN_TYPE', params: { text: 'tea' } }]],
    },
  });
});

test('chance decides', async () => {
  const chosen = new Set();
  for (let seed = 0n; seed < 50n; seed += 1n) chosen.add((await ask({}, seed)).chosen);
  assert.deepEqual(chosen, new Set(['heads', 'tails']));
});

test('no words are answered kindly', async () => {
  await assert.rejects(ask({ text: ' ' }), (error) => error instanceof Invalid && /for instance/.test(error.message));
});

test('markup is shown as it is', async () => {
  assert.equal((await ask({ text: 'a*b' })).view.text, '**PLUGIN_TITLE** chooses **a\\*b**.');
});
