package safetensors

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"personaprobe/internal/fault"
	"personaprobe/internal/jsonobj"
)

// Names that a checkpoint directory uses.
const (
	SingleName = "model.safetensors"
	IndexName  = "model.safetensors.index.json"
)

// maxIndex bounds the index file; the largest published models have about
// 100,000 tensors and 10 MB.
const maxIndex = 256 << 20

// OpenDir opens the weights of a checkpoint directory: model.safetensors, or the
// shards that model.safetensors.index.json names. Index and shards must agree
// on which tensor lies where.
func OpenDir(dir string) (*File, error) {
	index := filepath.Join(dir, IndexName)
	_, indexErr := os.Stat(index)
	single := filepath.Join(dir, SingleName)
	_, singleErr := os.Stat(single)
	switch {
	case indexErr == nil:
		return openShards(dir, index)
	case singleErr == nil:
		return Open(single)
	case !errors.Is(singleErr, fs.ErrNotExist):
		return nil, fmt.Errorf("open checkpoint: %w", singleErr)
	}
	for _, pattern := range []string{"*.bin", "*.pt", "*.pth"} {
		if old, _ := filepath.Glob(filepath.Join(dir, pattern)); len(old) > 0 {
			return nil, fault.Unsupportedf("%s: weights in PyTorch's pickle format (%s); save them as safetensors (save_pretrained(safe_serialization=True))",
				dir, filepath.Base(old[0]))
		}
	}
	return nil, fmt.Errorf("open checkpoint: %s has neither %s nor %s: %w", dir, SingleName, IndexName, fs.ErrNotExist)
}

// Files returns the paths of the weight files that OpenDir would open, without
// opening them.
func Files(dir string) ([]string, error) {
	index := filepath.Join(dir, IndexName)
	_, shards, err := readIndex(index)
	if errors.Is(err, fs.ErrNotExist) {
		return []string{filepath.Join(dir, SingleName)}, nil
	}
	if err != nil {
		return nil, err
	}
	for i, s := range shards {
		shards[i] = filepath.Join(dir, s)
	}
	return append(shards, index), nil
}

func openShards(dir, index string) (*File, error) {
	where, shards, err := readIndex(index)
	if err != nil {
		return nil, err
	}
	whole := &File{Path: dir, names: make(map[string]*Tensor, len(where))}
	for i, shard := range shards {
		part, err := Open(filepath.Join(dir, shard))
		if err != nil {
			whole.Close()
			if errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("%s: shard %s is missing: %w", dir, shard, err)
			}
			return nil, err
		}
		if i == 0 {
			whole.Metadata = part.Metadata
		}
		if err := whole.join(part, shard, where); err != nil {
			whole.Close()
			return nil, err
		}
	}
	for name, shard := range where {
		if whole.names[name] == nil {
			whole.Close()
			return nil, fault.Formatf("%s: tensor %s is not in %s, where %s says it is", dir, name, shard, IndexName)
		}
	}
	return whole, nil
}

func (f *File) join(part *File, shard string, where map[string]string) error {
	f.closers = append(f.closers, part.closers...)
	f.Size += part.Size
	for _, t := range part.Tensors {
		if other := f.names[t.Name]; other != nil {
			return fault.Formatf("tensor %s is in both %s and %s", t.Name, other.Path, t.Path)
		}
		if where[t.Name] != shard {
			return fault.Formatf("%s: tensor %s is not assigned to this shard by %s", t.Path, t.Name, IndexName)
		}
		f.names[t.Name] = t
		f.Tensors = append(f.Tensors, t)
	}
	return nil
}

// readIndex returns the shard of every tensor and the sorted shard names.
func readIndex(path string) (where map[string]string, shards []string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read index: %w", err)
	}
	if info.Size() > maxIndex {
		return nil, nil, fault.Formatf("%s: %d bytes are too many for an index", path, info.Size())
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read index: %w", err)
	}
	where, shards, err = parseIndex(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return where, shards, nil
}

func parseIndex(raw []byte) (where map[string]string, shards []string, err error) {
	var index struct {
		WeightMap json.RawMessage `json:"weight_map"`
	}
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, nil, fault.Formatf("%w", err)
	}
	members, err := jsonobj.Parse(index.WeightMap)
	if err != nil {
		return nil, nil, fault.Formatf("weight_map: %w", err)
	}
	where = make(map[string]string, len(members))
	seen := make(map[string]bool)
	for _, m := range members {
		var shard string
		if err := json.Unmarshal(m.Value, &shard); err != nil {
			return nil, nil, fault.Formatf("weight_map: tensor %s: %w", m.Key, err)
		}
		// A checkpoint comes from strangers: its index must not reach out of its
		// directory. (Symbolic links are the user's own: the Hub's cache uses them.)
		if !filepath.IsLocal(shard) || shard == "." {
			return nil, nil, fault.Formatf("weight_map: tensor %s: shard %q is not a path inside the directory", m.Key, shard)
		}
		where[m.Key] = shard
		if !seen[shard] {
			seen[shard] = true
			shards = append(shards, shard)
		}
	}
	if len(shards) == 0 {
		return nil, nil, fault.Formatf("weight_map names no tensors")
	}
	slices.Sort(shards)
	return where, shards, nil
}
