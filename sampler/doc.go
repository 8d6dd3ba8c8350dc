// Package sampler chooses the next token: temperature, top-p and reproducible random
// numbers. It defines sampling for the whole project; any other implementation, such
// as a GPU kernel, must choose the same token for the same logits.
//
// Use Sampler to sample, Reference to check another implementation, and Key for the
// random numbers:
//
//	key := sampler.Key{Seed: 42, Prompt: sampler.PromptHash(prompt), Completion: 3}
//	choice, err := s.Sample(logits, sampler.Params{Temperature: 1, TopP: 0.95}, key.Uniform(position))
//
// # Definition
//
// Given float32 logits l, a temperature T > 0, a top-p P and a draw u in [0, 1):
//
//  1. Depth. d_i = (max l − l_i) · (32·log2(e) / T) in float64: how far token i lies below
//     the most likely one, in 1/32 octaves of probability.
//  2. Mass. w_i = round(2^(44 − d_i/32)), a whole number from 1 to 2^44; 0 if d_i > 1408.
//     The probability of token i is w_i / Σw, that is exp(l_i/T) normalised.
//  3. Nucleus. Order the tokens that have mass by falling logit, equal logits by rising
//     id. Keep the smallest prefix whose mass is at least ⌈P · Σw⌉: the token that
//     crosses stays in. P = 1 keeps every token that has mass.
//  4. Draw. Let K be the kept mass. Walk the kept tokens by rising id and take the first
//     at which the running mass exceeds ⌊u · K⌋, u counting in units of 2^-53.
//
// T = 0 takes the largest logit, the lowest id among equals. A logit of -Inf forbids a
// token. NaN and +Inf are errors, as is a row of -Inf alone. A row has at most 2^19 logits.
//
// # Why whole numbers
//
// A sum of floats depends on the order of its terms, and so would the end of the
// nucleus and the draw: a GPU that adds in another order, or a CPU version that visits
// fewer tokens, would now and then choose another token, and every later token of that
// completion would differ. Sums of integers do not depend on order. Steps 3 and 4 are
// therefore exact on any machine; only the mass itself needs care, and it is a
// fixed sequence of float64 sums and products that are rounded one by one (function
// mass), to be ported as written, without fused multiply-add: __dmul_rn and
// __dadd_rn in CUDA.
//
// The price is resolution. A mass is within 0.6 of its exact value, 2^44 for the top
// token. A token 44 octaves down (30.5 temperatures below the top logit) or more is never
// chosen; in a vocabulary of 152,064, roundings and lost tokens together are at most
// 10^-8 of the total. Sums stay at or below 2^63.
//
// # Why by logit and by id
//
// The nucleus goes by logit because two distinct logits may have one mass. The draw
// goes by id because then nobody has to sort: the nucleus is known once its smallest
// logit is, and among tokens with that logit the largest id. Sampler finds both from a
// histogram over the 1,409 whole depths.
//
// # Why a counter
//
// The draw for a position is a function of (seed, prompt, completion, position) alone;
// see Key. A completion does not change with its batch or its neighbours, can be
// resumed anywhere, and under another adapter uses the same draws, which lowers the
// variance of differences between adapters.
package sampler
