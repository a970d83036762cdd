// A small client of Action: lists, runs, streams, comes back after a lost connection, cancels.
//
//     node client.js nodes [SET]
//     node client.js commands
//     node client.js run [--yes] [-g SET] COMMAND [--] [ARGUMENT]..
//     node client.js watch RUN
//     node client.js cancel RUN
//
// ACTION_URL is the server's address, as http://127.0.0.1:6304 or https://gateway1/action, ACTION_TOKEN a token, and ACTION_CA a
// file with the certificate of the server's authority where that is not one of the system's. Ctrl-C cancels the run that is being
// followed; once more, and it goes on without a watcher. What it needs: README.md.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');
const { setTimeout: sleep } = require('node:timers/promises');
const { parseArgs } = require('node:util');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const PROTO = process.env.ACTION_PROTO || path.join(__dirname, '../../proto');
// Calls with one answer are to have it within this time. A stream may be silent for as long as its scripts are.
const DEADLINE = 30_000;
const FIRST_WAIT = 100;
const LONGEST_WAIT = 5_000;
const TRIES = 60;
// What the server has said will not be different the next time. A connection that broke, here or at a web server on the way, shows
// as one of the other codes: UNAVAILABLE, INTERNAL, UNKNOWN, CANCELLED.
const LAST_WORDS = new Set([
  grpc.status.NOT_FOUND,
  grpc.status.INVALID_ARGUMENT,
  grpc.status.OUT_OF_RANGE,
  grpc.status.UNAUTHENTICATED,
  grpc.status.PERMISSION_DENIED,
  grpc.status.UNIMPLEMENTED,
  grpc.status.DATA_LOSS,
]);

/** The service's constructor, with each method below a path, as behind a web server. */
function serviceBelow(prefix) {
  const options = { includeDirs: [PROTO], keepCase: true, longs: String, enums: String, oneofs: true };
  const loaded = loader.loadSync('action/v1/action.proto', options);
  for (const method of Object.values(loaded['action.v1.ActionService'])) method.path = prefix + method.path;
  return grpc.loadPackageDefinition(loaded).action.v1.ActionService;
}

/** The server's methods, with the token on each call. */
class Client {
  constructor(address, token, authority) {
    const url = new URL(address);
    const secure = url.protocol === 'https:';
    const credentials = secure
      ? grpc.credentials.createSsl(authority ? fs.readFileSync(authority) : null)
      : grpc.credentials.createInsecure();
    const Service = serviceBelow(url.pathname.replace(/\/$/, ''));
    this.service = new Service(`${url.hostname}:${url.port || (secure ? 443 : 80)}`, credentials, {
      'grpc.max_receive_message_length': 64 << 20,
      'grpc.keepalive_time_ms': 20_000,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 5_000,
      // A call must not be sent twice by the library: twice is two runs.
      'grpc.enable_retries': 0,
    });
    this.metadata = new grpc.Metadata();
    this.metadata.set('authorization', `Bearer ${token}`);
  }

  /** Calls a method that has one answer. */
  ask(method, request) {
    return new Promise((resolve, reject) => {
      const done = (error, answer) => (error ? reject(error) : resolve(answer));
      this.service[method](request, this.metadata, { deadline: Date.now() + DEADLINE }, done);
    });
  }

  /** All entries of a list, page by page. */
  async *pages(method, request, entries) {
    for (let token = ''; ; ) {
      const page = await this.ask(method, { ...request, page_token: token });
      yield* page[entries];
      token = page.next_page_token;
      if (!token) return;
    }
  }

  /** Starts a run. Not to be tried again: twice is two runs. */
  start(request) {
    const stream = this.service.RunCommand(request, this.metadata);
    const run = new Run(this, '', stream);
    // The headers come when the run is on the server's disk, and before any event.
    stream.on('metadata', (headers) => { run.id = String(headers.get('action-run-id')[0] || ''); });
    return run;
  }

  /** Follows a run that is there already, from its first event. */
  watch(id) {
    return new Run(this, id, null);
  }
}

/** The events of a run, each once and in order, over as many connections as it takes. */
class Run {
  constructor(client, id, stream) {
    Object.assign(this, { client, id, stream, last: '0' });
  }

  async *[Symbol.asyncIterator]() {
    let [wait, tries] = [FIRST_WAIT, 0];
    for (;;) {
      const began = performance.now();
      try {
        for await (const { event } of this.stream || this.again()) {
          [this.id, this.last, wait, tries] = [event.run_id, event.sequence, FIRST_WAIT, 0];
          yield event;
          if (event.event === 'run_finished') return;
        }
        if (await this.hasNoEnd()) throw new Error(`the end of run ${this.id} could not be written`);
      } catch (error) {
        tries += 1;
        const final = error.code === undefined || LAST_WORDS.has(error.code);
        if (!this.id || final || tries > TRIES) throw error;
        console.error(`lost the connection: ${error.details}`);
      }
      // One that held for a while was good: a web server may end streams that are silent.
      if (performance.now() - began > LONGEST_WAIT) [wait, tries] = [FIRST_WAIT, 0];
      this.stream = null;
      await sleep(wait);
      wait = Math.min(2 * wait, LONGEST_WAIT);
    }
  }

