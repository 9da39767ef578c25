package daemon

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/wire/transport"
)

// fileLook is how often the files of listeners are checked. Certificates and lists
// expire; the log warns before logins fail.
const fileLook = time.Minute

// fileWatch logs what listeners report about their files, each warning once.
type fileWatch struct {
	listeners []*transport.Listener
	log       zerolog.Logger

	mu   sync.Mutex
	told map[string]bool
}

func newFileWatch(listeners []*transport.Listener, log zerolog.Logger) *fileWatch {
	return &fileWatch{listeners: listeners, log: log}
}

// run checks the files now and every fileLook until ctx ends.
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

// look logs the warnings that are new.
func (w *fileWatch) look(now time.Time) {
	for _, n := range w.news(now) {
		w.log.Warn().Stringer("url", n.at.URL()).Str("warning", n.text).Msg("listener: warning")
	}
}

// fileWarning is a warning of a listener.
type fileWarning struct {
	at   *transport.Listener
	text string
}

// news returns the warnings that the last look did not find, each once.
func (w *fileWatch) news(now time.Time) (warnings []fileWarning) {
	w.mu.Lock()
	defer w.mu.Unlock()
	told := make(map[string]bool)
	for _, l := range w.listeners {
		for _, text := range l.Notices(now) {
			if !told[text] && !w.told[text] {
				warnings = append(warnings, fileWarning{l, text})
			}
			told[text] = true
		}
	}
	w.told = told
	return warnings
}
