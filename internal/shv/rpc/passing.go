package rpc

import "shvtools/internal/shv/chainpack"

// HasPlainBody reports whether the body of a request holds nothing, or a param and
// nothing else. It decodes no value, does not allocate, and needs little stack.
func HasPlainBody(body []byte) bool {
	in := chainpack.NewScanner(body, chainpack.Limits{})
	if in.Enter(chainpack.ByteIMap) != nil {
		return false
	}
	if in.Leave() {
		return true
	}
	key, err := in.Int()
	return err == nil && key == KeyParam && in.Skip() == nil && in.Leave()
}

// HasMoreTags reports whether an encoded meta has more than max entries, or cannot be
// read. It does not allocate.
func HasMoreTags(meta []byte, max int) bool {
	if len(meta) < 2*max {
		return false
	}
	in := chainpack.NewScanner(meta, chainpack.Limits{})
	if in.Enter(chainpack.ByteMetaMap) != nil {
		return true
	}
	for n := 0; !in.Leave(); n++ {
		if n == max || in.Skip() != nil || in.Skip() != nil {
			return true
		}
	}
	return false
}
