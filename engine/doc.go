// Package engine turns prompts into completions, many at a time and
// reproducibly, and reads hidden states on the way.
//
// [Open] loads a model and its adapters; [Engine.Generate] streams requests in
// and completions out; [Engine.States] reads hidden states inside the network.
//
// Work is cut into steps. A [Stepper] computes one step: tokens and rows in,
// sampled tokens out. The scheduler in this package decides what goes into a
// step and knows nothing of llama.cpp; the stepper knows nothing of requests.
// There are two: llama.cpp, on the CPU or a GPU, and on GPUs our own decoder for the
// Qwen2 family (native*.go), which Options.Backend chooses.
//
// # Words
//
// A Sequence is one completion in the making and occupies a slot of the KV
// cache. A prompt is computed once into a slot and forked from there for each of
// its completions. A step's rows are the sequences that get one token each.
//
// # What is promised
//
// A completion's bytes depend on its prompt's token ids, its adapter, its seed,
// its index and the sampling parameters, on this build and this device. They do
// not depend on the requests beside it, the number of slots, the order or the
// number of threads.
package engine
