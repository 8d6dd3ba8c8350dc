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
		var amax float32
		for j, v := range x {
			a := math.Float32frombits(math.Float32bits(v) &^ (1 << 31))
			if !(a <= math.MaxFloat32) {
				return &RangeError{block*q8Block + j, v, Q8_0}
			}
			amax = max(amax, a)
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
		for j, v := range x {
			y[2+j] = byte(roundHalfAway(float32(v * id)))
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
	if x < 0 {
		return int8(int32(float64(x) - 0.5))
	}
	return int8(int32(float64(x) + 0.5))
}
