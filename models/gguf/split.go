package gguf

import (
	"fmt"
	"path/filepath"
	"regexp"

	"personaprobe/internal/fault"
)

// Keys and names of a split model, as llama.cpp's gguf-split writes them.
const (
	splitNoKey    = "split.no"
	splitCountKey = "split.count"
	splitTotalKey = "split.tensors.count"
	maxSplits     = 99999 // five digits in the name
)

var splitName = regexp.MustCompile(`^(.*)-\d{5}-of-(\d{5})\.gguf$`)

// openSplit opens the other parts of the model that one part belongs to and
// joins their tensors. It takes over first's file.
func openSplit(first *File, count uint64) (*File, error) {
	base := filepath.Base(first.Path)
	m := splitName.FindStringSubmatch(base)
	if m == nil || count > maxSplits || m[2] != fmt.Sprintf("%05d", count) {
		first.Close()
		return nil, fault.Formatf("%s: %s is %d, but the name is not of the form name-00001-of-%05d.gguf", first.Path, splitCountKey, count, count)
	}
	whole := &File{Version: first.Version, alignment: first.alignment, names: map[string]*Tensor{}}
	for i := range int(count) {
		part := first
		name := fmt.Sprintf("%s-%05d-of-%05d.gguf", m[1], i+1, count)
		if name != base {
			var err error
			if part, err = openOne(filepath.Join(filepath.Dir(first.Path), name)); err != nil {
				first.Close()
				whole.Close()
				return nil, fmt.Errorf("split model of %d parts: %w", count, err)
			}
		}
		if err := whole.join(part, i, count); err != nil {
			first.Close()
			whole.Close()
			return nil, err
		}
	}
	if total, ok := whole.Uint(splitTotalKey); ok && total != uint64(len(whole.Tensors)) {
		whole.Close()
		return nil, fault.Formatf("%s: %s is %d, but the parts hold %d tensors", whole.Path, splitTotalKey, total, len(whole.Tensors))
	}
	return whole, nil
}

// join appends part number i to the whole.
func (f *File) join(part *File, i int, count uint64) error {
	f.pins.Take(part.pins.Files()...)
	f.Parts = append(f.Parts, part.Path)
	f.Size += part.Size
	no, _ := part.Uint(splitNoKey)
	n, _ := part.Uint(splitCountKey)
	if no != uint64(i) || n != count {
		return fault.Formatf("%s: is part %d of %d by its metadata, but part %d of %d by its name", part.Path, no+1, n, i+1, count)
	}
	if i == 0 {
		f.Path, f.Metadata, f.keys, f.DataOffset = part.Path, part.Metadata, part.keys, part.DataOffset
	}
	for _, t := range part.Tensors {
		if f.names[t.Name] != nil {
			return fault.Formatf("%s: tensor %s is also in an earlier part", part.Path, t.Name)
		}
		t.Part = i
		f.names[t.Name] = t
		f.Tensors = append(f.Tensors, t)
	}
	return nil
}

// IsSplitKey reports whether a metadata key only describes how a model is cut
// into files, so that it must not be copied into a file that holds it whole.
func IsSplitKey(key string) bool {
	return key == splitNoKey || key == splitCountKey || key == splitTotalKey
}
