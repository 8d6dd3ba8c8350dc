package gguf

import "fmt"

// Type is a ggml tensor type, numbered as in ggml.h.
type Type uint32

// The types that this package can also decode and encode.
const (
	F32  Type = 0
	F16  Type = 1
	Q8_0 Type = 8
	F64  Type = 28
	BF16 Type = 30
)

type typeInfo struct {
	name  string
	block int64 // elements per block
	size  int64 // bytes per block
}

// typeTable lists every type that the pinned ggml knows (ggml.c, type_traits).
// Types that ggml removed have no entry.
var typeTable = map[Type]typeInfo{
	F32: {"F32", 1, 4}, F16: {"F16", 1, 2},
	2: {"Q4_0", 32, 18}, 3: {"Q4_1", 32, 20},
	6: {"Q5_0", 32, 22}, 7: {"Q5_1", 32, 24},
	Q8_0: {"Q8_0", 32, 34}, 9: {"Q8_1", 32, 36},
	10: {"Q2_K", 256, 84}, 11: {"Q3_K", 256, 110},
	12: {"Q4_K", 256, 144}, 13: {"Q5_K", 256, 176},
	14: {"Q6_K", 256, 210}, 15: {"Q8_K", 256, 292},
	16: {"IQ2_XXS", 256, 66}, 17: {"IQ2_XS", 256, 74},
	18: {"IQ3_XXS", 256, 98}, 19: {"IQ1_S", 256, 50},
	20: {"IQ4_NL", 32, 18}, 21: {"IQ3_S", 256, 110},
	22: {"IQ2_S", 256, 82}, 23: {"IQ4_XS", 256, 136},
	24: {"I8", 1, 1}, 25: {"I16", 1, 2}, 26: {"I32", 1, 4}, 27: {"I64", 1, 8},
	F64: {"F64", 1, 8}, 29: {"IQ1_M", 256, 56}, BF16: {"BF16", 1, 2},
	34: {"TQ1_0", 256, 54}, 35: {"TQ2_0", 256, 66}, 39: {"MXFP4", 32, 17},
}

// String returns ggml's name of the type, such as "BF16".
func (t Type) String() string {
	if info, ok := typeTable[t]; ok {
		return info.name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// Known reports whether the pinned ggml has the type.
func (t Type) Known() bool { _, ok := typeTable[t]; return ok }

// BlockSize returns the number of elements that are stored together, 1 for
// plain types and 0 for unknown ones.
func (t Type) BlockSize() int64 { return typeTable[t].block }

// Bytes returns the storage of n elements, n a multiple of BlockSize.
func (t Type) Bytes(n int64) int64 {
	info, ok := typeTable[t]
	if !ok {
		return 0
	}
	return n / info.block * info.size
}
