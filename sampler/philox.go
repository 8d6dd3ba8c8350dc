package sampler

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// Key names one completion's random numbers. Nothing else enters them: not the
// batch, the order, the thread or the adapter, so adapters share random numbers.
type Key struct {
	Seed       uint64 // sampling seed of the run
	Prompt     uint64 // PromptHash of the prompt's tokens
	Completion uint32 // index of the completion among those of this prompt
}

// Uniform returns the draw for the generated token at position (0 is the first one
// after the prompt): a multiple of 2^-53 in [0, 1), uniform, the same on every machine.
//
// It is Philox 4x32-10 with key words {seed low, seed high} and counter words
// {position, completion, prompt low, prompt high}; the output words w0 and w1 give
// ((w1·2^32 + w0) >> 11) · 2^-53. Distinct counters under one key give distinct
// outputs, so no two draws of a seed reuse random bits unless their prompts collide.
func (k Key) Uniform(position uint32) float64 {
	w := philox(
		[4]uint32{position, k.Completion, low(k.Prompt), high(k.Prompt)},
		[2]uint32{low(k.Seed), high(k.Seed)})
	return float64((uint64(w[1])<<32|uint64(w[0]))>>11) * 0x1p-53
}

// PromptHash identifies a prompt by its token ids: the first 8 bytes, little-endian,
// of the SHA-256 of the ids written as little-endian uint32.
func PromptHash(tokens []int32) uint64 {
	buf := make([]byte, 0, 4*len(tokens))
	for _, t := range tokens {
		buf = binary.LittleEndian.AppendUint32(buf, uint32(t)) //nolint:gosec // two's complement is meant
	}
	sum := sha256.Sum256(buf)
	return binary.LittleEndian.Uint64(sum[:8])
}

// philox is Philox 4x32-10: Salmon, Moraes, Dror and Shaw, "Parallel random numbers:
// as easy as 1, 2, 3", SC'11.
func philox(ctr [4]uint32, key [2]uint32) [4]uint32 {
	c0, c1, c2, c3 := ctr[0], ctr[1], ctr[2], ctr[3]
	k0, k1 := key[0], key[1]
	for range 10 {
		hi0, lo0 := bits.Mul32(0xD2511F53, c0)
		hi1, lo1 := bits.Mul32(0xCD9E8D57, c2)
		c0, c1, c2, c3 = hi1^c1^k0, lo1, hi0^c3^k1, lo0
		k0 += 0x9E3779B9 // golden ratio
		k1 += 0xBB67AE85 // √3 − 1
	}
	return [4]uint32{c0, c1, c2, c3}
}

func low(x uint64) uint32  { return uint32(x) } //nolint:gosec // the low half is meant
func high(x uint64) uint32 { return uint32(x >> 32) }
