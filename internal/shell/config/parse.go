package config

import (
	"errors"
	"path/filepath"
	"strings"

	"shvtools/internal/shell/sshargs"
	"shvtools/internal/shv/shvpath"
	"shvtools/internal/sys/conf"
)

// Parse reads the text of the file, as Load does.
func (f File) Parse(data []byte) (*Config, error) {
	r := conf.Reader{Reload: f.Check}
	c := new(Config)
	conf.ReadMap(&r, r.Whole(f.Path, data, conf.People), c, []conf.Field[Config]{
		{Name: "defaults", Read: func(r *conf.Reader, n *conf.Node, c *Config) {
			c.defaults = new(entry)
			readHost(r, n, Source{File: f.Path}, &c.defaults.Host)
		}},
		{Name: "hosts", Read: readHosts},
	})
	err := r.Err()
	switch {
	case errors.Is(err, conf.ErrNothing) && !f.Named && !f.Check:
		return &Config{Warnings: []string{err.Error()}}, nil
	case err != nil:
		return nil, err
	}
	c.Warnings = r.Warnings()
	return c, nil
}

func readHosts(r *conf.Reader, n *conf.Node, c *Config) {
	lines := make(map[string]int)
	r.Each(n, "{pump7: {path: test/pump7}}", func(host *conf.Node) {
		e, clean := new(entry), sshargs.DecodePath(host.Name())
		switch first, twice := lines[clean]; {
		case clean == "":
			r.FailKey(host, "the name is empty (want a name or pattern of devices)")
		case twice:
			r.FailKey(host, "the host is in line %d already", first)
		case isPattern(clean):
			var err error
			if e.pattern, err = shvpath.ParsePattern(clean); err != nil {
				r.FailKey(host, "%w", err)
				break
			}
			c.patterns = append(c.patterns, e)
		default:
			if c.exact == nil {
				c.exact = make(map[string]*entry)
			}
			c.exact[clean] = e
		}
		lines[clean] = host.KeyPlace().Line()
		readHost(r, host, Source{File: host.KeyPlace().File(), Entry: host.Name()}, &e.Host)
	})
}

// readHost reads the settings of one entry.
func readHost(r *conf.Reader, n *conf.Node, source Source, host *Host) {
	single := source.Entry != "" && !isPattern(source.Entry)
	fields := make([]conf.Field[Host], len(keys))
	for i, k := range keys {
		fields[i] = conf.Field[Host]{Name: k.name, Read: func(r *conf.Reader, n *conf.Node, h *Host) {
			if k.single && !single {
				r.FailKey(n, "every name would be the same device (want it in a host without a pattern)")
				return
			}
			source := source
			source.Line = n.KeyPlace().Line()
			k.read(r, n, h, source)
		}}
	}
	conf.ReadMap(r, n, host, fields)
	host.URL.Value = host.URL.Value.Beside(filepath.Dir(source.File))
}

func isPattern(name string) bool { return strings.ContainsAny(name, `*?[\`) }
