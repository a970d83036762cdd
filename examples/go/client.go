// A small client of Action: lists, runs, streams, comes back after a lost connection, cancels.
//
//	client nodes [SET]
//	client commands
//	client run [--yes] [-g SET] COMMAND [ARGUMENT]..
//	client watch RUN
//	client cancel RUN
//
// ACTION_URL is the server's address, as http://127.0.0.1:6304 or https://gateway1/action, ACTION_TOKEN a token, and ACTION_CA a file
// with the certificate of the server's authority where that is not one of the system's. Ctrl-C cancels the run that is being
// followed; once more, and it goes on without a watcher. What it needs, and how the stubs are made: README.md.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"time"

	pb "action/v1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	// Calls with one answer are to have it within this time. A stream may be silent for as long as its scripts are.
	deadline    = 30 * time.Second
	firstWait   = 100 * time.Millisecond
	longestWait = 5 * time.Second
	mostTries   = 60
)

// What the server has said will not be different the next time. A connection that broke, here or at a web server on the way, shows
// as one of the other codes: Unavailable, Internal, Unknown, Canceled.
var lastWords = map[codes.Code]bool{
	codes.NotFound: true, codes.InvalidArgument: true, codes.OutOfRange: true, codes.Unauthenticated: true,
	codes.PermissionDenied: true, codes.Unimplemented: true, codes.DataLoss: true,
}

// A connection on which each method is called below a path, as behind a web server.
type below struct {
	*grpc.ClientConn
	path string
}

func (b below) Invoke(ctx context.Context, method string, request, answer interface{}, options ...grpc.CallOption) error {
	return b.ClientConn.Invoke(ctx, b.path+method, request, answer, options...)
}

func (b below) NewStream(ctx context.Context, about *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	return b.ClientConn.NewStream(ctx, about, b.path+method, options...)
}

// The server's methods, with the token on each call made with its context.
type client struct {
	pb.ActionServiceClient
	context context.Context
}

func connect(address, token, authority string) (*client, error) {
	server, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	security, port := grpc.WithInsecure(), "80"
	if server.Scheme == "https" {
		var pool *x509.CertPool
		if authority != "" {
			pem, err := os.ReadFile(authority)
			if err != nil {
				return nil, err
			}
			pool = x509.NewCertPool()
			pool.AppendCertsFromPEM(pem)
		}
		security, port = grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(pool, "")), "443"
	}
	if server.Port() != "" {
		port = server.Port()
	}
	waits := backoff.Config{BaseDelay: firstWait, Multiplier: 2, Jitter: 0.2, MaxDelay: longestWait}
	connection, err := grpc.Dial(server.Hostname()+":"+port, security,
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: waits, MinConnectTimeout: longestWait}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		return nil, err
	}
	service := pb.NewActionServiceClient(below{connection, strings.TrimRight(server.Path, "/")})
	return &client{service, metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+token)}, nil
}

// A context for a call with one answer.
func (c *client) soon() (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.context, deadline)
}

// Calls for page after page, each with the token of the one before, until there is none.
func (c *client) pages(page func(ctx context.Context, token string) (string, error)) error {
	for token := ""; ; {
		ctx, done := c.soon()
		next, err := page(ctx, token)
		done()
		if err != nil || next == "" {
			return err
		}
		token = next
	}
}

func (c *client) cancel(id string) error {
	ctx, done := c.soon()
	defer done()
	_, err := c.CancelRun(ctx, &pb.CancelRunRequest{RunId: id})
	return err
}

// The events of a run, each once and in order, over as many connections as it takes.
type run struct {
	client *client
	id     string
	last   uint64
	// Gives the next event of the stream that is open; nil when none is.
	receive func() (*pb.RunEvent, error)
}

// Starts a run. Not to be tried again: twice is two runs.
func (c *client) start(request *pb.RunCommandRequest) (*run, error) {
	stream, err := c.RunCommand(c.context, request)
	if err != nil {
		return nil, err
	}
	started := &run{client: c, receive: func() (*pb.RunEvent, error) {
		message, err := stream.Recv()
		return message.GetEvent(), err
	}}
	// The headers come when the run is on the server's disk. Without them the first read says why.
	if headers, err := stream.Header(); err == nil && len(headers.Get("action-run-id")) > 0 {
		started.id = headers.Get("action-run-id")[0]
	}
	return started, nil
}

