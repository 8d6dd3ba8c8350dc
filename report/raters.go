package report

import "strings"

// training is the adapter of a shard's key, "" for the only one of its source, and seed
// its sampling seed: t2_seed42 is that of one of several adapters, 42 of the only one.
func training(key string) (adapter, seed string) {
	if t, s, several := strings.Cut(key, "_seed"); several {
		return t, s
	}
	return "", key
}

// keyName is a shard's key in words. An adapter is not a seed.
func keyName(key string) string {
	t, seed := training(key)
	if t == "" {
		return "seed " + seed
	}
	return "adapter " + t + ", seed " + seed
}

// adapters are those of each source, by their keys.
func (s *study) adapters() map[string]map[string]bool {
	out := make(map[string]map[string]bool)
	for _, h := range s.shards {
		t, _ := training(h.Key)
		if out[h.Source] == nil {
			out[h.Source] = make(map[string]bool)
		}
		out[h.Source][t] = true
	}
	return out
}

// hasSeveralAdapters reports whether any source has.
func (s *study) hasSeveralAdapters() bool {
	for _, a := range s.adapters() {
		if len(a) > 1 {
			return true
		}
	}
	return false
}

// raters are those whose agreement the ICC measures. Where a source has several adapters,
// its ICC is within each: adapters and seeds are nested.
func (s *study) raters() string {
	if s.hasSeveralAdapters() {
		return "the sampling seeds of an adapter"
	}
	return "sampling seeds"
}
