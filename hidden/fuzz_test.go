package hidden

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"personaprobe/models/safetensors"
)

// FuzzRepresentation reads any file as centroids, and what it makes of one can be used.
func FuzzRepresentation(f *testing.F) {
	dir := f.TempDir()
	good := filepath.Join(dir, "good")
	c, err := NewCentroids([]string{"a", "b"}, []float64{1, 2, 3, 4, 5, 6})
	if err != nil {
		f.Fatal(err)
	}
	r, err := NewRepresentation([]int{7}, []*Centroids{c})
	if err != nil {
		f.Fatal(err)
	}
	if err := r.Write(good, nil); err != nil {
		f.Fatal(err)
	}
	raw, err := os.ReadFile(good)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(dir, "x")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		r, _, err := ReadRepresentation(path)
		if err != nil {
			return
		}
		for k := range r.Layers {
			for _, on := range []Centring{CentreMean, CentreNone} {
				if c, err := r.At(k, on); err == nil && len(c.Names()) != len(r.Names()) {
					t.Errorf("layer %d has %d groups of %d", r.Layers[k], len(c.Names()), len(r.Names()))
				}
			}
		}
	})
}

const goodJob = `{"format_version": 1, "layers": [3], "hidden_size": 2, "position": "last", "dtype": "F32", "formats": ["npy"]}`

// FuzzStates reads any three files as the output of an extraction.
func FuzzStates(f *testing.F) {
	dir := f.TempDir()
	array := append(npyHeader(safetensors.F32, 1, 2), 0, 0, 128, 63, 0, 0, 0, 64)
	f.Add([]byte(goodJob), array, []byte(`{"row": 0, "id": "x"}`+"\n"))
	if err := os.WriteFile(filepath.Join(dir, parquetName), nil, 0o600); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, job, array, index []byte) {
		for name, data := range map[string][]byte{jobName: job, npyName(3): array, indexName: index} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, err := OpenStates(dir)
		if err != nil {
			if s != nil {
				t.Error("both states and an error")
			}
			return
		}
		rows := 0
		err = s.Each(func(_ Row, states [][]float32) error {
			rows++
			if len(states) != len(s.Job.Layers) {
				t.Errorf("%d layers of %d", len(states), len(s.Job.Layers))
			}
			return nil
		})
		if err == nil && rows != s.Rows {
			t.Errorf("%d rows of %d", rows, s.Rows)
		}
	})
}

// What the fuzzers found, and the code they led to.
func TestHostileStates(t *testing.T) {
	dir := t.TempDir()
	for _, job := range []string{
		`{"format_version": 1, "hidden_size": 2, "dtype": "F32"}`,
		`{"format_version": 1, "layers": [-1], "hidden_size": 2, "dtype": "F32"}`,
		`{"format_version": 1, "layers": [3], "hidden_size": -2, "dtype": "F32"}`,
		`{"format_version": 1, "layers": [3], "hidden_size": 9223372036854775807, "dtype": "F32"}`,
		`{"format_version": 1, "layers": [3], "hidden_size": 2, "dtype": "F99"}`,
	} {
		for name, data := range map[string]string{jobName: job, indexName: "", parquetName: ""} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := OpenStates(dir); !errors.Is(err, ErrState) {
			t.Errorf("%s: %v", job, err)
		}
	}
	for _, layer := range []string{"007", "+7", "-7", "x"} {
		path := filepath.Join(dir, "x.safetensors")
		if err := safetensors.Write(path, []safetensors.Array{{Name: centredPrefix + layer, Shape: []int64{1, 2}, Values: []float32{1, 2}}},
			map[string]string{rowsKey: `["a"]`}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := ReadRepresentation(path); !errors.Is(err, ErrInput) {
			t.Errorf("layer %s: %v", layer, err)
		}
	}
}
