// Package hidden works on hidden states of a language model: it turns the state
// of many prompts into one centroid per group and compares centroids by cosine.
//
// An [Accumulator] takes states as they arrive and gives the groups' means as
// [Centroids], one per layer. [Centroids.Centre] subtracts what all rows share;
// [Centroids.Cosine], [Centroids.CosinesTo] and [Centroids.CosineMatrix] compare
// rows.
//
// Everywhere in this project layer L means the OUTPUT of the decoder layer with
// the 0-based index L: model.model.layers[L] in transformers, hidden_states[L+1],
// the tensor l_out-L in llama.cpp.
//
// Results depend on the input alone. Sums are taken in float64, in the order of
// the members and not of their arrival, and products are rounded before they are
// added, so that no compiler fuses them on one machine and not on the other.
package hidden
