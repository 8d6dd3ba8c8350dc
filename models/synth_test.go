package models_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"personaprobe/internal/modeltest"
	"personaprobe/models"
	"personaprobe/models/gguf"
)

func synth(t testing.TB, shape models.Shape, opts models.SynthOptions) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "x.gguf")
	if err := models.Synth(context.Background(), shape, out, opts); err != nil {
		t.Fatal(err)
	}
	r, err := models.Verify(context.Background(), out, nil)
	if err != nil || !r.OK() || len(r.Warnings) > 0 {
		t.Errorf("Verify: %v, %+v, %+v", err, r.Problems, r.Warnings)
	}
	raw, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// The bytes depend on the seed and not on how many cores there are.
func TestSynthIsDeterministic(t *testing.T) {
	shape := modeltest.Shape(4, 2, 64, 1024, 2, 5000, true)
	for _, kind := range []models.WeightType{models.TypeBF16, models.TypeF32, models.TypeQ8} {
		opts := models.SynthOptions{Type: kind, Seed: 7}
		first := synth(t, shape, opts)
		before := runtime.GOMAXPROCS(1)
		alone := synth(t, shape, opts)
		runtime.GOMAXPROCS(before)
		if !bytes.Equal(first, alone) {
			t.Errorf("%s: one core gives other bytes", kind)
		}
		opts.Seed = 8
		if bytes.Equal(first, synth(t, shape, opts)) {
			t.Errorf("%s: two seeds give the same bytes", kind)
		}
	}
}

// Weights have the intended spread, and neighbouring ones are uncorrelated.
func TestSynthDistribution(t *testing.T) {
	out := filepath.Join(t.TempDir(), "x.gguf")
	shape := modeltest.Shape(4, 2, 64, 1024, 2, 5000, false)
	if err := models.Synth(context.Background(), shape, out, models.SynthOptions{Type: models.TypeF32}); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, deviation := range map[string]float64{"token_embd.weight": 1, "output.weight": 4.0 / 16, "blk.1.ffn_up.weight": 1.0 / 16} {
		x, err := f.Tensor(name).Floats()
		if err != nil {
			t.Fatal(err)
		}
		var sum, squares, lag float64
		beyond := 0
		for i, v := range x {
			sum += float64(v)
			squares += float64(v) * float64(v)
			if i > 0 {
				lag += float64(v) * float64(x[i-1])
			}
			if math.Abs(float64(v)) > 1.959964*deviation {
				beyond++
			}
		}
		n := float64(len(x))
		limit := 5 / math.Sqrt(n)
		if math.Abs(sum/n/deviation) > limit || math.Abs(math.Sqrt(squares/n)/deviation-1) > limit || math.Abs(lag/squares) > limit || math.Abs(float64(beyond)/n-0.05) > limit {
			t.Errorf("%s: mean %g, deviation %g, correlation %g, %g beyond 1.96", name, sum/n, math.Sqrt(squares/n), lag/squares, float64(beyond)/n)
		}
	}
}

func TestSynthRefusals(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "x.gguf")
	good := modeltest.Shape(4, 2, 8, 48, 2, 301, false)
	small := good
	small.Vocab = 100
	odd := good
	odd.Heads = 5
	for _, c := range []struct {
		shape models.Shape
		opts  models.SynthOptions
	}{{odd, models.SynthOptions{}}, {small, models.SynthOptions{}}, {good, models.SynthOptions{Type: "q2"}}, {good, models.SynthOptions{TokenizerDir: dir}}} {
		if err := models.Synth(context.Background(), c.shape, out, c.opts); err == nil {
			t.Errorf("%+v was written", c)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := models.Synth(ctx, good, out, models.SynthOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// split cuts a model into parts as gguf-split does.
func split(t testing.TB, path string, parts int) string {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dir := t.TempDir()
	name := func(i int) string { return filepath.Join(dir, fmt.Sprintf("m-%05d-of-%05d.gguf", i+1, parts)) }
	for i := range parts {
		kv := []gguf.KV{{Key: "split.no", Value: uint16(i)}, {Key: "split.count", Value: uint16(parts)}, {Key: "split.tensors.count", Value: int32(len(f.Tensors))}}
		if i == 0 {
			kv = append(append([]gguf.KV{}, f.Metadata...), kv...)
		}
		var infos []gguf.TensorInfo
		list := f.Tensors[i*len(f.Tensors)/parts : (i+1)*len(f.Tensors)/parts]
		for _, x := range list {
			infos = append(infos, x.TensorInfo)
		}
		w, err := gguf.Create(name(i), kv, infos, nil)
		if err != nil {
			t.Fatal(err)
		}
		for j, x := range list {
			raw, err := x.Raw()
			if err := errors.Join(err, w.WriteAt(j, raw, 0)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	return name(parts - 1)
}

// Joining the parts of a split model gives the file that was split.
func TestRetypeJoins(t *testing.T) {
	path := converted(t, small(), models.ConvertOptions{})
	out := filepath.Join(t.TempDir(), "joined.gguf")
	if err := models.Retype(context.Background(), split(t, path, 4), out, models.TypeKeep, nil); err != nil {
		t.Fatal(err)
	}
	a, errA := os.ReadFile(path)
	b, errB := os.ReadFile(out)
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("the joined file differs: %v, %v", errA, errB)
	}
}

// Retyping a converted model gives the file that converting to that type gives.
func TestRetype(t *testing.T) {
	c := small()
	path := converted(t, c, models.ConvertOptions{Name: "n"})
	for _, kind := range []models.WeightType{models.TypeF16, models.TypeBF16, models.TypeQ8, models.TypeF32} {
		out := filepath.Join(t.TempDir(), "x.gguf")
		if err := models.Retype(context.Background(), path, out, kind, nil); err != nil {
			t.Fatal(err)
		}
		want, errA := os.ReadFile(converted(t, c, models.ConvertOptions{Name: "n", Type: kind}))
		got, errB := os.ReadFile(out)
		if errA != nil || errB != nil || !bytes.Equal(want, got) {
			t.Errorf("%s: retyped and converted files differ: %v, %v", kind, errA, errB)
		}
	}
	quantised := rewrite(t, path, func(kv []gguf.KV, infos []gguf.TensorInfo) ([]gguf.KV, []gguf.TensorInfo) {
		infos[0].Type, infos[0].Shape = 12, []int64{256, 2}
		return kv, infos
	})
	if err := models.Retype(context.Background(), quantised, filepath.Join(t.TempDir(), "x.gguf"), models.TypeF16, nil); !errors.Is(err, models.ErrUnsupported) {
		t.Errorf("Q4_K: %v", err)
	}
}
