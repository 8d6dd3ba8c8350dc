package bench

import (
	"personaprobe/cgo/cudalib"
	"personaprobe/engine"
	"personaprobe/models/gguf"
)

// roof computes what a device can do for a model from its measured rates.
type roof struct {
	cudalib.Rates
	weights    float64 // bytes that a step reads at least
	operations float64 // of its products, per row
	cell       float64 // bytes of the cache per sequence and token
}

func newRoof(e *engine.Engine) (*roof, error) {
	dir, err := cudalib.FindDir()
	if err != nil {
		return nil, err
	}
	k, err := cudalib.OpenKernels(dir)
	if err != nil {
		return nil, err
	}
	rates, err := k.Measure()
	if err != nil {
		return nil, err
	}
	f, err := gguf.Open(e.Files().Model)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := &roof{Rates: rates}
	tied := f.Tensor("output.weight") == nil
	for _, t := range f.Tensors {
		if len(t.Shape) == 2 && (t.Name != "token_embd.weight" || tied) { // else it is only looked up
			r.weights += float64(t.Bytes())
			r.operations += 2 * float64(t.Elements())
		}
	}
	i := e.Info()
	r.cell = float64(2 * 2 * i.Layers * (i.Hidden / i.Heads * i.KVHeads))
	return r, nil
}

// step is the least time in seconds of a step of rows whose sequences have so many
// tokens: the products at the memory's or the multipliers' rate, and the cache read.
func (r *roof) step(rows, tokens int) float64 {
	return max(r.weights/r.Copy, r.operations*float64(rows)/r.Matrix) + float64(rows*tokens)*r.cell/r.Copy
}
