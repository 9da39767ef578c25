package agent

import (
	"context"

	"shvtools/internal/device/asynccall"
	"shvtools/internal/device/fsnode"
	"shvtools/internal/device/policy"
	"shvtools/internal/device/runas"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
)

// fileNodes returns the server of the nodes below sys/fs.
func (c *connection) fileNodes(tree *node.Tree) func(*node.Request, string) (chainpack.Value, error) {
	s := c.agent.services
	return func(r *node.Request, rest string) (chainpack.Value, error) {
		permit, err := c.allow(r, policy.Wanted{Use: policy.Files})
		if err != nil {
			return chainpack.Value{}, err
		}
		serve := func(ctx context.Context, progress func(float64)) (chainpack.Value, error) {
			permit, err := c.agent.opts.InForce.renew(permit) // it may have waited
			if err != nil {
				return chainpack.Value{}, err
			}
			ctx, over, err := c.agent.opts.InForce.during(ctx, permit)
			if err != nil {
				return chainpack.Value{}, err
			}
			defer over()
			files, err := filesUnder(s.files, permit.grant)
			if err != nil {
				return chainpack.Value{}, err
			}
			ctx, cancel := limitTime(ctx, permit.grant)
			defer cancel()
			return c.recorded(files, permit.grant).Serve(ctx, progress, tree, r, rest)
		}
		// Calls of one caller for one file run one after the other, so that writes are
		// done in the order in which they were sent.
		turn := asynccall.Turn{User: rpc.UserOf(r.UserID), Order: "/" + rest}
		return c.calls.Start(s.fileJobs, r, turn, serve)
	}
}

// filesUnder returns the files under the limits of a grant. The agent opens files with its
// own rights, so a grant that runs as another user gets none. It waits for the disk.
func filesUnder(files *fsnode.FS, g *policy.Grant) (*fsnode.FS, error) {
	account, err := runas.Lookup(g)
	if err != nil {
		return nil, err
	}
	if account.Foreign() {
		return nil, rpc.Errorf(rpc.CodeException,
			"refused: %s runs as user %s, and file nodes are served with the rights of the agent; use sftp",
			g.Rule, account.Name)
	}
	most := int64(-1)
	if size, limited := g.Resources["fsize"]; limited {
		most = int64(size)
	}
	return files.Within(g.Umask, most), nil
}

// limitTime returns a context that ends when the grant's time is over.
func limitTime(ctx context.Context, g *policy.Grant) (context.Context, context.CancelFunc) {
	if g.Total == 0 {
		return ctx, func() {}
	}
	cause := rpc.Errorf(rpc.CodeException, "time limit: %s allows %v", g.Rule, g.Total)
	return context.WithTimeoutCause(ctx, g.Total, cause)
}
