package sampler

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
)

var (
	// ErrParams marks a temperature or top-p out of range.
	ErrParams = errors.New("invalid sampling parameters")
	// ErrLogits marks a row that defines no distribution. The message names the first bad index.
	ErrLogits = errors.New("invalid logits")
	// ErrUniform marks a draw outside [0, 1).
	ErrUniform = errors.New("invalid uniform draw")
)

// Params says how a token is chosen. The zero value is greedy decoding.
type Params struct {
	// Temperature divides the logits. 0, the default, takes the largest logit (the
	// lowest id among equals) and ignores TopP. It must be finite and not negative.
	Temperature float32

	// TopP is the probability mass that the nucleus must reach, in (0, 1]. 0, the
	// default, stands for 1: no truncation. It counts as the exact value of the
	// float32, so 0.95 is 0.949999988079071044921875.
	TopP float32
}

// Validate returns an error that wraps ErrParams if a field is out of range.
func (p Params) Validate() error {
	if !(p.Temperature >= 0) || math.IsInf(float64(p.Temperature), 1) {
		return fmt.Errorf("%w: temperature is %v; use 0 for greedy decoding or a finite positive number", ErrParams, p.Temperature)
	}
	if !(p.TopP >= 0 && p.TopP <= 1) {
		return fmt.Errorf("%w: top-p is %v; use a number in (0, 1], or 0 for no truncation", ErrParams, p.TopP)
	}
	return nil
}

// nucleusMass is ⌈TopP × total⌉, exactly: the mass at which the nucleus is complete.
//
// TopP in units of 2^-64 is an integer from 2^-41 upwards. Below, the truncation
// does not matter: total is at most 2^63, so the top token's 2^44 already suffice.
func (p Params) nucleusMass(total uint64) uint64 {
	if p.TopP == 0 || p.TopP == 1 {
		return total
	}
	hi, lo := bits.Mul64(uint64(float64(p.TopP)*0x1p64), total)
	if lo != 0 {
		hi++
	}
	return max(hi, 1)
}

// target is ⌊u × kept⌋, exactly: the chosen token is the first, by id, at which the
// running sum of kept masses exceeds it. It is below kept, so there always is one.
func target(u float64, kept uint64) uint64 {
	hi, _ := bits.Mul64(uint64(u*0x1p53)<<11, kept)
	return hi
}

func check(p Params, u float64) error {
	if err := p.Validate(); err != nil {
		return err
	}
	if !(u >= 0 && u < 1) {
		return fmt.Errorf("%w: %v is not in [0, 1)", ErrUniform, u)
	}
	return nil
}

// checkLogits finds the token with the largest logit, the lowest id among equals.
func checkLogits(logits []float32) (argmax int, err error) {
	if len(logits) == 0 {
		return 0, fmt.Errorf("%w: the row is empty", ErrLogits)
	}
	if len(logits) > maxVocab {
		return 0, fmt.Errorf("%w: the row has %d logits; at most %d are supported", ErrLogits, len(logits), maxVocab)
	}
	top := float32(math.Inf(-1))
	for i, l := range logits {
		if !(l <= math.MaxFloat32) { // NaN fails every comparison
			return 0, fmt.Errorf("%w: logit %d of %d is %v; the model's output is broken", ErrLogits, i, len(logits), l)
		}
		if l > top {
			top, argmax = l, i
		}
	}
	if math.IsInf(float64(top), -1) {
		return 0, fmt.Errorf("%w: logit 0 and all %d others are -Inf; no token is allowed", ErrLogits, len(logits)-1)
	}
	return argmax, nil
}
