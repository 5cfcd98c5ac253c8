// BullMQ: `submit single|bulk N`, `work CONCURRENCY`, `wait N`.
const fs = require('fs');
const { Queue, QueueEvents, Worker } = require('bullmq');

const PARAMS = {
  query: 'alice',
  limit: 10,
  opts: { fuzzy: true, fields: ['name', 'aliases'] },
  id: '0f9d2c1e-7b1a-4c55',
};
const BATCH = 1000;
const WARM_UP = 20;
const PATIENCE_MS = 10_000;
const { BENCH_URL, BENCH_MARKS, BENCH_FIRST, BENCH_LAST } = process.env;
const connection = {
  host: '127.0.0.1',
  port: Number(new URL(BENCH_URL).port),
  maxRetriesPerRequest: null,
};
// As long as the other peers keep results.
const options = { removeOnComplete: { age: 3600 } };

function print(figures) {
  console.log('RESULT ' + JSON.stringify(figures));
}

async function submit(mode, tasks) {
  const queue = new Queue('bench', { connection });
  await queue.waitUntilReady();
  const one = { name: 'noop', data: PARAMS, opts: options };
  const since = process.hrtime.bigint();
  if (mode === 'single') {
    for (let n = 0; n < tasks; n++) await queue.add('noop', PARAMS, options);
  } else {
    for (let n = 0; n < tasks; n += BATCH) await queue.addBulk(Array(BATCH).fill(one));
  }
  print({ per_s: tasks / (Number(process.hrtime.bigint() - since) / 1e9) });
  await queue.close();
}

function work(concurrency) {
  const marks = new Map([[Number(BENCH_FIRST), '.first'], [Number(BENCH_LAST), '.last']]);
  let jobs = 0;
  const job = async () => {
    const mark = marks.get(++jobs);
    if (mark && BENCH_MARKS) {
      fs.writeFileSync(BENCH_MARKS + '.part', String(Date.now() / 1e3));
      fs.renameSync(BENCH_MARKS + '.part', BENCH_MARKS + mark);
    }
    return { ok: true, hits: [] };
  };
  new Worker('bench', job, { connection, concurrency, ...options });
}

async function wait(times) {
  const queue = new Queue('bench', { connection });
  const events = new QueueEvents('bench', { connection });
  await Promise.all([queue.waitUntilReady(), events.waitUntilReady()]);
  const took = [];
  for (let n = 0; n < times + WARM_UP; n++) {
    const since = process.hrtime.bigint();
    const job = await queue.add('noop', PARAMS, options);
    const result = await job.waitUntilFinished(events, PATIENCE_MS);
    const elapsed = Number(process.hrtime.bigint() - since) / 1e6;
    if (!result.ok) throw new Error('not ok');
    if (n >= WARM_UP) took.push(elapsed);
  }
  took.sort((a, b) => a - b);
  const ms = (share) => took[Math.floor(((took.length - 1) * share) / 100)];
  print({ p50_ms: ms(50), p95_ms: ms(95), p99_ms: ms(99) });
  process.exit(0);
}

const [command, first, second] = process.argv.slice(2);
if (command === 'submit') submit(first, Number(second));
else if (command === 'work') work(Number(first));
else wait(Number(first));
