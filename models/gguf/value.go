package gguf

import (
	"encoding/binary"
	"fmt"
	"math"

	"personaprobe/internal/fault"
)

// valueType is GGUF's number for the type of a metadata value.
type valueType uint32

const (
	typeUint8 valueType = iota
	typeInt8
	typeUint16
	typeInt16
	typeUint32
	typeInt32
	typeFloat32
	typeBool
	typeString
	typeArray
	typeUint64
	typeInt64
	typeFloat64
)

// valueSize is the width of a value in bytes, 0 for strings and arrays.
func (t valueType) valueSize() int64 {
	switch t {
	case typeUint8, typeInt8, typeBool:
		return 1
	case typeUint16, typeInt16:
		return 2
	case typeUint32, typeInt32, typeFloat32:
		return 4
	case typeUint64, typeInt64, typeFloat64:
		return 8
	}
	return 0
}

func (p *parser) value() (any, error) {
	kind, err := p.u32()
	if err != nil {
		return nil, err
	}
	switch t := valueType(kind); t {
	case typeString:
		return p.str()
	case typeArray:
		return p.array()
	default:
		if t.valueSize() == 0 {
			return nil, fault.Formatf("unknown value type %d", kind)
		}
		raw := make([]byte, t.valueSize())
		if err := p.read(raw); err != nil {
			return nil, err
		}
		return decodeScalar(t, raw)
	}
}

func (p *parser) array() (any, error) {
	kind, err := p.u32()
	if err != nil {
		return nil, err
	}
	n, err := p.u64()
	if err != nil {
		return nil, err
	}
	t := valueType(kind)
	if t == typeString {
		return p.stringArray(n)
	}
	size := t.valueSize()
	if size == 0 {
		return nil, fault.Formatf("array of unknown or nested type %d", kind)
	}
	if n > uint64(p.left/size) {
		return nil, fault.Formatf("array of %d elements, but only %d bytes are left in the file", n, p.left)
	}
	raw := make([]byte, int64(n)*size)
	if err := p.read(raw); err != nil {
		return nil, err
	}
	return decodeArray(t, raw)
}

// stringArray grows as it reads, so that a false count costs nothing.
func (p *parser) stringArray(n uint64) ([]string, error) {
	if n > uint64(p.left/8) {
		return nil, fault.Formatf("array of %d strings, but only %d bytes are left in the file", n, p.left)
	}
	out := []string{}
	for i := range n {
		s, err := p.str()
		if err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
		out = append(out, s)
	}
	return out, nil
}

func decodeScalar(t valueType, raw []byte) (any, error) {
	switch t {
	case typeUint8:
		return raw[0], nil
	case typeInt8:
		return int8(raw[0]), nil
	case typeUint16:
		return binary.LittleEndian.Uint16(raw), nil
	case typeInt16:
		return int16(binary.LittleEndian.Uint16(raw)), nil
	case typeUint32:
		return binary.LittleEndian.Uint32(raw), nil
	case typeInt32:
		return int32(binary.LittleEndian.Uint32(raw)), nil
	case typeFloat32:
		return math.Float32frombits(binary.LittleEndian.Uint32(raw)), nil
	case typeUint64:
		return binary.LittleEndian.Uint64(raw), nil
	case typeInt64:
		return int64(binary.LittleEndian.Uint64(raw)), nil
	case typeFloat64:
		return math.Float64frombits(binary.LittleEndian.Uint64(raw)), nil
	}
	if raw[0] > 1 {
		return nil, fault.Formatf("truth value is %d, not 0 or 1", raw[0])
	}
	return raw[0] == 1, nil
}

func decodeArray(t valueType, raw []byte) (any, error) {
	switch t {
	case typeUint8:
		return raw, nil
	case typeInt8:
		return elements[int8](t, raw)
	case typeUint16:
		return elements[uint16](t, raw)
	case typeInt16:
		return elements[int16](t, raw)
	case typeUint32:
		return elements[uint32](t, raw)
	case typeInt32:
		return elements[int32](t, raw)
	case typeFloat32:
		return elements[float32](t, raw)
	case typeUint64:
		return elements[uint64](t, raw)
	case typeInt64:
		return elements[int64](t, raw)
	case typeFloat64:
		return elements[float64](t, raw)
	}
	return elements[bool](t, raw)
}

func elements[T any](t valueType, raw []byte) ([]T, error) {
	out := make([]T, int64(len(raw))/t.valueSize())
	if t == typeBool {
		for i, v := range raw {
			if v > 1 {
				return nil, fault.Formatf("element %d: truth value is %d, not 0 or 1", i, v)
			}
		}
	}
	_, err := binary.Decode(raw, binary.LittleEndian, out)
	return out, err
}

// appendValue appends a value with its type in front.
func appendValue(b []byte, value any) ([]byte, error) {
	t, array, err := typeOf(value)
	if err != nil {
		return nil, err
	}
	if !array {
		b = binary.LittleEndian.AppendUint32(b, uint32(t))
		if s, ok := value.(string); ok {
			return appendString(b, s), nil
		}
		return binary.Append(b, binary.LittleEndian, value)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(typeArray))
	b = binary.LittleEndian.AppendUint32(b, uint32(t))
	if list, ok := value.([]string); ok {
		b = binary.LittleEndian.AppendUint64(b, uint64(len(list)))
		for _, s := range list {
			b = appendString(b, s)
		}
		return b, nil
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(binary.Size(value))/uint64(t.valueSize()))
	return binary.Append(b, binary.LittleEndian, value)
}

func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

// typeOf returns the GGUF type of a Go value, of its elements for a slice.
func typeOf(value any) (t valueType, array bool, err error) {
	switch value.(type) {
	case uint8, []uint8:
		t = typeUint8
	case int8, []int8:
		t = typeInt8
	case uint16, []uint16:
		t = typeUint16
	case int16, []int16:
		t = typeInt16
	case uint32, []uint32:
		t = typeUint32
	case int32, []int32:
		t = typeInt32
	case float32, []float32:
		t = typeFloat32
	case bool, []bool:
		t = typeBool
	case string, []string:
		t = typeString
	case uint64, []uint64:
		t = typeUint64
	case int64, []int64:
		t = typeInt64
	case float64, []float64:
		t = typeFloat64
	default:
		return 0, false, fmt.Errorf("type %T has no GGUF form", value)
	}
	switch value.(type) {
	case []uint8, []int8, []uint16, []int16, []uint32, []int32, []float32, []bool, []string, []uint64, []int64, []float64:
		array = true
	}
	return t, array, nil
}
