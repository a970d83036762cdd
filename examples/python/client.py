#!/usr/bin/env python3
"""A small client of Action: lists, runs, streams, comes back after a lost connection, cancels.

    client.py nodes [SET]
    client.py commands
    client.py run [--yes] [-g SET] COMMAND [ARGUMENT]..
    client.py watch RUN
    client.py cancel RUN

ACTION_URL is the server's address, as http://127.0.0.1:6304 or https://gateway1/action, ACTION_TOKEN a token, and ACTION_CA
a file with the certificate of the server's authority where that is not one of the system's. Ctrl-C cancels the run that is
being followed; once more, and it goes on without a watcher. What it needs, and how the stubs are made: README.md.
"""

import argparse
import os
import re
import signal
import sys
import threading
import time
from urllib.parse import urlsplit

import grpc

from action.v1 import action_pb2 as pb
from action.v1 import action_pb2_grpc as rpc

# Calls with one answer are to have it within this time. A stream may be silent for as long as its scripts are.
DEADLINE = 30
FIRST_WAIT, LONGEST_WAIT, TRIES = 0.1, 5, 60
# What the server has said will not be different the next time. A connection that broke, here or at a web server on the way, shows
# as one of the other codes: UNAVAILABLE, INTERNAL, UNKNOWN, CANCELLED.
LAST_WORDS = {
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.DATA_LOSS,
}


class Below:
    """A channel on which each method is called below a path, as behind a web server."""

    def __init__(self, channel, path):
        self.channel, self.path = channel, path

    def unary_unary(self, method, *rest, **others):
        return self.channel.unary_unary(self.path + method, *rest, **others)

    def unary_stream(self, method, *rest, **others):
        return self.channel.unary_stream(self.path + method, *rest, **others)


class Client:
    """The server's methods, with the token on each call."""

    def __init__(self, url, token, authority=None):
        url = urlsplit(url)
        options = [
            ("grpc.max_receive_message_length", 64 << 20),
            ("grpc.keepalive_time_ms", 20_000),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 5_000),
        ]
        if url.scheme == "https":
            target = f"{url.hostname}:{url.port or 443}"
            pem = open(authority, "rb").read() if authority else None
            channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(pem), options)
        else:
            channel = grpc.insecure_channel(f"{url.hostname}:{url.port or 80}", options)
        self.channel = channel
        self.service = rpc.ActionServiceStub(Below(channel, url.path.rstrip("/")))
        self.metadata = [("authorization", f"Bearer {token}")]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Python may hang at its end over a channel that is still open.
        self.channel.close()

    def ask(self, method, request):
        """Calls a method that has one answer."""
        call = getattr(self.service, method)
        return call(request, metadata=self.metadata, timeout=DEADLINE)

    def pages(self, method, request, entries):
        """All entries of a list, page by page."""
        while True:
            page = self.ask(method, request)
            yield from getattr(page, entries)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def start(self, request):
        """Starts a run. Not to be tried again: twice is two runs."""
        stream = self.service.RunCommand(request, metadata=self.metadata)
        # The headers come when the run is on the server's disk. Without them the first read says why.
        run_id = dict(stream.initial_metadata() or ()).get("action-run-id")
        return Run(self, run_id, stream)

    def watch(self, run_id):
        """Follows a run that is there already, from its first event."""
        return Run(self, run_id, None)


class Run:
    """The events of a run, each once and in order, over as many connections as it takes."""

    def __init__(self, client, run_id, stream):
        self.client, self.run_id, self.stream, self.last = client, run_id, stream, 0

    def __iter__(self):
        wait, tries = FIRST_WAIT, 0
        while True:
            began = time.monotonic()
            try:
                for message in self.stream or self.again():
                    event = message.event
                    self.run_id, self.last = event.run_id, event.sequence
                    wait, tries = FIRST_WAIT, 0
                    yield event
                    if event.HasField("run_finished"):
                        return
                if self.has_no_end():
                    raise SystemExit(f"the end of run {self.run_id} could not be written")
            except grpc.RpcError as error:
                tries += 1
                if not self.run_id or error.code() in LAST_WORDS or tries > TRIES:
                    raise
                print(f"lost the connection: {error.details()}", file=sys.stderr)
            # One that held for a while was good: a web server may end streams that are silent.
            if time.monotonic() - began > LONGEST_WAIT:
                wait, tries = FIRST_WAIT, 0
            self.stream = None
            time.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)

    def again(self):
        request = pb.WatchRunRequest(run_id=self.run_id, after_sequence=self.last)
        return self.client.service.WatchRun(request, metadata=self.client.metadata)

    def has_no_end(self):
        """Whether it was given up for want of space, so that there is nothing to wait for."""
        run = self.client.ask("GetRun", pb.GetRunRequest(run_id=self.run_id)).run
        return run.outcome == pb.OUTCOME_LOST and not run.HasField("end_time")

    def cancel(self):
        return self.client.ask("CancelRun", pb.CancelRunRequest(run_id=self.run_id))


