package engine

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"personaprobe/cgo/native"
	"personaprobe/internal/tinytest"
	"personaprobe/models"
	"personaprobe/models/gguf"
)

func openGGUF(t *testing.T, path string) *gguf.File {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// The tiny model's shape is read from its metadata, every tensor has a place of its
// own, and together they fill the weights.
func TestNativeShape(t *testing.T) {
	f := openGGUF(t, tinytest.Files(t).Model)
	got, err := nativeShape(f)
	want := native.Shape{Layers: 28, Hidden: 128, FFN: 256, Heads: 2, KVHeads: 1, HeadDim: 64, Vocab: 2048,
		Type: native.F16, Context: 2048, Eps: 1e-6, RopeBase: 1e6}
	if err != nil || got != want {
		t.Fatalf("got %+v, %v; want %+v", got, err, want)
	}
	if err := checkTensors(f, &got); err != nil {
		t.Error(err)
	}
	type row struct {
		w          native.Weight
		layer, row int
	}
	taken := map[row]string{}
	for _, tensor := range f.Tensors {
		at, ok := placeOf(tensor.Name, &got)
		if !ok {
			t.Fatalf("no place for %s", tensor.Name)
		}
		for r := range at.rows {
			key := row{at.weight, at.layer, at.row0 + r}
			if other := taken[key]; other != "" {
				t.Fatalf("%s and %s share row %d", tensor.Name, other, r)
			}
			taken[key] = tensor.Name
		}
	}
}

// What the native path does not cover is refused with the reason, so that llama.cpp
// takes over.
func TestNotNative(t *testing.T) {
	f := openGGUF(t, tinytest.Files(t).Model)
	other := slices.Clone(f.Metadata)
	for i := range other {
		if other[i].Key == "general.architecture" {
			other[i].Value = "llama"
		}
	}
	path := filepath.Join(t.TempDir(), "other.gguf")
	writeGGUF(t, path, other, f)
	if _, err := nativeShape(openGGUF(t, path)); !errors.Is(err, errNotNative) {
		t.Errorf("another architecture: %v", err)
	}
	path = filepath.Join(t.TempDir(), "yarn.gguf")
	writeGGUF(t, path, append(slices.Clone(f.Metadata), gguf.KV{Key: "qwen2.rope.scaling.type", Value: "yarn"}), f)
	if _, err := nativeShape(openGGUF(t, path)); !errors.Is(err, errNotNative) {
		t.Errorf("YaRN: %v", err)
	}
	for key, value := range map[string]float32{"rope.scaling.factor": 4, "rope.scale_linear": 2, "rope.scaling.attn_factor": 0.5} {
		path = filepath.Join(t.TempDir(), "scaled.gguf")
		writeGGUF(t, path, append(slices.Clone(f.Metadata), gguf.KV{Key: "qwen2." + key, Value: value}), f)
		if _, err := nativeShape(openGGUF(t, path)); !errors.Is(err, errNotNative) {
			t.Errorf("%s of %v: %v", key, value, err)
		}
	}
	f32 := filepath.Join(t.TempDir(), "f32.gguf")
	if err := models.Retype(context.Background(), tinytest.Files(t).Model, f32, models.TypeF32, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := nativeShape(openGGUF(t, f32)); !errors.Is(err, errNotNative) {
		t.Errorf("float32 weights: %v", err)
	}
	s, err := nativeShape(f)
	if err != nil {
		t.Fatal(err)
	}
	s.Layers++
	if err := checkTensors(f, &s); !errors.Is(err, errNotNative) {
		t.Errorf("a layer is missing: %v", err)
	}
	for _, name := range []string{"", "blk.", "blk.28.attn_q.weight", "blk.-1.attn_q.weight", "blk.x.attn_q.weight", "blk.0.attn_x.weight", "blk.0"} {
		if _, ok := placeOf(name, &s); ok && name != "blk.28.attn_q.weight" {
			t.Errorf("%q has a place", name)
		}
	}
}

// writeGGUF copies a file's tensors under other metadata.
func writeGGUF(t *testing.T, path string, kv []gguf.KV, from *gguf.File) {
	t.Helper()
	infos := make([]gguf.TensorInfo, len(from.Tensors))
	for i, x := range from.Tensors {
		infos[i] = x.TensorInfo
	}
	w, err := gguf.Create(path, kv, infos, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	c := w.NewCopier(context.Background())
	for i, x := range from.Tensors {
		c.Add(i, x.Data(), x.Type, nil)
	}
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

// Sequences that grow, fork and end at random hold each other's blocks exactly as far
// as they share a prefix, and in the end all blocks are free.
func TestPages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const total = 60
		pool := newBlockPool(total)
		var seqs []*pages
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch k := rapid.IntRange(0, 3).Draw(t, "what"); {
			case k == 0 || len(seqs) == 0:
				s := new(pages)
				for range rapid.IntRange(1, 40).Draw(t, "prompt") {
					s.grow(pool, true)
				}
				seqs = append(seqs, s)
			case k == 1:
				src := rapid.SampledFrom(seqs).Draw(t, "src")
				s := new(pages)
				s.fork(pool, src)
				if s.length != src.prefix || !slices.Equal(s.blocks, src.blocks[:src.shared]) {
					t.Fatalf("fork of %+v is %+v", src, s)
				}
				seqs = append(seqs, s)
			case k == 2:
				s := rapid.SampledFrom(seqs).Draw(t, "seq")
				for range rapid.IntRange(1, 40).Draw(t, "tokens") {
					s.grow(pool, false)
				}
			default:
				i := rapid.IntRange(0, len(seqs)-1).Draw(t, "end")
				seqs[i].clear(pool)
				seqs = slices.Delete(seqs, i, i+1)
			}
			checkPages(t, pool, seqs, total)
		}
		for _, s := range seqs {
			s.clear(pool)
		}
		if len(pool.free) != total {
			t.Fatalf("%d of %d blocks are free in the end", len(pool.free), total)
		}
	})
}

func checkPages(t *rapid.T, pool *blockPool, seqs []*pages, total int) {
	uses := make([]int32, total)
	own := map[int32]bool{}
	for _, s := range seqs {
		need := (s.prefix+native.Block-1)/native.Block + (s.length-s.prefix+native.Block-1)/native.Block
		if len(s.blocks) != need || need > tableBlocks(s.length) {
			t.Fatalf("%d blocks for %d tokens behind a prefix of %d", len(s.blocks), s.length, s.prefix)
		}
		for i, b := range s.blocks {
			uses[b]++
			if i >= s.shared {
				if own[b] {
					t.Fatalf("block %d is two sequences' own", b)
				}
				own[b] = true
			}
		}
	}
	if !slices.Equal(uses, pool.uses) {
		t.Fatalf("uses %v, want %v", pool.uses, uses)
	}
	for _, b := range pool.free {
		if uses[b] != 0 {
			t.Fatalf("block %d is free and in use", b)
		}
	}
}
