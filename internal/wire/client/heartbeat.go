package client

import (
	"context"
	"errors"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
)

// maxUnanswered is how many pings in a row may stay unanswered.
const maxUnanswered = 2

// heartbeat pings the broker until the link ends, and ends the link if the broker stops answering.
func (c *Client) heartbeat() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ticker := time.NewTicker(c.opts.Heartbeat)
	defer ticker.Stop()
	for unanswered := 0; ; {
		select {
		case <-ticker.C:
		case <-c.Done():
			return
		}
		if c.ping(ctx) {
			unanswered = 0
			if c.opts.Alive != nil {
				c.opts.Alive()
			}
		} else if unanswered++; unanswered >= maxUnanswered {
			c.link.Close(link.IdleTimeout)
			return
		}
	}
}

// ping uses the method of SHV 2 first, which all brokers know except some of SHV 3, and then that
// of the standard (spec.md 6). Any answer is a sign of life.
func (c *Client) ping(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Heartbeat)
	defer cancel()
	_, err := c.Call(ctx, ".broker/app", "ping", chainpack.Null())
	var answer *rpc.Error
	if errors.As(err, &answer) && answer.Code == rpc.CodeMethodNotFound {
		_, err = c.Call(ctx, ".app", "ping", chainpack.Null())
	}
	return err == nil || errors.As(err, &answer)
}
