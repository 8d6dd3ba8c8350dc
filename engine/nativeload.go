package engine

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"personaprobe/cgo/cudalib"
	"personaprobe/cgo/native"
	"personaprobe/models"
	"personaprobe/models/gguf"
)

// errNotNative says why the native path does not serve a model; the reason follows.
var errNotNative = fmt.Errorf("%w by the native decoder", models.ErrUnsupported)

func notNative(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errNotNative}, args...)...)
}

// openKernels loads the native path's library and checks the GPU.
func openKernels() (*native.Library, cudalib.Device, error) {
	dir, err := cudalib.FindDir()
	if err != nil {
		return nil, cudalib.Device{}, err
	}
	if !cudalib.HasDriver() {
		return nil, cudalib.Device{}, fmt.Errorf("%w here: no NVIDIA driver", cudalib.ErrAbsent)
	}
	k, err := cudalib.OpenKernels(dir)
	if err != nil {
		return nil, cudalib.Device{}, err
	}
	device, err := k.Device()
	if err != nil {
		return nil, device, err
	}
	if device.Major < 8 {
		return nil, device, notNative("a GPU of compute capability %d.%d; 8.0 is needed", device.Major, device.Minor)
	}
	lib, err := native.Open(k)
	return lib, device, err
}

// nativeShape reads a model's shape from its metadata. The error wraps errNotNative
// where this path does not apply.
func nativeShape(f *gguf.File) (native.Shape, error) {
	var s native.Shape
	if arch, _ := f.String("general.architecture"); arch != "qwen2" {
		return s, notNative("architecture %q; qwen2 is", arch)
	}
	if kind, ok := f.String(f.ArchKey("rope.scaling.type")); ok && kind != "none" {
		return s, notNative("rope scaling %q", kind)
	}
	for _, key := range []string{"rope.scaling.factor", "rope.scale_linear", "rope.scaling.attn_factor"} { // which llama.cpp applies without a type, too
		if v, ok := f.Float(f.ArchKey(key)); ok && v != 1 {
			return s, notNative("%s of %v", key, v)
		}
	}
	number := func(key string, fallback int) int {
		if v, ok := f.Uint(f.ArchKey(key)); ok {
			return int(v) //nolint:gosec // verified with the file
		}
		return fallback
	}
	s.Layers = number("block_count", 0)
	s.Hidden = number("embedding_length", 0)
	s.FFN = number("feed_forward_length", 0)
	s.Heads = number("attention.head_count", 0)
	s.KVHeads = number("attention.head_count_kv", s.Heads)
	if s.Heads == 0 || s.Layers == 0 {
		return s, notNative("a model without layers or heads")
	}
	s.HeadDim = number("attention.key_length", s.Hidden/s.Heads)
	s.Context = number("context_length", 0)
	s.Eps = 1e-6
	if v, ok := f.Float(f.ArchKey("attention.layer_norm_rms_epsilon")); ok {
		s.Eps = float32(v)
	}
	s.RopeBase = 10000
	if v, ok := f.Float(f.ArchKey("rope.freq_base")); ok {
		s.RopeBase = float32(v)
	}
	embed := f.Tensor("token_embd.weight")
	q := f.Tensor("blk.0.attn_q.weight")
	if embed == nil || len(embed.Shape) != 2 || q == nil {
		return s, notNative("a model without token_embd.weight or blk.0.attn_q.weight")
	}
	s.Vocab = int(embed.Shape[1])
	s.Tied = f.Tensor("output.weight") == nil
	switch q.Type {
	case gguf.F16, gguf.Q8_0:
		s.Type = native.F16
	case gguf.BF16:
		s.Type = native.BF16
	default:
		return s, notNative("weights of type %s; BF16, F16 and Q8_0 are", q.Type)
	}
	return s, nil
}

// place is where a tensor goes on the device: a weight, rows of it from row0 on.
type place struct {
	weight     native.Weight
	layer      int
	row0, rows int
	cols       int // 0: a vector of float32
}

// placeOf finds the place of a tensor or of the weight that an adapter changes.
func placeOf(name string, s *native.Shape) (place, bool) {
	d := s.HeadDim
	switch name {
	case "token_embd.weight":
		return place{native.Embed, 0, 0, s.Vocab, s.Hidden}, true
	case "output.weight":
		return place{native.Head, 0, 0, s.Vocab, s.Hidden}, true
	case "output_norm.weight":
		return place{native.FinalNorm, 0, 0, s.Hidden, 0}, true
	}
	rest, ok := strings.CutPrefix(name, "blk.")
	number, part, ok2 := strings.Cut(rest, ".")
	layer, err := strconv.Atoi(number)
	if !ok || !ok2 || err != nil || layer < 0 || layer >= s.Layers {
		return place{}, false
	}
	kv := s.KVHeads * d
	all := map[string]place{
		"attn_norm.weight":   {native.Norm1, layer, 0, s.Hidden, 0},
		"ffn_norm.weight":    {native.Norm2, layer, 0, s.Hidden, 0},
		"attn_q.bias":        {native.QKVBias, layer, 0, s.Heads * d, 0},
		"attn_k.bias":        {native.QKVBias, layer, s.Heads * d, kv, 0},
		"attn_v.bias":        {native.QKVBias, layer, s.Heads*d + kv, kv, 0},
		"attn_q.weight":      {native.QKV, layer, 0, s.Heads * d, s.Hidden},
		"attn_k.weight":      {native.QKV, layer, s.Heads * d, kv, s.Hidden},
		"attn_v.weight":      {native.QKV, layer, s.Heads*d + kv, kv, s.Hidden},
		"attn_output.weight": {native.Out, layer, 0, s.Hidden, s.Heads * d},
		"ffn_gate.weight":    {native.GateUp, layer, 0, s.FFN, s.Hidden},
		"ffn_up.weight":      {native.GateUp, layer, s.FFN, s.FFN, s.Hidden},
		"ffn_down.weight":    {native.Down, layer, 0, s.Hidden, s.FFN},
	}
	p, ok := all[part]
	return p, ok
}

