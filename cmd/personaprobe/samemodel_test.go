package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"personaprobe/analysis"
)

// A table of another model than the run's whose leakage it is set against is refused,
// unless it may be; what cannot be compared is said.
func TestTableIsOfTheRunsModel(t *testing.T) {
	manifest := func(text string) string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "manifest.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	run, unknown := manifest(`{"identity": {"model_sha256": "aaaa"}}`), t.TempDir()
	other := manifest(`{"identity": {"model_sha256": "bbbb"}}`)
	for _, c := range []struct {
		name, centroids string // where the centroids lie
		metadata        map[string]string
		allow, refused  bool
		says            string
	}{
		{"the run's own", run, nil, false, false, ""},
		{"another run's", other, nil, false, true, ""},
		{"another run's, allowed", other, nil, true, false, "is not the study's base model"},
		{"extracted", unknown, map[string]string{"model_sha256": "aaaa"}, false, false, ""},
		{"extracted from another", run, map[string]string{"model_sha256": "cccc"}, false, true, ""},
		{"of no known model", unknown, nil, false, false, "is not known"},
	} {
		m, err := centroidModel(filepath.Join(c.centroids, "centroids.safetensors"), c.metadata, c.allow)
		if err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		o := TableOptions{Leakage: run}
		if err := o.checkModel(&stderr, m); errors.Is(err, analysis.ErrInput) != c.refused {
			t.Errorf("%s: %v", c.name, err)
		}
		if !strings.Contains(stderr.String(), c.says) || (stderr.Len() > 0) != (c.says != "") {
			t.Errorf("%s: said %q, want %q", c.name, &stderr, c.says)
		}
	}
	file, folder := TableOptions{Leakage: filepath.Join(run, "manifest.json")}, TableOptions{Leakage: run}
	if file.besideRun() || !folder.besideRun() {
		t.Error("a file is taken for a run, or a run for a file")
	}
}
