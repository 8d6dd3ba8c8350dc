package analysis

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"personaprobe/experiment"
)

// A shard's folder: the source, perhaps _t<k> for one of its several adapters, and the seed.
var shardFolder = regexp.MustCompile(`^(.+?)(?:_(t[0-9]+))?_seed([0-9]+)$`)

// shardOf is the shard in a folder that has such a name; ok is false for any other.
// x_t1_seed42 is the first adapter of x, or the only one of a source called x_t1: its files
// say which.
func (d *dataset) shardOf(folder string) (s shard, ok bool, err error) {
	m := shardFolder.FindStringSubmatch(folder)
	if m == nil {
		return s, false, nil
	}
	seed, err := strconv.ParseUint(m[3], 10, 64)
	if err != nil {
		return s, false, fmt.Errorf("%w: folder %s: the seed is not a 64-bit number", ErrInput, folder)
	}
	s = shard{folder: folder, source: m[1], key: m[3], seed: seed}
	whole := m[1]
	if m[2] != "" {
		whole += "_" + m[2]
		s.key = m[2] + "_seed" + m[3]
	}
	said, where, seedSaid := d.saysOfItself(folder)
	switch {
	case said == whole:
		s.source, s.key = whole, m[3]
	case said == "" && m[2] != "":
		d.note("%s: no file there says whether its source is %s with several adapters or %s with one; "+
			"it is read as adapter %s of %s. A \"source\" in its %s settles it", folder, m[1], whole, m[2][1:], m[1], summaryFile)
	case said != "" && said != m[1]:
		d.note("%s: its name says the source %s, but its %s says %s; the name is used", folder, m[1], where, said)
	}
	if seedSaid != nil && *seedSaid != seed {
		d.note("%s: its name says the seed %d, but its %s says %d; the name is used", folder, seed, summaryFile, *seedSaid)
	}
	return s, true, nil
}

// saysOfItself is the source that a shard's files name, in which of them, and the seed; ""
// and nil where they do not. What is wrong with the files is found when they are read.
func (d *dataset) saysOfItself(folder string) (source, where string, seed *uint64) {
	read := func(name string, v any) {
		if data, err := os.ReadFile(filepath.Join(d.dir, folder, name)); err == nil {
			data, _ = withoutNaN(data)
			_ = json.Unmarshal(data, v) // fills in what has the right type
		}
	}
	var summary struct {
		Source string
		Seed   *uint64
	}
	if read(summaryFile, &summary); summary.Source != "" {
		return summary.Source, summaryFile, summary.Seed
	}
	var evals experiment.Ordered[eval]
	read(evalFile, &evals)
	for _, e := range evals.All() {
		switch {
		case e.Category == anchorCategory || e.Source == "":
		case source == "":
			source = e.Source
		case source != e.Source:
			return "", "", summary.Seed // they contradict each other
		}
	}
	return source, evalFile, summary.Seed
}
