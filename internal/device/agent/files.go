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

// fileNodes serves what is below sys/fs.
func (c *connection) fileNodes(tree *node.Tree) func(*node.Request, string) (chainpack.Value, error) {
	s := c.agent.services
	return func(r *node.Request, rest string) (chainpack.Value, error) {
		grant, err := c.agent.allow(r, policy.Wanted{Use: policy.Files})
		if err != nil {
			return chainpack.Value{}, err
		}
		// One after the other for each caller and file: a write that was sent before
		// another is done before it.
		return c.calls.Start(s.fileJobs, r, asynccall.Turn{User: policy.UserOf(r.UserID), Order: "/" + rest}, func(ctx context.Context, progress func(float64)) (chainpack.Value, error) {
			files, err := filesUnder(s.files, grant)
			if err != nil {
				return chainpack.Value{}, err
			}
			ctx, cancel := limitTime(ctx, grant)
			defer cancel()
			return files.Serve(ctx, progress, tree, r, rest)
		})
	}
}

// filesUnder are the files within the limits of a grant. The agent itself opens
// them, with its own rights, so who is to have those of another user has none here.
// It waits for the disk.
func filesUnder(files *fsnode.FS, g *policy.Grant) (*fsnode.FS, error) {
	account, err := runas.Lookup(g)
	if err != nil {
		return nil, err
	}
	if account.Foreign() {
		return nil, rpc.Errorf(rpc.CodeException, "refused: %s runs as user %s, and file nodes are served with the rights of the agent; use sftp", g.Rule, account.Name)
	}
	most := int64(-1)
	if size, limited := g.Resources["fsize"]; limited {
		most = int64(size)
	}
	return files.Within(g.Umask, most), nil
}

// limitTime ends a call when the grant allows it no more time.
func limitTime(ctx context.Context, g *policy.Grant) (context.Context, context.CancelFunc) {
	if g.Total == 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, g.Total, rpc.Errorf(rpc.CodeException, "ended: %s allows %v", g.Rule, g.Total))
}
