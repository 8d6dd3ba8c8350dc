package gguf

import (
	"encoding/binary"
	"fmt"
	"math"

	"personaprobe/internal/fault"
)

// RangeError says which value does not fit a narrower type.
type RangeError struct {
	Index int     // position in the slice that was encoded
	Value float32 // the value, which is not finite or rounds to infinity
	Type  Type    // the type it was to be stored in
}

func (e *RangeError) Error() string {
	return fmt.Sprintf("value %g does not fit type %s", e.Value, e.Type)
}

// Is makes errors.Is(err, models.ErrUnsupported) true.
func (e *RangeError) Is(target error) bool { return target == fault.ErrUnsupported }

// CheckFinite returns a *RangeError for the first NaN or infinity.
func (t Type) CheckFinite(values []float32) error {
	for i, v := range values {
		if !(v-v == 0) {
			return &RangeError{i, v, t}
		}
	}
	return nil
}

// CanDecode reports whether Decode and Encode know the type.
func (t Type) CanDecode() bool {
	return t == F32 || t == F16 || t == BF16 || t == F64 || t == Q8_0
}

// Decode turns len(dst) stored elements into float32. F32, F16, BF16 and Q8_0
// are exact (Q8_0 up to the product scale x quant, rounded once as ggml does);
// F64 is rounded to nearest even. src must hold exactly t.Bytes(len(dst)).
func (t Type) Decode(dst []float32, src []byte) error {
	if err := t.checkLengths(len(dst), len(src)); err != nil {
		return fmt.Errorf("decode %s: %w", t, err)
	}
	switch t {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	case F16:
		for i := range dst {
			dst[i] = F16ToF32(binary.LittleEndian.Uint16(src[2*i:]))
		}
	case BF16:
		for i := range dst {
			dst[i] = BF16ToF32(binary.LittleEndian.Uint16(src[2*i:]))
		}
	case F64:
		for i := range dst {
			dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:])))
		}
	case Q8_0:
		decodeQ8(dst, src)
	}
	return nil
}

// Encode stores src in dst, which must hold exactly t.Bytes(len(src)). It
// rounds to nearest even (Q8_0: as ggml's quantize_row_q8_0_ref). A finite
// value that would become infinite, and for Q8_0 any value that is not finite,
// gives a *RangeError.
func (t Type) Encode(dst []byte, src []float32) error {
	if err := t.checkLengths(len(src), len(dst)); err != nil {
		return fmt.Errorf("encode %s: %w", t, err)
	}
	switch t {
	case F32:
		for i, v := range src {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
		}
	case F16:
		return encodeF16(dst, src)
	case BF16:
		return encodeBF16(dst, src)
	case F64:
		for i, v := range src {
			binary.LittleEndian.PutUint64(dst[8*i:], math.Float64bits(float64(v)))
		}
	case Q8_0:
		return encodeQ8(dst, src)
	}
	return nil
}

func (t Type) checkLengths(elements, bytes int) error {
	if !t.CanDecode() {
		return fmt.Errorf("no float32 conversion for type %s", t)
	}
	if int64(elements)%t.BlockSize() != 0 {
		return fmt.Errorf("%d elements are not a multiple of %d", elements, t.BlockSize())
	}
	if want := t.Bytes(int64(elements)); int64(bytes) != want {
		return fmt.Errorf("%d elements need %d bytes, got %d", elements, want, bytes)
	}
	return nil
}

// encodeF16 and encodeBF16 report the first finite value that became infinite.
// They are two loops and not one with a function value, which the compiler could
// not inline: it costs a factor of three.
func encodeF16(dst []byte, src []float32) error {
	for i, v := range src {
		h := F32ToF16(v)
		if h&0x7fff == 0x7c00 && !math.IsInf(float64(v), 0) {
			return &RangeError{i, v, F16}
		}
		binary.LittleEndian.PutUint16(dst[2*i:], h)
	}
	return nil
}

func encodeBF16(dst []byte, src []float32) error {
	const rounds = 0x7f7f8000 // the smallest magnitude that rounds to infinity
	dst = dst[:2*len(src)]
	for i, v := range src {
		u := math.Float32bits(v)
		h := uint16((u + 0x7fff + u>>16&1) >> 16)
		if u&0x7fffffff >= rounds {
			if h = F32ToBF16(v); h&0x7fff == 0x7f80 && !math.IsInf(float64(v), 0) {
				return &RangeError{i, v, BF16}
			}
		}
		binary.LittleEndian.PutUint16(dst[2*i:], h)
	}
	return nil
}

// BF16ToF32 is exact: bfloat16 is the upper half of a float32.
func BF16ToF32(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// F32ToBF16 rounds to nearest even and quiets NaN, as
// ggml_compute_fp32_to_bf16 does.
func F32ToBF16(f float32) uint16 {
	u := math.Float32bits(f)
	if u&0x7fffffff > 0x7f800000 {
		return uint16(u>>16) | 64
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

// F16ToF32 is exact; it follows ggml_compute_fp16_to_fp32 (Marat Dukhan's
// FP16 library): normal numbers by shifting the exponent's bias, subnormal
// ones by an exact subtraction.
func F16ToF32(h uint16) float32 {
	w := uint32(h) << 16
	sign, two := w&0x80000000, w+w
	const (
		expOffset = 0xE0 << 23
		expScale  = 0x1p-112
		magicMask = 126 << 23
		cutoff    = 1 << 27
	)
	bits := math.Float32bits(math.Float32frombits(two>>17|magicMask) - 0.5)
	if two >= cutoff {
		bits = math.Float32bits(float32(math.Float32frombits(two>>4+expOffset) * expScale))
	}
	return math.Float32frombits(sign | bits)
}

// F32ToF16 rounds to nearest even, as ggml_compute_fp32_to_fp16 does: adding a
// power of two with the right exponent makes the hardware round at bit 10.
// Every NaN becomes 0x7E00 with its sign.
func F32ToF16(f float32) uint16 {
	const toInf, toZero = 0x1p+112, 0x1p-110
	w := math.Float32bits(f)
	two, sign := w+w, w&0x80000000
	// The conversions keep the compiler from fusing the operations.
	base := float32(float32(math.Float32frombits(w&0x7fffffff)*toInf) * toZero)
	bias := max(two&0xFF000000, 0x71000000)
	base = float32(math.Float32frombits(bias>>1+0x07800000) + base)
	bits := math.Float32bits(base)
	nonsign := bits>>13&0x7C00 + bits&0x0FFF
	if two > 0xFF000000 {
		nonsign = 0x7E00
	}
	return uint16(sign>>16 | nonsign)
}
