// Views and tasks of the library for JavaScript: `node --test tests/view.test.js` in plugins/sdk.

import assert from 'node:assert/strict';
import test from 'node:test';

import { ask, Fatal, Host, link, Plugin, View, ViewError } from '../js/freefans-plugin.js';

function refused(rule, make) {
  assert.throws(make, (error) => error instanceof ViewError && error.message.includes(rule), rule);
}

const deep = (levels) => (levels === 1 ? {} : { in: deep(levels - 1) });

test('all parts are as the contract has them', () => {
  const view = new View('Hello')
    .item('One', { url: 'https://c.example/1', text: 'more' })
    .photo('https://c.example/1.jpg', 'A picture')
    .row(ask('Again', 'roll', { dice: '2d6' }), link('Page', 'https://c.example'))
    .next('roll', { page: 2 });
  assert.deepEqual(view.build(), {
    version: 1,
    text: 'Hello',
    items: [{ title: 'One', url: 'https://c.example/1', text: 'more' }],
    media: [{ type: 'photo', url: 'https://c.example/1.jpg', caption: 'A picture' }],
    buttons: [
      [
        { text: 'Again', task_type: 'roll', params: { dice: '2d6' } },
        { text: 'Page', url: 'https://c.example' },
      ],
    ],
    next: { task_type: 'roll', params: { page: 2 } },
  });
});

test('long texts are cut', () => {
  const view = new View('ü'.repeat(16_001))
    .item('x'.repeat(121), { text: 'y'.repeat(301) })
    .row(ask('🌊'.repeat(49), 'roll'))
    .build();
  assert.deepEqual([view.text.length, view.text.at(-1)], [16_000, '…']);
  assert.deepEqual([view.items[0].title.length, view.items[0].text.length], [120, 300]);
  assert.equal([...view.buttons[0][0].text].length, 48);
  assert.ok(Buffer.byteLength(new View('🌊'.repeat(16_000)).build().text) <= 32 << 10);
});

test('what breaks a rule is told with the limit', () => {
  const repeated = (count, add) => () => {
    const view = new View('x');
    for (let i = 0; i < count; i += 1) add(view);
    return view.build();
  };
  const button = ask('x', 'roll');
  const four = [button, button, button, button];
  refused('at most 50 items', repeated(51, (view) => view.item('x')));
  refused('at most 10 media', repeated(11, (view) => view.video('http://c.example')));
  refused('at most 8 rows', repeated(9, (view) => view.row(button)));
  refused('at most 24 buttons', repeated(7, (view) => view.row(...four)));
  refused('1 to 4 buttons', () => new View('x').row(button, ...four));
  refused('http or https', () => link('x', 'ftp://c.example'));
  refused('at most 2048 bytes', () => link('x', `https://c.example/${'x'.repeat(2048)}`));
  refused('no task type', () => ask('x', 'Roll'));
  refused('no object', () => ask('x', 'roll', [1]));
  refused('2048 bytes and 32 levels', () => ask('x', 'roll', { x: 'y'.repeat(2048) }));
  refused('32 levels', () => ask('x', 'roll', deep(33)));
  refused('is empty', () => new View('x').item(' '));
  refused('needs text', () => new View(' ').build());
  const url = `https://c.example/${'x'.repeat(1500)}`;
  refused('at most 49152 bytes', repeated(40, (view) => view.item('x', { url })));
  assert.deepEqual(ask('x', 'roll', deep(32)).params, deep(32));
});

test('each task has its own random numbers', async () => {
  const plugin = new Plugin('dice', '1.0.0');
  plugin.task('roll', { summary: 'Rolls.', params: {} }, () => Math.random());
  const roll = (seed) => plugin.answer('roll', {}, { seed });
  const [one, two, again] = [await roll(1n), await roll(2n), await roll(1n)];
  assert.notEqual(one, two);
  assert.equal(one, again);
  assert.ok(one >= 0 && one < 1);
});

test('a test has a host in memory', async () => {
  const plugin = new Plugin('dice', '1.0.0');
  plugin.task('count', { summary: 'Counts.', params: {} }, (params, task) => {
    const before = task.cacheGet('n') ?? 0;
    task.cacheSet('n', before + 1, 60);
    task.log('counted');
    return { before, unit: task.config('unit', 'times'), rows: task.data('rows') };
  });
  const host = new Host({ config: { unit: 'x' }, data: { rows: '12' } });
  assert.deepEqual(await plugin.answer('count', {}, { host }), { before: 0, unit: 'x', rows: '12' });
  assert.equal((await plugin.answer('count', {}, { host })).before, 1);
  assert.deepEqual(host.lines, [['info', 'counted'], ['info', 'counted']]);
  await assert.rejects(plugin.answer('count', {}), (error) => error instanceof Fatal && /grants.data/.test(error.message));
});