func (r *run) again() error {
	stream, err := r.client.WatchRun(r.client.context, &pb.WatchRunRequest{RunId: r.id, AfterSequence: r.last})
	r.receive = func() (*pb.RunEvent, error) {
		message, err := stream.Recv()
		return message.GetEvent(), err
	}
	return err
}

// Shows each event until the last one, or until there is no more to be had.
func (r *run) follow(show func(*pb.RunEvent)) error {
	for wait, tries := firstWait, 0; ; wait = min(2*wait, longestWait) {
		began, before := time.Now(), r.last
		err := r.stream(show)
		if err == nil {
			return nil
		}
		// One that brought something or held for a while was good: a web server may end streams that are silent.
		if r.last > before || time.Since(began) > longestWait {
			wait, tries = firstWait, 0
		}
		tries++
		if r.id == "" || lastWords[status.Code(err)] || tries > mostTries {
			return err
		}
		fmt.Fprintf(os.Stderr, "lost the connection: %s\n", status.Convert(err).Message())
		r.receive = nil
		time.Sleep(wait)
	}
}

// Shows the events of one stream: nil after the last one of the run.
func (r *run) stream(show func(*pb.RunEvent)) error {
	if r.receive == nil {
		if err := r.again(); err != nil {
			return err
		}
	}
	for {
		event, err := r.receive()
		if err == io.EOF {
			return r.endOfNone()
		}
		if err != nil {
			return err
		}
		r.id, r.last = event.RunId, event.Sequence
		show(event)
		if event.GetRunFinished() != nil {
			return nil
		}
	}
}

// Why a stream has ended without the end of its run.
func (r *run) endOfNone() error {
	ctx, done := r.client.soon()
	defer done()
	answer, err := r.client.GetRun(ctx, &pb.GetRunRequest{RunId: r.id})
	if err != nil {
		return err
	}
	if answer.Run.Outcome == pb.Outcome_OUTCOME_LOST && answer.Run.EndTime == nil {
		// It was given up for want of space, so there is nothing to wait for.
		return status.Errorf(codes.DataLoss, "the end of run %s could not be written", r.id)
	}
	return status.Error(codes.Unavailable, "the stream has ended")
}

func min(a, b time.Duration) time.Duration {
	if a < b {
		return a
	}
	return b
}

type output struct {
	node   string
	stream pb.OutputStream
}

// Shows output in whole lines, each with its node's name, stdout and stderr apart.
type screen map[output][]byte

func (s screen) show(part *pb.NodeOutput) {
	from := output{part.Node, part.Stream}
	lines := bytes.Split(append(s[from], part.Data...), []byte("\n"))
	for _, line := range lines[:len(lines)-1] {
		from.print(line)
	}
	s[from] = lines[len(lines)-1]
}

func (s screen) endOf(node string) {
	for from, line := range s {
		if from.node == node {
			if len(line) > 0 {
				from.print(line)
			}
			delete(s, from)
		}
	}
}

func (o output) print(line []byte) {
	// Whatever a script prints, it does not steer this terminal.
	harmless := func(r rune) rune {
		if r < 0x20 && r != '\t' || 0x7f <= r && r <= 0x9f {
			return '?'
		}
		return r
	}
	text := strings.Map(harmless, string(bytes.ToValidUTF8(line, []byte("\uFFFD"))))
	if o.node != "" {
		text = o.node + ": " + text
	}
	file := os.Stdout
	if o.stream == pb.OutputStream_OUTPUT_STREAM_STDERR {
		file = os.Stderr
	}
	fmt.Fprintln(file, text)
}

var errNotWell = errors.New("")