class Screen:
    """Shows output in whole lines, each with its node's name, stdout and stderr apart."""

    def __init__(self):
        self.begun = {}

    def output(self, output):
        key = (output.node, output.stream)
        *lines, rest = (self.begun.pop(key, b"") + output.data).split(b"\n")
        for line in lines:
            self.line(key, line)
        if rest:
            self.begun[key] = rest

    def end_of(self, node):
        for key in [key for key in self.begun if key[0] == node]:
            self.line(key, self.begun.pop(key))

    @staticmethod
    def line(key, line):
        node, stream = key
        # Whatever a script prints, it does not steer this terminal.
        text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "?", line.decode(errors="replace"))
        file = sys.stderr if stream == pb.OUTPUT_STREAM_STDERR else sys.stdout
        print(f"{node}: {text}" if node else text, file=file, flush=True)


def follow(run):
    """Shows a run to its end: whether all of it went well."""

    def interrupted(*_):
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # On a thread of its own, as this one may be in the middle of a call.
        threading.Thread(target=run.cancel, daemon=True).start()

    signal.signal(signal.SIGINT, interrupted)
    screen, well = Screen(), False
    for event in run:
        kind = event.WhichOneof("event")
        if kind == "run_started":
            print(f"run {event.run_id}", file=sys.stderr)
        elif kind == "node_output":
            screen.output(event.node_output)
        elif kind == "node_finished":
            end = event.node_finished
            screen.end_of(end.node)
            if end.outcome != pb.OUTCOME_OK:
                code = f"exit {end.exit_code}" if end.HasField("exit_code") else end.message
                print(f"{end.node}: {name_of(end.outcome)}: {code}", file=sys.stderr)
        elif kind == "run_finished":
            print(f"the run has ended: {name_of(event.run_finished.outcome)}", file=sys.stderr)
            well = event.run_finished.outcome == pb.OUTCOME_OK
    return well


def name_of(outcome):
    return pb.Outcome.Name(outcome).removeprefix("OUTCOME_").lower()


def start(client, words):
    """Asks what the command asks, and starts exactly the plan that the question was about."""
    what = dict(command=words.command, nodes=words.nodes, arguments=words.arguments)
    plan = client.ask("PlanRun", pb.PlanRunRequest(**what))
    if plan.confirmation and not words.yes:
        print(plan.confirmation, file=sys.stderr)
        if sys.stdin.readline().strip() not in ("y", "yes"):
            raise SystemExit("nothing was run")
    return client.start(pb.RunCommandRequest(**what, confirmed=True, plan_digest=plan.digest))


def main():
    parser = argparse.ArgumentParser(description="A small client of Action")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("nodes").add_argument("nodes", metavar="SET", nargs="?", default="")
    verbs.add_parser("commands")
    run = verbs.add_parser("run")
    run.add_argument("--yes", action="store_true", help="answer the command's question with yes")
    run.add_argument("-g", dest="nodes", metavar="SET", default="")
    run.add_argument("command")
    run.add_argument("arguments", nargs=argparse.REMAINDER)
    for verb in ("watch", "cancel"):
        verbs.add_parser(verb).add_argument("run")
    words = parser.parse_args()

    variables = os.environ
    with Client(
        variables["ACTION_URL"], variables["ACTION_TOKEN"], variables.get("ACTION_CA")
    ) as client:
        return do(client, words)


def do(client, words):
    """Does what the words say: the exit code."""
    if words.verb == "nodes":
        for node in client.pages("ListNodes", pb.ListNodesRequest(nodes=words.nodes), "nodes"):
            print(node.name)
    elif words.verb == "commands":
        for command in client.pages("ListCommands", pb.ListCommandsRequest(), "commands"):
            print(f"{command.name}  {command.summary}")
    elif words.verb == "run":
        return 0 if follow(start(client, words)) else 1
    elif words.verb == "watch":
        return 0 if follow(client.watch(words.run)) else 1
    else:
        client.watch(words.run).cancel()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except grpc.RpcError as error:
        sys.exit(f"error: {error.code().name}: {error.details()}")
    except KeyboardInterrupt:
        sys.exit(130)
