package agent

import (
	"strings"
	"time"

	"shvtools/internal/device/asynccall"
	"shvtools/internal/device/config"
	"shvtools/internal/device/fsnode"
	"shvtools/internal/device/policy"
	"shvtools/internal/device/runas"
	"shvtools/internal/device/runcmd"
	"shvtools/internal/session/inband"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/sys/lograte"
)

const (
	// maxCommands is how many calls of runCmd and runScript run at once.
	maxCommands = 16
	// maxCommandBytes bounds the requests of those calls, for all users and for one.
	maxCommandBytes     = 32 << 20
	maxUserCommandBytes = 16 << 20
	// maxFileJobs is how many requests for files are served at once, maxFileWaiting how
	// many may wait, and maxFileBytes bounds them in bytes; for all users and for one.
	maxFileJobs        = 6
	maxUserFileJobs    = 2
	maxFileWaiting     = 1024
	maxUserFileWaiting = 256
	maxFileBytes       = 32 << 20
	maxUserFileBytes   = 16 << 20
	// fileTime is how long a request for a file may take, and filePatience how long it waits
	// without a question of its caller.
	fileTime     = 10 * time.Minute
	filePatience = 30 * time.Second
	// maxParamItems bounds the values in a request: in the memory of a small device they
	// take many times their bytes. A runCmd with very many arguments has fewer.
	maxParamItems = 64 << 10
	// callGrace is how long calls may take to end with their connection: the processes
	// of a command get HUP, and KILL two seconds later.
	callGrace = 5 * time.Second
)

// Commands are the limits of runCmd and runScript. Zero fields have the defaults of package
// config.
type Commands struct {
	Time   time.Duration // for which a call may run
	Output int           // bytes of stdout and stderr together, at most runcmd.MaxOutput
}

func (c *Commands) setDefaults() {
	if c.Time == 0 {
		c.Time = config.DefaultCommandTime
	}
	if c.Output == 0 {
		c.Output = config.DefaultCommandOutput
	}
}

// services is what the agent's methods use on all connections.
type services struct {
	commands *asynccall.Lane
	host     runcmd.Host
	scripts  *runcmd.Scripts
	tester   *tester // nil: none
	files    *fsnode.FS
	fileJobs *asynccall.Lane
}

func newServices(o Options, often *lograte.Lines) *services {
	guard := runcmd.NewGuard(o.Helper, o.Environ, func(err error) {
		if often.Pass(provoked("command not guarded", "", err)) {
			o.Log.Warn().Err(err).Msg("command not guarded")
		}
	})
	output := min(o.Commands.Output, runcmd.MaxOutput)
	s := &services{
		commands: asynccall.NewLane("commands", asynccall.Limits{
			Running: maxCommands, Bytes: maxCommandBytes, Time: o.Commands.Time,
			PerUser: asynccall.Share{Bytes: maxUserCommandBytes},
		}),
		host:    runcmd.Host{Environ: runas.Inherited(o.Environ), Search: pathOf(o.Environ), Output: output, Guard: guard},
		scripts: runcmd.NewScripts(o.ScriptDir, time.Now),
	}
	if o.Tester {
		s.tester = new(tester)
	}
	if o.Files.Dir != "" {
		if err := fsnode.Check(o.Files.Dir); err != nil {
			o.Log.Warn().Err(err).Msg("sys/fs: cannot open the directory")
		}
		s.files = fsnode.New(o.Files)
		s.fileJobs = asynccall.NewLane("file calls", asynccall.Limits{
			Running: maxFileJobs, Waiting: maxFileWaiting, Bytes: maxFileBytes, Time: fileTime,
			Patience: filePatience,
			PerUser:  asynccall.Share{Running: maxUserFileJobs, Waiting: maxUserFileWaiting, Bytes: maxUserFileBytes},
		})
	}
	return s
}

// lanes returns the lanes of all calls.
func (s *services) lanes() []*asynccall.Lane {
	if s.fileJobs == nil {
		return []*asynccall.Lane{s.commands}
	}
	return []*asynccall.Lane{s.commands, s.fileJobs}
}

// pathOf returns PATH. Programs are looked up in the agent's PATH even if the caller brings
// an environment.
func pathOf(environ []string) (path string) {
	for _, v := range environ {
		if value, ok := strings.CutPrefix(v, "PATH="); ok {
			path = value
		}
	}
	return path
}

// tree returns the nodes that the agent serves (spec.md 9.1, 9.7).
func (c *connection) tree() *node.Tree {
	o := c.agent.opts
	tree := &node.Tree{Running: c.calls, Calling: c.logCall, MaxItems: maxParamItems, Panicked: c.agent.panicked}
	tree.Denied = func(r *node.Request, why *rpc.Error) { c.denied(r, "", "", why) }
	constant := func(name string, access rpc.Access, text string) node.Method {
		return node.Constant(name, "s", access, chainpack.String(text))
	}
	// The flags are those of the C++ agent: none.
	run := node.Method{Param: "s|[s|i|[s]|{s}]", Result: "s|[i|s]", Access: rpc.AccessCommand}
	runCmd, runScript := run, run
	runCmd.Name, runCmd.Call, runCmd.Description = "runCmd", c.runCmd, aboutRunCmd
	runScript.Name, runScript.Call, runScript.Description = "runScript", c.runScript, aboutRunScript
	tree.Add("",
		constant("appName", rpc.AccessBrowse, "shvagent"),
		constant("appVersion", rpc.AccessBrowse, o.Version),
		constant("gitCommit", rpc.AccessRead, o.GitCommit),
		constant("shvVersion", rpc.AccessRead, notAvailable),
		constant("shvGitCommit", rpc.AccessRead, notAvailable),
		constant("deviceId", rpc.AccessBrowse, c.broker.DeviceID),
		constant("deviceType", rpc.AccessBrowse, deviceType),
		runCmd,
		runScript,
		node.Method{Name: "launchRexec", Param: "{?}", Result: "?", Access: rpc.AccessCommand, Call: c.launchRexec},
	)
	tree.AddDynamic(inband.Node, c.sessionNode)
	tree.Hidden = map[string]bool{inband.Node: true}
	tree.Add(".app", node.App("shvagent", o.Version, time.Now)...)
	tree.Add(".device", c.device()...)
	s := c.agent.services
	if s.tester != nil {
		s.tester.addTo(tree, c)
	}
	if s.files != nil {
		tree.AddServer("sys/fs", c.fileNodes(tree))
	}
	return tree
}

// panicked logs that a call panicked. The others go on.
func (a *agent) panicked(r *node.Request, cause any, stack []byte) {
	a.opts.Log.Error().Interface("panic", cause).Bytes("stack", stack).Str("path", r.Path).Str("method", r.Method).
		Str("user", policy.UserChain(r.UserID)).Msg("call panicked")
}

const (
	deviceType = "ShvAgent"
	// notAvailable is the C++ agent's text for the version of libraries. This agent has no
	// such libraries.
	notAvailable = "N/A"

	aboutRunCmd = `run a program and return its stdout; with a List ["program", ["argument", …], 1, 2, ` +
		`{"VARIABLE":"value"}], in any order, return the exit code for the program, stdout for 1, stderr for 2`
	aboutRunScript = "like runCmd, with the text of a script instead of the program, " +
		"or the SHA1 of a script that ran before"
)