// Shows a run to its end, and is an error if not all of it went well.
func watch(r *run) error {
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	go func() {
		<-interrupts
		signal.Reset(os.Interrupt)
		if err := r.client.cancel(r.id); err != nil {
			fmt.Fprintf(os.Stderr, "cannot cancel: %s\n", status.Convert(err).Message())
		}
	}()
	shown, outcome := screen{}, pb.Outcome_OUTCOME_UNSPECIFIED
	err := r.follow(func(event *pb.RunEvent) {
		switch event := event.Event.(type) {
		case *pb.RunEvent_RunStarted:
			fmt.Fprintln(os.Stderr, "run", r.id)
		case *pb.RunEvent_NodeOutput:
			shown.show(event.NodeOutput)
		case *pb.RunEvent_NodeFinished:
			end := event.NodeFinished
			shown.endOf(end.Node)
			why := end.Message
			if end.ExitCode != nil {
				why = fmt.Sprint("exit ", *end.ExitCode)
			}
			if end.Outcome != pb.Outcome_OUTCOME_OK {
				fmt.Fprintf(os.Stderr, "%s: %s: %s\n", end.Node, nameOf(end.Outcome), why)
			}
		case *pb.RunEvent_RunFinished:
			outcome = event.RunFinished.Outcome
			fmt.Fprintln(os.Stderr, "the run has ended:", nameOf(outcome))
		}
	})
	if err == nil && outcome != pb.Outcome_OUTCOME_OK {
		return errNotWell
	}
	return err
}

func nameOf(outcome pb.Outcome) string {
	return strings.ToLower(strings.TrimPrefix(outcome.String(), "OUTCOME_"))
}

// Asks what the command asks, and starts exactly the plan that the question was about.
func (c *client) startAsked(words []string) (*run, error) {
	flags := flag.NewFlagSet("run", flag.ExitOnError)
	yes := flags.Bool("yes", false, "answer the command's question with yes")
	nodes := flags.String("g", "", "the nodes, as a `SET`")
	flags.Parse(words)
	if flags.NArg() == 0 {
		return nil, errors.New("a command is needed")
	}
	command, arguments := flags.Arg(0), flags.Args()[1:]
	ctx, done := c.soon()
	defer done()
	plan, err := c.PlanRun(ctx, &pb.PlanRunRequest{Command: command, Nodes: *nodes, Arguments: arguments})
	if err != nil {
		return nil, err
	}
	if plan.Confirmation != "" && !*yes {
		fmt.Fprintln(os.Stderr, plan.Confirmation)
		answer, _ := bufio.NewReader(os.Stdin).ReadString('\n')
		if answer = strings.TrimSpace(answer); answer != "y" && answer != "yes" {
			return nil, errors.New("nothing was run")
		}
	}
	return c.start(&pb.RunCommandRequest{
		Command: command, Nodes: *nodes, Arguments: arguments, Confirmed: true, PlanDigest: plan.Digest,
	})
}

func (c *client) listNodes(set string) error {
	return c.pages(func(ctx context.Context, token string) (string, error) {
		page, err := c.ListNodes(ctx, &pb.ListNodesRequest{Nodes: set, PageToken: token})
		for _, node := range page.GetNodes() {
			fmt.Println(node.Name)
		}
		return page.GetNextPageToken(), err
	})
}

func (c *client) listCommands() error {
	return c.pages(func(ctx context.Context, token string) (string, error) {
		page, err := c.ListCommands(ctx, &pb.ListCommandsRequest{PageToken: token})
		for _, command := range page.GetCommands() {
			fmt.Printf("%s  %s\n", command.Name, command.Summary)
		}
		return page.GetNextPageToken(), err
	})
}

func do(words []string) error {
	words = append(words, "", "")
	c, err := connect(os.Getenv("ACTION_URL"), os.Getenv("ACTION_TOKEN"), os.Getenv("ACTION_CA"))
	if err != nil {
		return err
	}
	switch words[0] {
	case "nodes":
		return c.listNodes(words[1])
	case "commands":
		return c.listCommands()
	case "run":
		started, err := c.startAsked(words[1 : len(words)-2])
		if err != nil {
			return err
		}
		return watch(started)
	case "watch":
		return watch(&run{client: c, id: words[1]})
	case "cancel":
		return c.cancel(words[1])
	}
	return errors.New("one of nodes, commands, run, watch, cancel is needed")
}

func main() {
	err := do(os.Args[1:])
	if err == nil {
		return
	}
	if said, ok := status.FromError(err); ok {
		// `NotFound` is NOT_FOUND in all other languages.
		code := regexp.MustCompile("([a-z])([A-Z])").ReplaceAllString(said.Code().String(), "${1}_$2")
		fmt.Fprintf(os.Stderr, "error: %s: %s\n", strings.ToUpper(code), said.Message())
	} else if err != errNotWell {
		fmt.Fprintln(os.Stderr, "error:", err)
	}
	os.Exit(1)
}
