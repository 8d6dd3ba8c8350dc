// Package native is the binding to our own decode path for the Qwen2 family on a GPU:
// weights, a cache of blocks, prompt passes and decode steps. It is as thin as package
// llama beside it: one C call per unit of work and no policy; package engine decides
// what goes into a pass.
//
// [Open] finds the functions in the kernels' library; [Library.NewModel] makes room for
// weights, [Model.NewDecoder] for a cache. A [Decoder] computes prompts with
// [Decoder.Prompt] and tokens of many sequences with [Decoder.Start] and
// [Decoder.Wait].
//
// A model and its decoders belong to one goroutine at a time, except for
// [Model.Write] and [Model.Flush] with distinct lanes.
package native
