// Package hidden reads hidden states of a language model and compares what they, and
// the model's output distributions, say of prompts.
//
// [Extract] reads the states of many prompts, at any layers and positions, into files
// for numpy and others; [OpenStates] reads them back and [States.Centroids] takes
// group means. [CosinesOf] compares the groups of a [Representation], [DistancesOf]
// personas by what the model would say as them; [Comparison.WithLeakage] sets either
// against leakage. Underneath, an [Accumulator] takes states as they arrive and gives
// [Centroids] whose bits do not depend on the order; [Centroids.Centre] subtracts what
// all rows share; [Centroids.Cosine] compares rows.
//
// # The four names of a layer
//
// Everywhere in this project layer L means the OUTPUT of the decoder block with the
// 0-based index L, after its residual additions and before any final norm:
//
//   - the decoder index L: model.model.layers[L] of transformers, whose forward hook
//     sees it;
//   - hidden_states[L+1] of transformers, because hidden_states[0] is the embedding.
//     At the last layer transformers' list holds the state after the final norm
//     instead; here it is before it, as at all others;
//   - the tensor l_out-L of llama.cpp's graph;
//   - the output of layers[L] in vLLM, hidden_states plus residual: its layers return
//     the two apart.
//
// Results depend on the input alone. Sums are taken in float64, in the order of
// the members and not of their arrival, and products are rounded before they are
// added, so that no compiler fuses them on one machine and not on the other.
package hidden
