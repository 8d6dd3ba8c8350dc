package llama

// Device is a piece of hardware that ggml can compute on.
type Device struct {
	Name        string // "CPU", "CUDA0"
	Description string // "NVIDIA H200"
	Type        string // "cpu", "gpu", "igpu" or "accel"
	Free, Total uint64 // memory in bytes
}

// ModelOptions says how to load a model. The zero value loads it to the CPU.
type ModelOptions struct {
	// GPULayers is how many layers go to the GPU; -1 means all of them. Without
	// a GPU it does nothing. Default 0.
	GPULayers int
	// NoMMap reads the weights into memory of their own, so that they can be
	// changed in place. The default maps the file.
	NoMMap bool
	// VocabOnly loads the tokenizer and no weights.
	VocabOnly bool
}

// ModelInfo describes a loaded model.
type ModelInfo struct {
	Description string // "qwen2 7B F16"
	Arch        string // general.architecture
	Layers      int    // decoder layers
	Hidden      int    // width of a hidden state
	Heads       int    // query heads
	KVHeads     int    // key/value heads
	Vocab       int    // rows of the logits
	Context     int    // positions the model was trained for
	Params      uint64 // parameters
	Bytes       uint64 // size of the tensors
}

// TypeF32, TypeF16 and TypeBF16 are ggml's numbers of the cache types.
const (
	TypeF32  = 0
	TypeF16  = 1
	TypeBF16 = 30
)

// ContextOptions sizes a context. Sequences, Cells and Batch must be set.
type ContextOptions struct {
	// Sequences is how many independent sequences there are, at most 256. Each
	// has a stream of its own in the cache, so attention never crosses them.
	Sequences int
	// Cells is the longest sequence in tokens; llama.cpp rounds it up to 256s.
	Cells int
	// Batch is how many tokens a Decode may have.
	Batch int
	// Threads of the CPU. Default: all cores. More threads than cores make
	// llama.cpp's spin barriers hundreds of times slower.
	Threads int
	// KVType is the type of the cache: TypeF32 (the default), TypeF16, TypeBF16. ggml's
	// flash attention on the CPU computes in float16 whatever it is.
	KVType int
	// NoFlashAttention computes attention with plain matrix products.
	NoFlashAttention bool
	// Taps makes Batch.Tap work. It costs a look at each graph node.
	Taps bool
}

// Batch is the input of one Decode, one entry per token in all four slices.
type Batch struct {
	Tokens []int32
	Pos    []int32 // position within the sequence, from 0
	Seq    []int32 // sequence, 0 <= Seq < ContextOptions.Sequences
	Output []int8  // 1: logits are wanted after this token
}

// Add appends one token.
func (b *Batch) Add(token, pos, seq int32, output bool) {
	b.Tokens = append(b.Tokens, token)
	b.Pos = append(b.Pos, pos)
	b.Seq = append(b.Seq, seq)
	var o int8
	if output {
		o = 1
	}
	b.Output = append(b.Output, o)
}

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() {
	b.Tokens, b.Pos, b.Seq, b.Output = b.Tokens[:0], b.Pos[:0], b.Seq[:0], b.Output[:0]
}

// Len is the number of tokens.
func (b *Batch) Len() int { return len(b.Tokens) }

// Tap asks a Decode for rows of named graph tensors, such as "l_out-15": the
// output of the decoder layer with 0-based index 15, (hidden, tokens) float32.
type Tap struct {
	Names []string
	Rows  []int32   // indices into the batch; in the last layer only output tokens have a row
	Stop  bool      // end the graph after the last of Names: no later layer, no logits
	Dst   []float32 // len(Names) x len(Rows) x hidden, filled by Decode
}

// Special is a token that stands for something other than its text.
type Special struct {
	ID   int32
	Text string // "<|im_end|>"
}