// pieceBytes is how much of a tensor is read and copied at a time.
const pieceBytes = 16 << 20

// loadNative reads a model's tensors to the device, several pieces at a time.
func loadNative(ctx context.Context, m *native.Model, f *gguf.File, progress func(done, total int64)) error {
	shape := m.Shape()
	if err := checkTensors(f, &shape); err != nil {
		return err
	}
	type piece struct {
		t    *gguf.Tensor
		at   place
		from int64 // element
		n    int64
	}
	pieces := make(chan piece)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(pieces)
		for _, t := range f.Tensors {
			at, _ := placeOf(t.Name, &shape)
			const step = pieceBytes / 4 // elements: a multiple of any type's block
			for from := int64(0); from < t.Elements(); from += step {
				select {
				case pieces <- piece{t, at, from, min(step, t.Elements()-from)}:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
		return nil
	})
	var done atomic.Int64
	for lane := range min(8, native.Lanes) {
		g.Go(func() error {
			w, err := newWeightWriter(m, lane)
			if err != nil {
				return err
			}
			defer w.close()
			for p := range pieces {
				if err := w.write(p.t, p.at, p.from, p.n); err != nil {
					return fmt.Errorf("tensor %s: %w", p.t.Name, err)
				}
				if progress != nil {
					progress(done.Add(p.t.Type.Bytes(p.n)), f.Size)
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// checkTensors sees that the file has every tensor that this path needs, in its shape,
// and no other.
func checkTensors(f *gguf.File, s *native.Shape) error {
	rows := map[native.Weight]int64{}
	for _, t := range f.Tensors {
		at, ok := placeOf(t.Name, s)
		if !ok {
			return notNative("tensor %s", t.Name)
		}
		want := []int64{int64(at.rows)}
		if at.cols > 0 {
			want = []int64{int64(at.cols), int64(at.rows)}
		}
		if len(want) != len(t.Shape) || want[0] != t.Shape[0] || len(want) == 2 && want[1] != t.Shape[1] {
			return notNative("tensor %s of shape %s", t.Name, gguf.FormatShape(t.Shape))
		}
		if !t.Type.CanDecode() {
			return notNative("tensor %s of type %s", t.Name, t.Type)
		}
		rows[at.weight] += int64(at.rows)
	}
	layers, kv := int64(s.Layers), int64(2*s.KVHeads*s.HeadDim)
	need := map[native.Weight]int64{
		native.Embed: int64(s.Vocab), native.FinalNorm: int64(s.Hidden),
		native.Norm1: layers * int64(s.Hidden), native.Norm2: layers * int64(s.Hidden),
		native.QKV: layers * (int64(s.Heads*s.HeadDim) + kv), native.QKVBias: layers * (int64(s.Heads*s.HeadDim) + kv),
		native.Out: layers * int64(s.Hidden), native.GateUp: layers * 2 * int64(s.FFN), native.Down: layers * int64(s.Hidden),
	}
	for w, n := range need {
		if rows[w] != n {
			return notNative("a model with %d of %d rows of its weights of kind %d", rows[w], n, w)
		}
	}
	return nil
}

// weightWriter copies pieces of tensors through pinned memory of its own.
type weightWriter struct {
	m      *native.Model
	lane   int
	pinned [2]*native.Pinned // one is filled while the other is copied
	next   int
	floats []float32
	raw    []byte
}

func newWeightWriter(m *native.Model, lane int) (*weightWriter, error) {
	w := &weightWriter{m: m, lane: lane}
	for i := range w.pinned {
		p, err := m.Library().NewPinned(pieceBytes)
		if err != nil {
			w.close()
			return nil, err
		}
		w.pinned[i] = p
	}
	return w, nil
}

func (w *weightWriter) close() {
	_ = w.m.Flush(w.lane) // before the memory goes; write has told of its errors
	for _, p := range w.pinned {
		if p != nil {
			p.Close()
		}
	}
}

// write copies n elements of a tensor from element from on.
func (w *weightWriter) write(t *gguf.Tensor, at place, from, n int64) error {
	want, size := gguf.F32, int64(4)
	if at.cols > 0 {
		want, size = gguf.BF16, 2
		if w.m.Shape().Type == native.F16 {
			want = gguf.F16
		}
	}
	buf := w.pinned[w.next].Bytes[:n*size]
	w.next = 1 - w.next
	if err := w.read(buf, t, want, from, n); err != nil {
		return err
	}
	if err := w.m.Flush(w.lane); err != nil { // of the other buffer
		return err
	}
	offset := (int64(at.row0)*int64(max(at.cols, 1)) + from) * size
	return w.m.Write(at.weight, at.layer, offset, buf, w.lane)
}

func (w *weightWriter) read(dst []byte, t *gguf.Tensor, want gguf.Type, from, n int64) error {
	start := t.Type.Bytes(from)
	if t.Type == want {
		_, err := t.Data().ReadAt(dst, start)
		return err
	}
	raw := t.Type.Bytes(n)
	if int64(cap(w.raw)) < raw {
		w.raw = make([]byte, raw)
	}
	if int64(cap(w.floats)) < n {
		w.floats = make([]float32, n)
	}
	if _, err := t.Data().ReadAt(w.raw[:raw], start); err != nil {
		return err
	}
	if err := t.Type.Decode(w.floats[:n], w.raw[:raw]); err != nil {
		return err
	}
	return want.Encode(dst, w.floats[:n])
}
