package gguf

import (
	"encoding/binary"
	"math"
)

const q8Block, q8Bytes = 32, 34

// decodeQ8 follows ggml's dequantize_row_q8_0: a block is a float16 scale and
// 32 signed bytes.
func decodeQ8(dst []float32, src []byte) {
	for len(dst) > 0 {
		d := F16ToF32(binary.LittleEndian.Uint16(src))
		for j := range q8Block {
			dst[j] = float32(int8(src[2+j])) * d
		}
		dst, src = dst[q8Block:], src[q8Bytes:]
	}
}

// encodeQ8 follows ggml's quantize_row_q8_0_ref: scale = largest magnitude /
// 127, quants rounded half away from zero with the unrounded scale.
func encodeQ8(dst []byte, src []float32) error {
	for block := 0; block*q8Block < len(src); block++ {
		x := src[block*q8Block:][:q8Block]
		y := dst[block*q8Bytes:][:q8Bytes]
		// The bits of magnitudes are in the order of the magnitudes, infinities and
		// NaN last.
		var top uint32
		for _, v := range x {
			top = max(top, math.Float32bits(v)&^(1<<31))
		}
		amax := math.Float32frombits(top)
		if !(amax <= math.MaxFloat32) {
			return notFinite(x, block*q8Block)
		}
		d := amax / 127
		h := F32ToF16(d)
		if h == 0x7c00 {
			return &RangeError{block * q8Block, amax, Q8_0}
		}
		binary.LittleEndian.PutUint16(y, h)
		var id float32
		if d != 0 {
			id = 1 / d
		}
		quants := y[2:][:q8Block]
		for j, v := range x {
			quants[j] = byte(roundHalfAway(float32(v * id)))
		}
	}
	return nil
}

// notFinite returns the error for a block that holds an infinity or a NaN.
func notFinite(x []float32, start int) error {
	for j, v := range x {
		if a := math.Abs(float64(v)); !(a <= math.MaxFloat32) {
			return &RangeError{start + j, v, Q8_0}
		}
	}
	return nil
}

// roundHalfAway is C's roundf for |x| <= 128. The sum is exact in float64, and
// would not be in float32. The scale's reciprocal overflows for a block of
// subnormal numbers; its quants are 0, as the cast gives on x86.
func roundHalfAway(x float32) int8 {
	if !(x <= 128 && x >= -128) {
		return 0
	}
	return int8(int32(float64(x) + math.Copysign(0.5, float64(x))))
}
