package transport

import "path/filepath"

// Beside returns u with its file names looked up in dir, unless they are absolute, as those
// in a configuration are in its directory.
func (u URL) Beside(dir string) URL {
	for _, name := range []*string{&u.CA, &u.Cert, &u.Key, &u.CRL, &u.ClientCA} {
		if *name != "" && !filepath.IsAbs(*name) {
			*name = filepath.Join(dir, *name)
		}
	}
	return u
}
