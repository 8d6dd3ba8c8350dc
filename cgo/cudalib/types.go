package cudalib

// Device describes a GPU.
type Device struct {
	Name            string
	Major, Minor    int    // compute capability
	Multiprocessors int    //
	Driver, Runtime int    // newest CUDA version that the driver knows, and ours: 1000 major + 10 minor
	Total, Free     uint64 // bytes of device memory
	L2              uint64 // bytes of level-2 cache
}

// Draw asks for one token; pp_draw in cuda/sample.h.
type Draw struct {
	Seed, Prompt         uint64 // sampler.Key
	Completion, Position uint32 // sampler.Key, and the position that its Uniform takes
	Temperature, TopP    float32
	Row                  int32 // of the logits; below 0: idle, the token is -1
	_                    int32
}

// Choice is sampler.Choice with an error; pp_choice in cuda/sample.h.
type Choice struct {
	LogProb     float64
	NucleusMass float64
	Token       int32 // -1 if the draw was idle or failed
	NucleusSize int32
	Error       int32 // one of the Sample constants
	Bad         int32 // index of the first bad logit, else -1
}

// Values of Choice.Error.
const (
	SampleOK     = 0
	SampleLogits = 1 // a logit is NaN or +Inf
	SampleEmpty  = 2 // all logits are -Inf
	SampleParams = 3 // temperature or top-p out of range
)

// Sizes in bytes.
const (
	DrawBytes   = 40
	ChoiceBytes = 32
)

// Memory is an address in device memory; 0 is none.
type Memory uintptr

// Stream is a CUDA stream; 0 is the default one.
type Stream uintptr

// Event is a CUDA event.
type Event uintptr

// Logits are rows of float32 in device memory.
type Logits struct {
	At     Memory
	Stride int  // floats from row to row
	Vocab  int  // floats in a row
	OnHost bool // they are in the host's memory, where only the emulation reads them
}

// Pair is a weight W, Out rows of In elements, and the factors of its change:
// W + Scale x B (Out, Rank) x A (Rank, In). Types are ggml's numbers.
type Pair struct {
	W, A, B             Memory
	WType, AType, BType int
	Rank, In, Out       int
	Bytes               int     // of W
	Scale               float64 // alpha / rank
	OnHost              bool    // W is in the host's memory
}

// Rates are what a device can do.
type Rates struct {
	Copy   float64 // bytes per second of a copy inside device memory, read and written
	Matrix float64 // operations per second of bf16 products of random numbers, 8192 each way
}
