package daemon

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/wire/transport"
)

// fileLook is how often the files of listeners are looked at: what is wrong with
// them comes with time, and is not to be found only when nobody is let in.
const fileLook = time.Minute

// fileWatch tells the log what listeners have to say about their files, each thing
// once.
type fileWatch struct {
	listeners []*transport.Listener
	log       zerolog.Logger

	mu   sync.Mutex
	told map[string]bool
}

func newFileWatch(listeners []*transport.Listener, log zerolog.Logger) *fileWatch {
	return &fileWatch{listeners: listeners, log: log}
}

// run looks at the files now and then until ctx ends.
func (w *fileWatch) run(ctx context.Context) {
	ticker := time.NewTicker(fileLook)
	defer ticker.Stop()
	for now := time.Now(); ; {
		w.look(now)
		select {
		case now = <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (w *fileWatch) look(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	told := make(map[string]bool)
	for _, l := range w.listeners {
		for _, text := range l.Notices(now) {
			if !told[text] && !w.told[text] {
				w.log.Warn().Stringer("url", l.URL()).Msg(text)
			}
			told[text] = true
		}
	}
	w.told = told
}