  again() {
    return this.client.service.WatchRun({ run_id: this.id, after_sequence: this.last }, this.client.metadata);
  }

  /** Whether it was given up for want of space, so that there is nothing to wait for. */
  async hasNoEnd() {
    const { run } = await this.client.ask('GetRun', { run_id: this.id });
    return run.outcome === 'OUTCOME_LOST' && !run.end_time;
  }

  cancel() {
    return this.client.ask('CancelRun', { run_id: this.id });
  }
}

/** Shows output in whole lines, each with its node's name, stdout and stderr apart. */
class Screen {
  begun = new Map();

  output({ node, stream, data }) {
    const key = `${stream} ${node}`;
    // latin1 keeps bytes as they are, so that a character that is cut between two events comes together again.
    const lines = ((this.begun.get(key)?.text ?? '') + data.toString('latin1')).split('\n');
    const text = lines.pop();
    for (const line of lines) this.line(node, stream, line);
    this.begun.set(key, { node, stream, text });
  }

  endOf(ended) {
    for (const [key, { node, stream, text }] of this.begun) {
      if (node !== ended) continue;
      if (text) this.line(node, stream, text);
      this.begun.delete(key);
    }
  }

  line(node, stream, latin1) {
    // Whatever a script prints, it does not steer this terminal.
    const text = Buffer.from(latin1, 'latin1').toString().replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '?');
    const file = stream === 'OUTPUT_STREAM_STDERR' ? process.stderr : process.stdout;
    file.write(node ? `${node}: ${text}\n` : `${text}\n`);
  }
}

const nameOf = (outcome) => outcome.replace(/^OUTCOME_/, '').toLowerCase();

/** Shows a run to its end: whether all of it went well. */
async function follow(run) {
  process.once('SIGINT', () => run.cancel().catch((error) => console.error(`cannot cancel: ${error.details}`)));
  const screen = new Screen();
  let well = false;
  for await (const event of run) {
    const what = event[event.event];
    if (event.event === 'run_started') console.error(`run ${event.run_id}`);
    if (event.event === 'node_output') screen.output(what);
    if (event.event === 'node_finished') {
      screen.endOf(what.node);
      if (what.outcome === 'OUTCOME_OK') continue;
      // `_exit_code` is how the library says that the field is set.
      const why = what._exit_code ? `exit ${what.exit_code}` : what.message;
      console.error(`${what.node}: ${nameOf(what.outcome)}: ${why}`);
    }
    if (event.event === 'run_finished') {
      console.error(`the run has ended: ${nameOf(what.outcome)}`);
      well = what.outcome === 'OUTCOME_OK';
    }
  }
  return well;
}

/** Asks what the command asks, and starts exactly the plan that the question was about. */
async function start(client, yes, what) {
  const plan = await client.ask('PlanRun', what);
  if (plan.confirmation && !yes) {
    console.error(plan.confirmation);
    const terminal = readline.createInterface(process.stdin);
    // Without a terminal there is no line, and that is no yes.
    const answer = await new Promise((resolve) => terminal.once('line', resolve).once('close', () => resolve('')));
    terminal.close();
    if (!['y', 'yes'].includes(answer.trim())) throw new Error('nothing was run');
  }
  return client.start({ ...what, confirmed: true, plan_digest: plan.digest });
}

async function main() {
  const options = { yes: { type: 'boolean' }, nodes: { type: 'string', short: 'g', default: '' } };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const [verb, first = '', ...rest] = positionals;
  const { ACTION_URL, ACTION_TOKEN, ACTION_CA } = process.env;
  const client = new Client(ACTION_URL, ACTION_TOKEN, ACTION_CA);
  const verbs = {
    async nodes() {
      for await (const node of client.pages('ListNodes', { nodes: first }, 'nodes')) console.log(node.name);
    },
    async commands() {
      for await (const it of client.pages('ListCommands', {}, 'commands')) console.log(`${it.name}  ${it.summary}`);
    },
    async run() {
      const what = { command: first, nodes: values.nodes, arguments: rest };
      return follow(await start(client, values.yes, what));
    },
    watch: () => follow(client.watch(first)),
    cancel: () => client.watch(first).cancel(),
  };
  if (!Object.hasOwn(verbs, verb)) throw new Error('one of nodes, commands, run, watch, cancel is needed');
  process.exitCode = (await verbs[verb]()) === false ? 1 : 0;
  client.service.close();
}

main().catch((error) => {
  console.error(`error: ${error.code === undefined ? error.message : `${grpc.status[error.code]}: ${error.details}`}`);
  process.exit(1);
});
