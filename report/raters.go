package report

import (
	"encoding/json"
	"os"
	"strings"
)

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

// raters are those whose agreement the ICC measures. Where a source has several
// adapters, its ICC is over adapters and seeds together, which are nested.
func (s *study) raters() string {
	switch {
	case !s.hasSeveralAdapters():
		return "sampling seeds"
	case s.nested:
		return "sampling seeds of one adapter"
	}
	return "adapters and sampling seeds together"
}

// raterColumn heads the number of raters.
func (s *study) raterColumn() string {
	if s.hasSeveralAdapters() && !s.nested {
		return "adapters × seeds"
	}
	return "seeds"
}

// isNested reports whether an analysis has the agreement of adapters apart from that of
// the sampling seeds within one.
func isNested(path string) bool {
	data, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	var full struct {
		ICC map[string]struct {
			Adapters json.RawMessage `json:"icc_adapters"`
		} `json:"icc"`
	}
	if json.Unmarshal(data, &full) != nil {
		return false
	}
	for _, c := range full.ICC {
		if c.Adapters != nil {
			return true
		}
	}
	return false
}
