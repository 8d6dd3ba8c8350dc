package hidden

import (
	"fmt"
	"slices"

	"personaprobe/models/safetensors"
	"personaprobe/sampler"
)

// Format is a kind of output file.
type Format string

// The formats. Both hold the same numbers.
const (
	FormatNPY         Format = "npy"         // layer_<L>.npy, one file per layer
	FormatSafetensors Format = "safetensors" // states.safetensors, the tensors layer_<L>
)

// ExtractOptions says what [Extract] reads. Layers must be set.
type ExtractOptions struct {
	// Layers are 0-based decoder layers, ascending; see Layers.Of.
	Layers []int
	// Position is of which tokens. Default: PositionLast.
	Position Position
	// Adapter is an adapter's name as given to the engine; "" is the base model.
	Adapter string
	// DType of the stored numbers: safetensors.F32 or F16, which halves the files and
	// keeps 11 bits. Default F32.
	DType safetensors.DType
	// Formats to write. Default: both, which takes twice the room.
	Formats []Format
	// Response says what is generated, for the positions of a response.
	Response Response
	// Batch is about how many tokens one pass computes. Default: the engine's.
	Batch int
	// Progress, if not nil, is told how far the job has come.
	Progress func(Progress)

	// Replaced by tests: the room on a directory's file system in bytes, the size of a
	// block in prompts and bytes, and what is called after each block.
	free       func(dir string) (int64, error)
	block      block
	afterBlock func()
}

// Response says how responses are generated.
type Response struct {
	MaxTokens int            // new tokens at most; default 256
	Sampling  sampler.Params // zero value: greedy
	Seeds     []uint64       // sampling seeds; nil means {0}
	N         int            // responses per seed; 0 means 1
}

// block is how much of a job is in memory at a time, and is lost at most when the
// process is killed. A single prompt's rows may exceed bytes.
type block struct {
	prompts int
	bytes   int64 // of the states
}

// perPrompt is the number of responses to a prompt.
func (r *Response) perPrompt() int { return max(r.N, 1) * max(len(r.Seeds), 1) }

// Phase is a part of a job.
type Phase string

// The phases in their order. Responses are generated for their positions only.
const (
	PhaseCheck   Phase = "checking prompts"
	PhaseRespond Phase = "generating responses"
	PhaseRead    Phase = "reading states"
	PhaseWrite   Phase = "writing files"
)

// Progress is how far a job has come.
type Progress struct {
	Phase       Phase
	Done, Total int // prompts, of PhaseWrite files; Total is 0 while it is not known
}

// Validate reports what is wrong, apart from what only the model knows. Errors wrap
// ErrInput.
func (o *ExtractOptions) Validate() error {
	if len(o.Layers) == 0 {
		return fmt.Errorf("%w: no layers given", ErrInput)
	}
	if !slices.IsSorted(o.Layers) || len(slices.Compact(slices.Clone(o.Layers))) != len(o.Layers) {
		return fmt.Errorf("%w: layers %v are not ascending", ErrInput, o.Layers)
	}
	if o.Position != "" {
		if err := o.Position.validate(); err != nil {
			return err
		}
	}
	if o.DType != "" && o.DType != safetensors.F32 && o.DType != safetensors.F16 {
		return fmt.Errorf("%w: states are stored as F32 or F16, not as %q", ErrInput, o.DType)
	}
	for i, f := range o.Formats {
		if f != FormatNPY && f != FormatSafetensors {
			return fmt.Errorf("%w: unknown format %q; want %s or %s", ErrInput, f, FormatNPY, FormatSafetensors)
		}
		if slices.Contains(o.Formats[:i], f) {
			return fmt.Errorf("%w: the format %q is given twice", ErrInput, f)
		}
	}
	if o.Batch < 0 {
		return fmt.Errorf("%w: a batch of %d tokens", ErrInput, o.Batch)
	}
	return o.Response.validate()
}

func (r *Response) validate() error {
	if r.MaxTokens < 0 || r.N < 0 {
		return fmt.Errorf("%w: %d responses of %d tokens", ErrInput, r.N, r.MaxTokens)
	}
	for i, s := range r.Seeds {
		if slices.Contains(r.Seeds[:i], s) {
			return fmt.Errorf("%w: the sampling seed %d is given twice", ErrInput, s)
		}
	}
	if err := r.Sampling.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrInput, err)
	}
	return nil
}

// withDefaults fills in what was left open.
func (o ExtractOptions) withDefaults() ExtractOptions {
	if o.Position == "" {
		o.Position = PositionLast
	}
	if o.DType == "" {
		o.DType = safetensors.F32
	}
	if len(o.Formats) == 0 {
		o.Formats = []Format{FormatNPY, FormatSafetensors}
	}
	o.Formats = slices.Sorted(slices.Values(o.Formats))
	if o.Response.MaxTokens == 0 {
		o.Response.MaxTokens = 256
	}
	if len(o.Response.Seeds) == 0 {
		o.Response.Seeds = []uint64{0}
	}
	o.Response.N = max(o.Response.N, 1)
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	if o.free == nil {
		o.free = freeBytes
	}
	if o.block == (block{}) {
		o.block = block{prompts: 4096, bytes: 64 << 20}
	}
	if o.afterBlock == nil {
		o.afterBlock = func() {}
	}
	return o
}
